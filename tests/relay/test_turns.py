"""When connections to the CSMS may be begun, by a virtual clock."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localctl.relay.turns import BURST_SECONDS, Turns


def begun(rate: float, arrivals: list[float]) -> list[float]:
    """When each of those who come at these times is begun, one after the other."""
    turns, times, now = Turns(rate), list[float](), 0.0
    for arrival in sorted(arrivals):
        now = max(now, arrival)
        now += turns.wait(now)
        turns.take(now)
        times.append(now)
    return times


@pytest.mark.parametrize(("rate", "burst"), [(200, 50), (4, 1), (1, 1), (10, 2.5)])
def test_burst_is_a_quarter_of_a_second_s_worth(rate: float, burst: float) -> None:
    """At least one, or nobody would ever be begun."""
    assert Turns(rate).burst == burst


def test_few_stations_wait_for_nothing() -> None:
    """After a pause a quarter of a second's worth is begun at once, then they are spread."""
    times = begun(8, [100.0] * 5)
    assert times == pytest.approx([100, 100, 100.125, 100.25, 100.375])


def test_a_pause_saves_up_no_more_than_the_burst() -> None:
    """However long nobody came."""
    assert begun(8, [0.0, *[3600.0] * 3])[1:] == pytest.approx([3600, 3600, 3600.125])


def test_a_turn_that_was_not_used_is_there_again() -> None:
    """Who is next waits as if it had never been taken."""
    turns = Turns(4)
    turns.take(0.0)
    turns.take(0.25)
    turns.give_back()
    assert turns.wait(0.25) == 0


def test_a_site_of_a_thousand_is_begun_in_five_seconds() -> None:
    """At the default of 200 a second: within the ten that a restart of the CSMS may take to be made good."""
    assert begun(200, [0.0] * 1000)[-1] == pytest.approx((1000 - 50) / 200)


@settings(deadline=None)
@given(st.floats(0.5, 1000), st.lists(st.floats(0, 30), min_size=1, max_size=200))
def test_the_rate_is_kept_to_and_used(rate: float, arrivals: list[float]) -> None:
    """In no time are more begun than the rate and a burst; and who comes to a full bucket is begun at once."""
    times = begun(rate, arrivals)
    most = max(1.0, rate * BURST_SECONDS)
    for first, begin in enumerate(times):
        for count, end in enumerate(times[first:], 1):
            assert count <= rate * (end - begin) + most + 1e-6
    assert all(one <= other for one, other in pairwise(times))
    assert times[0] == min(arrivals)
