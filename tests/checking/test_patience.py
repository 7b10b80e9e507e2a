"""What hangs is left behind, and what fails is told."""

import threading

import pytest

from localctl.checking.patience import together, within


def refuse() -> int:
    """Something that goes wrong."""
    raise ConnectionRefusedError("no")


def test_what_it_returns_or_raises() -> None:
    """The outcome is the work's own."""
    assert within(30, lambda: 7) == 7
    with pytest.raises(ConnectionRefusedError):
        within(30, refuse)


def test_what_hangs_is_left_behind() -> None:
    """A thread that waits for ever is a TimeoutError, and keeps no program from its end."""
    never = threading.Event()
    with pytest.raises(TimeoutError):
        within(0.01, never.wait)
    hanging = [thread for thread in threading.enumerate() if thread.name == "check"]
    assert all(thread.daemon for thread in hanging)
    never.set()
    for thread in hanging:
        thread.join()


def test_all_at_once_and_in_order() -> None:
    """Each waits for the other, so they run at once; the outcomes are in the order asked for, faults among them."""
    both = threading.Barrier(2)
    never = threading.Event()

    def meet() -> int:
        both.wait(30)
        return 1

    assert together(30, [meet, meet]) == [1, 1]
    good, refused = together(30, [lambda: 2, refuse])
    assert good == 2
    assert isinstance(refused, ConnectionRefusedError)
    [late] = together(0.01, [lambda: int(never.wait())])
    never.set()
    assert isinstance(late, TimeoutError)
