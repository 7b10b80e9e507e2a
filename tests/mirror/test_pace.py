"""Whether an origin drips."""

import pytest

from localctl.mirror.pace import LEAST_RATE, WINDOW_SECONDS, Pace


def test_a_byte_now_and_then_is_a_drip() -> None:
    """Faults, row 12: less than 100 bytes a second for a minute."""
    pace = Pace(1000.0)
    assert [pace.drips(1, 1000.0 + second) for second in range(59)] == [False] * 59
    assert pace.drips(1, 1060.0)


@pytest.mark.parametrize(("received", "drips"), [(5999, True), (6000, False)])
def test_the_limit_is_a_hundred_bytes_a_second(received: int, drips: bool) -> None:  # noqa: FBT001
    """At the limit it goes on."""
    assert Pace(0.0).drips(received, 60.0) is drips
    assert LEAST_RATE * WINDOW_SECONDS == 6000


def test_each_minute_counts_for_itself() -> None:
    """A fast beginning does not pay for a drip at the end, and a good minute is no drip."""
    pace = Pace(0.0)
    assert not pace.drips(10**9, 60.0)
    assert not pace.drips(6000, 120.0)
    assert not pace.drips(5999, 179.0)
    assert not pace.drips(1, 180.0)
    assert pace.drips(1, 240.0)


def test_a_long_wait_is_measured_as_long_as_it_was() -> None:
    """Where the next bytes come long after the window, all of that time counts."""
    assert Pace(0.0).drips(6000, 61.0)
    assert not Pace(0.0).drips(60_000, 600.0)


def test_what_we_did_not_read_is_no_drip() -> None:
    """The time in which ``max_rate`` kept us from reading is not held against the origin."""
    pace = Pace(0.0)
    assert not pace.drips(3000, 1.0)
    pace.excuse(59.0)
    assert not pace.drips(2900, 118.0)
    assert not pace.drips(100, 119.0)
