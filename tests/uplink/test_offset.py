"""How far our clock is from the CSMS's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localctl.uplink.offset import ahead

NOON = 1769860800.0  # 2026-01-31T12:00:00Z


@pytest.mark.parametrize(
    ("told", "now", "offset"),
    [
        ("2026-01-31T12:00:00Z", NOON, 0.0),
        ("2026-01-31T12:00:00.250Z", NOON, -0.25),
        ("2026-01-31T12:00:00.250123456Z", NOON + 0.250123, 0.0),
        ("2026-01-31T13:00:00+01:00", NOON + 60, 60.0),
        ("2026-01-31T12:00:00", NOON - 60, -60.0),
        ("2026-01-31T12:00:00Z", 0.0, -NOON),
    ],
    ids=["right", "behind", "nanoseconds", "of a zone", "of no zone", "1970"],
)
def test_ahead_is_positive_and_behind_negative(told: str, now: float, offset: float) -> None:
    """Our clock less the CSMS's; a time without a zone is UTC."""
    assert ahead(told, now, 0.0) == pytest.approx(offset)


def test_the_csms_looked_at_its_clock_half_a_round_trip_ago() -> None:
    """A slow link makes no wrong clock: of 20 seconds there and back, 10 are the way back."""
    assert ahead("2026-01-31T12:00:00Z", NOON + 10, 20.0) == pytest.approx(0.0)


@pytest.mark.parametrize("told", [None, "", "now", "2026-01-31", "2026-13-31T12:00:00Z", 1769860800, ["2026"], {}])
def test_what_is_no_time_tells_nothing(told: object) -> None:
    """Not even that the clock is right."""
    assert ahead(told, NOON, 0.0) is None


@given(st.text() | st.datetimes(timezones=st.timezones()).map(lambda time: time.isoformat()))
def test_nothing_that_a_csms_may_say_is_an_error(told: str) -> None:
    """Whatever stands there, there is a number or none."""
    offset = ahead(told, NOON, 1.0)
    assert offset is None or isinstance(offset, float)
