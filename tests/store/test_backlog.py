"""How many notifications may wait."""

from hypothesis import given
from hypothesis import strategies as st

from localctl.ocpp.messages import PublishStatus
from localctl.store.backlog import merged
from localctl.store.records import Notification

FINAL = {"Published", "DownloadFailed", "InvalidChecksum", "PublishFailed"}
STATUSES: list[PublishStatus] = ["Downloading", "DownloadPaused", "Downloaded", "Published", "DownloadFailed"]


def waiting(*statuses: tuple[int, PublishStatus]) -> tuple[Notification, ...]:
    """Notifications, as they were made."""
    return tuple(Notification(number, id_, status, (), 0.0) for number, (id_, status) in enumerate(statuses, 1))


def test_the_oldest_that_were_passed_through_go_first() -> None:
    """The first stays, as it may be on its way; the last of a publication stays, as nothing follows it."""
    all_ = waiting((1, "Downloading"), (1, "DownloadPaused"), (2, "Downloading"), (1, "Downloading"), (1, "Published"))
    assert merged(all_, 5) == all_
    assert [each.id for each in merged(all_, 4)] == [1, 3, 4, 5]
    assert [each.id for each in merged(all_, 1)] == [1, 3, 5]


@given(st.lists(st.tuples(st.integers(1, 4), st.sampled_from(STATUSES)), max_size=40), st.integers(0, 40))
def test_no_final_one_is_ever_lost(made: list[tuple[int, PublishStatus]], most: int) -> None:
    """Nor the last of a publication, nor the order; and nothing is left out below the bound."""
    all_ = waiting(*made)
    kept = merged(all_, most)
    assert list(kept) == sorted(kept, key=lambda each: each.id)
    assert {each for each in all_ if each.status in FINAL} <= set(kept)
    assert {each.request_id: each.id for each in all_} == {each.request_id: each.id for each in kept}
    assert len(kept) >= min(len(all_), most)
    assert kept[:1] == all_[:1]
