"""The states of a publication: the whole table, the certified sequences, and any walk through it."""

from dataclasses import replace
from itertools import product
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localctl.errors import IllegalStep
from localctl.mirror.publication import (
    AlreadyPublished,
    Awaited,
    Begun,
    Broken,
    Cancelled,
    Damaged,
    Discard,
    Effect,
    Event,
    Fetched,
    FetchFailed,
    FileStored,
    Notify,
    StoringFailed,
    step,
)
from localctl.store.records import ENDED, FLOWING, Publication, Resume, State

MD5: Final = "d41d8cd98f00b204e9800998ecf8427e"
WRONG: Final = "0" * 32
NEW: Final = Publication(1, 7, "http://files.example.com/fw.bin", MD5, "fw.bin", 2, None, 0.0)
RIGHT: Final = Fetched(MD5, doubtful=False)
FAILED: Final = FetchFailed(final=False)
REFUSED: Final = FetchFailed(final=True)
EVENTS: Final[tuple[Event, ...]] = (
    Awaited(), Begun(), RIGHT, Fetched(WRONG, doubtful=False), Fetched(WRONG, doubtful=True), FAILED, REFUSED,
    FileStored(), Damaged(), StoringFailed(), AlreadyPublished(), Cancelled(), Broken(),
)  # fmt: skip

# From a state, by an event: the next state and the statuses that are reported (requirements, Publishing).
SCHEDULED = (State.SCHEDULED, "DownloadScheduled")
DOWNLOADING = (State.DOWNLOADING, "Downloading")
PAUSED = (State.PAUSED, "DownloadPaused")
VERIFIED = (State.VERIFIED, "Downloaded ChecksumVerified")
PUBLISHED = (State.PUBLISHED, "Published")
CANCELLED = (State.CANCELLED, "")
DOWNLOAD_FAILED = (State.DOWNLOAD_FAILED, "DownloadFailed")
INVALID_CHECKSUM = (State.INVALID_CHECKSUM, "Downloaded InvalidChecksum")
PUBLISH_FAILED = (State.PUBLISH_FAILED, "PublishFailed")
TABLE: Final[dict[State, dict[Event, tuple[State, str]]]] = {
    State.ACCEPTED: {
        Awaited(): SCHEDULED,
        Begun(): DOWNLOADING,
        AlreadyPublished(): PUBLISHED,
        Cancelled(): CANCELLED,
        Broken(): DOWNLOAD_FAILED,
    },
    State.SCHEDULED: {
        Begun(): DOWNLOADING,
        AlreadyPublished(): PUBLISHED,
        Cancelled(): CANCELLED,
        Broken(): DOWNLOAD_FAILED,
    },
    State.DOWNLOADING: {
        Awaited(): PAUSED,
        RIGHT: VERIFIED,
        Fetched(WRONG, doubtful=False): INVALID_CHECKSUM,
        Fetched(WRONG, doubtful=True): (State.DOWNLOADING, ""),
        FAILED: PAUSED,
        REFUSED: DOWNLOAD_FAILED,
        AlreadyPublished(): PUBLISHED,
        Broken(): DOWNLOAD_FAILED,
    },
    State.PAUSED: {
        Begun(): DOWNLOADING,
        AlreadyPublished(): PUBLISHED,
        Cancelled(): CANCELLED,
        Broken(): DOWNLOAD_FAILED,
    },
    State.VERIFIED: {
        FileStored(): PUBLISHED,
        Damaged(): DOWNLOADING,
        StoringFailed(): PUBLISH_FAILED,
        AlreadyPublished(): PUBLISHED,
        Broken(): PUBLISH_FAILED,
    },
}


def statuses(effects: tuple[Effect, ...]) -> list[str]:
    """What is reported, in order."""
    return [effect.status for effect in effects if isinstance(effect, Notify)]


def walk(*events: Event, start: Publication = NEW) -> tuple[Publication, list[str]]:
    """Where the events lead, and all that is reported on the way."""
    now, told = start, list[str]()
    for event in events:
        now, effects = step(now, event)
        told += statuses(effects)
    return now, told


@pytest.mark.parametrize(("state", "event"), list(product(State, EVENTS)))
def test_every_step_is_as_required_or_illegal(state: State, event: Event) -> None:
    """L03.FR.01: each new state with its status; whatever the table lacks is a fault of ours."""
    expected = TABLE.get(state, {}).get(event)
    before = replace(NEW, state=state)
    if expected is None:
        with pytest.raises(IllegalStep) as caught:
            step(before, event)
        assert (caught.value.state, caught.value.event) == (state.value, type(event).__name__)
    else:
        after, effects = step(before, event)
        assert (after.state, " ".join(statuses(effects))) == expected


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("state", [state for state in State if state in ENDED])
def test_an_end_is_an_end(state: State, event: Event) -> None:
    """InvalidChecksum, DownloadFailed and the other ends are final: nothing leaves them."""
    with pytest.raises(IllegalStep):
        step(replace(NEW, state=state), event)


@pytest.mark.parametrize(
    ("events", "sequence"),
    [
        pytest.param((Begun(), RIGHT, FileStored()), "Downloading Downloaded ChecksumVerified Published", id="TC_L_17"),
        pytest.param((Begun(), REFUSED), "Downloading DownloadFailed", id="TC_L_24"),
        pytest.param((Begun(), Fetched(WRONG, doubtful=False)), "Downloading Downloaded InvalidChecksum", id="TC_L_19"),
        pytest.param(
            (Begun(), RIGHT, StoringFailed()), "Downloading Downloaded ChecksumVerified PublishFailed", id="TC_L_20"
        ),
    ],
)
def test_certified_sequences(events: tuple[Event, ...], sequence: str) -> None:
    """The sequences that CSMSs are certified with, status by status."""
    ended, told = walk(*events)
    assert ended.state in ENDED
    assert told == sequence.split()


def test_every_try_is_counted_and_reported() -> None:
    """L03.FR.06: one try and ``retries`` more; DownloadPaused between them, Downloading again at each."""
    ended, told = walk(Begun(), FAILED, Begun(), FAILED, Begun(), FAILED)
    assert told == ["Downloading", "DownloadPaused"] * 2 + ["Downloading", "DownloadFailed"]
    assert (ended.failures, ended.state) == (3, State.DOWNLOAD_FAILED)


def test_a_window_that_closes_costs_no_try() -> None:
    """DownloadPaused at its end, Downloading again at its beginning, however often, and all tries are still there."""
    ended, told = walk(*(Begun(), Awaited()) * 5, Begun(), RIGHT, start=replace(NEW, retries=0))
    assert told == ["Downloading", "DownloadPaused"] * 5 + ["Downloading", "Downloaded", "ChecksumVerified"]
    assert ended.failures == 0


def test_no_retries_is_one_try() -> None:
    """With retries 0 the first failure is the last."""
    ended, told = walk(Begun(), FAILED, start=replace(NEW, retries=0))
    assert (ended.state, told) == (State.DOWNLOAD_FAILED, ["Downloading", "DownloadFailed"])


def test_a_doubtful_file_is_fetched_once_more_from_its_start() -> None:
    """Faults, row 19: after a resumed fetch a wrong MD5 costs the partial file; the second time it is decided."""
    doubtful = Fetched(WRONG, doubtful=True)
    begun, _ = step(replace(NEW, resume=Resume(10, 20, '"1"')), Begun())
    dropped, effects = step(begun, doubtful)
    assert (dropped.state, dropped.restarted, dropped.resume) == (State.DOWNLOADING, True, Resume())
    assert effects == (Discard(),)
    assert dropped.failures == 0
    assert walk(doubtful, start=dropped)[1] == ["Downloaded", "InvalidChecksum"]
    assert walk(RIGHT, start=dropped)[1] == ["Downloaded", "ChecksumVerified"]


def test_what_will_not_be_published_is_thrown_away() -> None:
    """L03.FR.07 and L04: every end but a publication's own file being stored discards the partial file."""
    for state, row in TABLE.items():
        for event in row:
            after, effects = step(replace(NEW, state=state), event)
            if after.state in ENDED and not isinstance(event, FileStored):
                assert Discard() in effects


def test_only_a_verified_file_is_damaged_or_stored() -> None:
    """After a restart a file that is not whole any more is fetched again, from the start."""
    after, told = walk(Begun(), RIGHT, Damaged())
    assert (after.state, told[-1]) == (State.DOWNLOADING, "Downloading")
    assert Discard() in step(replace(NEW, state=State.VERIFIED), Damaged())[1]


def legal(state: State) -> list[Event]:
    """The events that the table has for a state."""
    return list(TABLE.get(state, {}))


@settings(deadline=None)
@given(st.data(), st.integers(0, 4))
def test_any_walk_reports_every_state_and_ends_well(data: st.DataObject, retries: int) -> None:
    """L03.FR.01, FR.07, FR.09: any legal walk ends, reports each new state once, and publishes verified files only."""
    now, told, verified, already = replace(NEW, retries=retries), list[str](), False, False
    for _ in range(200):
        if now.state in ENDED:
            break
        event = data.draw(st.sampled_from(legal(now.state)))
        before, (now, effects) = now, step(now, event)
        told += statuses(effects)
        verified = verified or event == RIGHT
        already = already or isinstance(event, AlreadyPublished)
        changed = now.state is not before.state
        assert bool(statuses(effects)) == (changed and now.state is not State.CANCELLED)
        assert now.state is State.CANCELLED or not changed or _fits(now.state, statuses(effects)[-1])
        assert now.failures <= retries + 1
    if now.state is State.PUBLISHED:
        assert told[-1] == "Published"
        assert verified or already
    assert told.count("Published") == (now.state is State.PUBLISHED)
    assert not {"InvalidChecksum", "DownloadFailed", "PublishFailed"} & set(told[:-1])


def _fits(state: State, status: str) -> bool:
    """Whether a status is the one by which the CSMS knows a state."""
    names = {State.SCHEDULED: "DownloadScheduled", State.PAUSED: "DownloadPaused", State.VERIFIED: "ChecksumVerified"}
    return status == names.get(state, "".join(word.capitalize() for word in state.value.split("_")))


def test_flowing_states_are_never_cancelled() -> None:
    """L04.FR.04: while its bytes flow to us a publication cannot be withdrawn."""
    for state in FLOWING:
        with pytest.raises(IllegalStep):
            step(replace(NEW, state=state), Cancelled())


def test_no_password_of_the_location_is_shown() -> None:
    """A publication's repr, which may get into a log, lacks its location."""
    secret = replace(NEW, location="http://user:secret@files.example.com/fw.bin")
    assert "secret" not in repr(secret)
