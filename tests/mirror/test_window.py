"""The download window: over any time zone, both changes of daylight saving, and a clock that jumps."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localctl.mirror.window import LOOK_SECONDS, is_open, look_in
from localctl.values import Window, parse_window

ZONES = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns",
     "Pacific/Apia", "Africa/Casablanca", "Antarctica/Troll", "Asia/Kolkata"]
).map(ZoneInfo)  # fmt: skip
MINUTES = st.integers(0, 1439).map(lambda minute: time(minute // 60, minute % 60))
WINDOWS = st.tuples(MINUTES, MINUTES).filter(lambda ends: ends[0] != ends[1]).map(lambda ends: Window(*ends))
YEARS = [int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (2020, 2035)]
INSTANTS = st.integers(*YEARS)
BERLIN = ZoneInfo("Europe/Berlin")


def window(text: str) -> Window:
    """A window as it is written."""
    made = parse_window(text)
    assert made is not None
    return made


def local(moment: float, zone: ZoneInfo) -> time:
    """What the clocks in ``zone`` show."""
    return datetime.fromtimestamp(moment, zone).time()


@pytest.mark.parametrize(
    ("text", "at", "expected"),
    [
        ("01:00-05:00", "00:59:59.999999", False),
        ("01:00-05:00", "01:00", True),
        ("01:00-05:00", "04:59:59.999999", True),
        ("01:00-05:00", "05:00", False),
        ("22:00-04:30", "21:59:59", False),
        ("22:00-04:30", "22:00", True),
        ("22:00-04:30", "00:00", True),
        ("22:00-04:30", "04:29:59", True),
        ("22:00-04:30", "04:30", False),
        ("00:00-23:59", "23:59:30", False),
        ("23:59-00:00", "23:59:30", True),
        ("23:59-00:00", "00:00", False),
    ],
)
def test_it_is_open_from_its_begin_up_to_its_end(text: str, at: str, expected: bool) -> None:  # noqa: FBT001
    """Also across midnight."""
    assert is_open(window(text), time.fromisoformat(at)) is expected


@given(st.times())
def test_no_window_is_always_open(at: time) -> None:
    """Empty: any time."""
    assert is_open(None, at)


@given(WINDOWS, st.times())
def test_a_window_and_its_reverse_make_a_day(made: Window, at: time) -> None:
    """At every time exactly one of the two is open."""
    assert is_open(made, at) is not is_open(Window(made.end, made.begin), at)


@given(WINDOWS, st.times())
def test_it_does_not_change_before_the_next_look(made: Window, at: time) -> None:
    """While the clock runs evenly, nothing is missed between two looks, and no look is in vain for ever."""
    step = look_in(made, at)
    assert 0 < step <= LOOK_SECONDS
    now = datetime.combine(datetime(2026, 1, 15, tzinfo=UTC), at)
    assert is_open(made, (now + timedelta(seconds=step * 0.999)).time()) is is_open(made, at) or step < 1e-5


def opening(made: Window, zone: ZoneInfo, start: datetime, hours: int) -> list[tuple[str, str]]:
    """From and to when it is open, as whoever looks when he is told sees it, by the clocks of ``zone``."""
    now, end, spans = start.timestamp(), start.timestamp() + hours * 3600, list[tuple[str, str]]()
    began = ""
    while now < end:
        here = datetime.fromtimestamp(now, zone)
        if is_open(made, here.time()) and not began:
            began = f"{here:%H:%M %Z}"
        elif not is_open(made, here.time()) and began:
            spans.append((began, f"{here:%H:%M %Z}"))
            began = ""
        now += look_in(made, here.time())
    return spans


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("01:00-05:00", [("01:00 CET", "05:00 CEST")]),  # three hours
        ("01:30-02:30", [("01:30 CET", "03:00 CEST")]),  # half an hour, to where the clocks jump over its end
        ("02:30-04:00", [("03:00 CEST", "04:00 CEST")]),  # from where the clocks jump over its begin
        ("02:10-02:50", []),  # there is no such time on that night
        ("22:00-04:30", [("00:00 CET", "04:30 CEST"), ("22:00 CEST", "04:30 CEST")]),
    ],
)
def test_the_night_that_lacks_an_hour(text: str, spans: list[tuple[str, str]]) -> None:
    """29 March 2026 in Berlin, from midnight for 30 hours: 02:00 to 03:00 is skipped."""
    begin = datetime(2026, 3, 29, tzinfo=BERLIN)
    assert opening(window(text), BERLIN, begin, 23 if text != "22:00-04:30" else 30) == spans


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("01:00-05:00", [("01:00 CEST", "05:00 CET")]),  # five hours
        ("01:30-02:30", [("01:30 CEST", "02:30 CEST"), ("02:00 CET", "02:30 CET")]),
        ("02:10-02:50", [("02:10 CEST", "02:50 CEST"), ("02:10 CET", "02:50 CET")]),
        ("02:30-04:00", [("02:30 CEST", "02:00 CET"), ("02:30 CET", "04:00 CET")]),
    ],
)
def test_the_night_that_has_an_hour_twice(text: str, spans: list[tuple[str, str]]) -> None:
    """25 October 2026 in Berlin: 02:00 to 03:00 comes twice, and what is in the window is open both times."""
    assert opening(window(text), BERLIN, datetime(2026, 10, 25, tzinfo=BERLIN), 23) == spans


@settings(deadline=None)
@given(WINDOWS, ZONES, INSTANTS)
def test_whoever_looks_as_told_is_never_late(made: Window, zone: ZoneInfo, start: int) -> None:
    """In any zone: between two looks nothing changes, unless the zone's clocks do, and then the next look is near."""
    now = float(start)
    for _ in range(50):
        here = datetime.fromtimestamp(now, zone)
        step = look_in(made, here.time())
        assert 0 < step <= LOOK_SECONDS
        last = datetime.fromtimestamp(now + step - 0.001, zone)
        changed = is_open(made, last.time()) is not is_open(made, here.time())
        assert not changed or last.utcoffset() != here.utcoffset()
        now += step


@settings(deadline=None)
@given(WINDOWS, ZONES, INSTANTS, st.floats(-1e8, 1e8))
def test_a_clock_that_jumps_is_believed_at_the_next_look(made: Window, zone: ZoneInfo, start: int, jump: float) -> None:
    """Faults, row 9: somebody sets the clock by years: what it says then counts, LOOK_SECONDS later at most."""
    before, after = local(start, zone), local(max(0.0, start + jump), zone)
    assert look_in(made, before) <= LOOK_SECONDS
    assert is_open(made, after) is not is_open(Window(made.end, made.begin), after)
