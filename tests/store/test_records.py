"""The values that the database keeps: what of them must not be seen, and how the states fall apart."""

from localctl.store.records import ENDED, FLOWING, FileRecord, LastSent, Resume, Snapshot, State
from tests.store.samples import publication


def test_a_location_is_in_no_repr() -> None:
    """A location may carry credentials: neither a publication, a file nor a snapshot of them shows it."""
    file = FileRecord("a" * 32, "fw.bin", 7, "b" * 64, "http://user:hunter2@example.com/fw.bin", 1.0)
    kept = Snapshot((publication(),), (file,), (), LastSent(1, "Published"))
    assert "hunter2" not in repr(kept)
    assert "example.com" not in repr(kept)
    assert publication().location.startswith("http://user:hunter2@")


def test_states_fall_apart() -> None:
    """L04.FR.04: what has ended does not flow, and what neither flows nor has ended can be cancelled."""
    assert ENDED.isdisjoint(FLOWING)
    assert set(State) - ENDED - FLOWING == {State.ACCEPTED, State.SCHEDULED, State.PAUSED}


def test_a_new_publication_begins_at_the_beginning() -> None:
    """Nothing of a new publication is on the disk, and no try of it has failed."""
    new = publication()
    assert (new.state, new.failures, new.restarted, new.resume) == (State.ACCEPTED, 0, False, Resume(0, None, ""))
