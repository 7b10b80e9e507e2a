"""Try again or give up, and when."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localctl.mirror.retry import delay, is_final, parse_retry_after

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOUR = 3600.0


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 451, 499])
def test_a_refusal_is_final(status: int) -> None:
    """Faults, row 10: what the origin refuses is not asked again in vain."""
    assert is_final(status)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 501, 502, 503, 504, 507, 599])
def test_a_passing_trouble_is_not(status: int) -> None:
    """Faults, rows 10 and 11: these are asked again."""
    assert not is_final(status)


@settings(deadline=None)
@given(st.integers(1, 1000), st.integers(-5, 10**9), st.floats(0, 1))
def test_the_interval_of_the_csms_is_kept_to(failures: int, interval: int, random: float) -> None:
    """L03: retryInterval is neither doubled nor shaken; less than nothing is nothing."""
    assert delay(failures, interval, 60, None, random) == max(0, interval)


@pytest.mark.parametrize(("failures", "seconds"), [(1, 60), (2, 120), (3, 240), (6, 1920), (7, HOUR), (1000, HOUR)])
def test_our_own_interval_doubles_up_to_an_hour(failures: int, seconds: float) -> None:
    """Exponential back-off: random 0.5 is the middle of the jitter."""
    assert delay(failures, None, 60, None, 0.5) == seconds


@settings(deadline=None)
@given(st.integers(1, 10**6), st.floats(0.001, 10**6), st.floats(0, 1))
def test_jitter_stays_within_a_quarter_and_the_ceiling(failures: int, default: float, random: float) -> None:
    """Never longer than an hour, unless the installer asked for more; never shorter than three quarters."""
    wait = delay(failures, None, default, None, random)
    assert 0.75 * default <= wait * 1.000001
    assert wait <= max(HOUR, default)


def test_jitter_spreads() -> None:
    """Two controllers that failed together do not ask again together."""
    assert (delay(1, None, 60, None, 0), delay(1, None, 60, None, 1)) == (45, 75)


@pytest.mark.parametrize(
    ("interval", "retry_after", "seconds"),
    [(10, 30, 30), (10, 5, 10), (0, 30, 30), (None, 300, 300), (None, 1, 60), (10, 10.0**9, HOUR), (10, 0, 10)],
)
def test_retry_after_is_the_least(interval: float | None, retry_after: float, seconds: float) -> None:
    """Faults, row 10: what the origin asks for is waited for, but no longer than an hour."""
    assert delay(1, interval, 60, retry_after, 0.5) == seconds


@pytest.mark.parametrize(("value", "seconds"), [("0", 0), ("120", 120), (" 7 ", 7)])
def test_retry_after_in_seconds(value: str, seconds: float) -> None:
    """RFC 9110 §10.2.3: delay-seconds."""
    assert parse_retry_after(value, NOW) == seconds


@pytest.mark.parametrize(("ahead", "seconds"), [(90, 90), (-90, 0)])
def test_retry_after_as_a_date(ahead: int, seconds: float) -> None:
    """RFC 9110 §10.2.3: HTTP-date; one that is past is now."""
    value = format_datetime(NOW + timedelta(seconds=ahead), usegmt=True)
    assert parse_retry_after(value, NOW) == seconds


@pytest.mark.parametrize("value", [None, "", "soon", "-5", "1.5", "Sat, 31 Feb 2026 12:00:00 GMT", "Sat, 31 Jan 2026"])
def test_what_is_neither_is_nothing(value: str | None) -> None:
    """A header that cannot be read is as none."""
    assert parse_retry_after(value, NOW) is None


@settings(deadline=None)
@given(st.text() | st.from_regex(r"\w{3}, \d+ Jan \d+ \d+:\d+:\d+ [+-]\d+"))
def test_no_header_can_break_it(value: str) -> None:
    """Whatever an origin sends becomes seconds that can be waited for, or nothing."""
    seconds = parse_retry_after(value, NOW)
    assert seconds is None or 0 <= delay(1, 0, 60, seconds, 0) <= HOUR
