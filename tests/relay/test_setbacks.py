"""How long who fails waits, by a virtual clock."""

from hypothesis import given, settings
from hypothesis import strategies as st

from localctl.relay.setbacks import FORGET_SECONDS, MOST_SECONDS, Setbacks


def test_the_delay_doubles() -> None:
    """From half a second to 8, and no further."""
    setbacks = Setbacks()
    assert [setbacks.failed("10.0.0.1", at) for at in range(7)] == [0.5, 1, 2, 4, 8, 8, 8]


def test_each_address_has_its_own() -> None:
    """One that fails delays no other."""
    setbacks = Setbacks()
    setbacks.failed("10.0.0.1", 0)
    assert setbacks.failed("10.0.0.2", 0) == 0.5
    assert setbacks.failed("10.0.0.1", 0) == 1


def test_a_success_makes_good() -> None:
    """A station whose password has been set right begins anew; one that never failed is no matter."""
    setbacks = Setbacks()
    setbacks.failed("10.0.0.1", 0)
    setbacks.succeeded("10.0.0.1")
    setbacks.succeeded("10.0.0.2")
    assert len(setbacks) == 0
    assert setbacks.failed("10.0.0.1", 0) == 0.5


def test_ten_minutes_without_a_failure_make_good() -> None:
    """Counted from the last failure."""
    setbacks = Setbacks()
    setbacks.failed("10.0.0.1", 0)
    assert setbacks.failed("10.0.0.1", FORGET_SECONDS - 1) == 1
    assert setbacks.failed("10.0.0.1", 2 * FORGET_SECONDS - 2) == 2
    assert setbacks.failed("10.0.0.1", 3 * FORGET_SECONDS - 2) == 0.5


def test_who_failed_longest_ago_is_forgotten_first() -> None:
    """However many addresses fail, memory is bounded."""
    setbacks = Setbacks(most=2)
    for address in ("a", "b", "a", "c"):
        setbacks.failed(address, 0)
    assert len(setbacks) == 2
    assert setbacks.failed("a", 0) == 2
    assert setbacks.failed("b", 0) == 0.5


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.floats(0, 1000), st.booleans())))
def test_no_answer_waits_longer_than_the_most(steps: list[tuple[str, float, bool]]) -> None:
    """Whatever happens, within the bounds of time and memory."""
    setbacks, now = Setbacks(most=3), 0.0
    for address, later, fails in steps:
        now += later
        if fails:
            assert 0 < setbacks.failed(address, now) <= MOST_SECONDS
        else:
            setbacks.succeeded(address)
        assert len(setbacks) <= 3
