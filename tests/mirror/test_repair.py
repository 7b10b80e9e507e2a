"""What follows when a published file turned out to be damaged."""

import pytest

from localctl.mirror.publication import Discard, Notify
from localctl.mirror.repair import repairing, reported
from localctl.store.records import NOBODY, FileRecord, State

FILE = FileRecord("a" * 32, "fw.bin", 7, "b" * 64, "http://example.com/fw.bin", 1.0, 42)


def test_it_is_fetched_again() -> None:
    """Row 7: under its requestId and name, from where it came; nothing is reported."""
    fetching, effects = repairing(FILE, 3, 9.0)
    assert (fetching.state, fetching.request_id, fetching.location) == (State.ACCEPTED, 42, FILE.location)
    assert (fetching.name, fetching.checksum, fetching.retries) == (FILE.name, FILE.checksum, 3)
    assert (fetching.repair, effects) == (True, ())


@pytest.mark.parametrize(("request_id", "told"), [(42, (Notify("PublishFailed"),)), (NOBODY, ())])
def test_without_an_origin_it_has_failed(request_id: int, told: tuple[Notify, ...]) -> None:
    """Row 7, L03.FR.08: PublishFailed, where it is known under which requestId."""
    lost = FileRecord("a" * 32, "fw.bin", 7, "b" * 64, "", 1.0, request_id)
    fetching, effects = repairing(lost, 3, 9.0)
    assert (fetching.state, effects) == (State.PUBLISH_FAILED, told)


def test_a_repair_tells_of_its_failure_alone() -> None:
    """L03.FR.08: once, whatever it failed of; other publications report all."""
    fetching, _ = repairing(FILE, 3, 9.0)
    assert reported(fetching, (Notify("Downloading"),)) == ()
    assert reported(fetching, (Discard(), Notify("Published"))) == (Discard(),)
    for failures in ((Notify("DownloadFailed"),), (Notify("Downloaded"), Notify("InvalidChecksum"))):
        assert reported(fetching, (*failures, Discard())) == (Notify("PublishFailed"), Discard())
    ordinary, _ = repairing(FILE, 3, 9.0)
    assert reported(ordinary, ()) == ()
