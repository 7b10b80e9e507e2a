"""The series a station."""

import subprocess

from prometheus_client import CollectorRegistry, generate_latest

from localctl.attendance import Attendance


def series(registry: CollectorRegistry) -> dict[str, float]:
    """The value of each station's series."""
    return {
        sample.labels["station"]: sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "localctl_station_connected"
    }


def test_there_is_none_unless_it_is_asked_for() -> None:
    """Off by default: not even the name of the metric is there."""
    registry = CollectorRegistry()
    Attendance(registry).note("CS-1", present=True)
    assert generate_latest(registry) == b""


def test_a_station_that_has_gone_is_still_named() -> None:
    """1 while it is there, 0 from then on, 1 when it comes back."""
    registry = CollectorRegistry()
    attendance = Attendance(registry)
    attendance.keep(10)
    attendance.note("CS-1", present=True)
    attendance.note("CS-2", present=True)
    attendance.note("CS-1", present=False)
    assert series(registry) == {"CS-1": 0, "CS-2": 1}
    attendance.note("CS-1", present=True)
    assert series(registry) == {"CS-1": 1, "CS-2": 1}


def test_no_more_are_known_than_may_be_relayed() -> None:
    """The one that has been gone longest makes room; one that is there never does."""
    registry = CollectorRegistry()
    attendance = Attendance(registry)
    attendance.keep(3)
    for identity in ("CS-1", "CS-2", "CS-3"):
        attendance.note(identity, present=True)
    attendance.note("CS-2", present=False)
    attendance.note("CS-1", present=False)
    attendance.note("CS-4", present=True)
    assert series(registry) == {"CS-1": 0, "CS-3": 1, "CS-4": 1}


def test_it_can_be_begun_with_stations_that_are_there() -> None:
    """Those that came before it was asked for are known at once, and missed when they go."""
    registry = CollectorRegistry()
    attendance = Attendance(registry)
    attendance.note("CS-1", present=True)
    attendance.keep(3, ["CS-1", "CS-2"])
    attendance.note("CS-2", present=False)
    assert series(registry) == {"CS-1": 1, "CS-2": 0}
    attendance.keep(0, ["CS-1"])
    assert series(registry) == {}


def test_it_can_be_given_up() -> None:
    """Keeping none forgets all, those who are there too."""
    registry = CollectorRegistry()
    attendance = Attendance(registry)
    attendance.keep(3)
    attendance.note("CS-1", present=True)
    attendance.keep(0)
    attendance.keep(3)
    assert series(registry) == {}


def test_prometheus_reads_whatever_a_station_is_called() -> None:
    """An identity comes from a URL: quotes, backslashes, line ends and other scripts do no harm."""
    registry = CollectorRegistry()
    attendance = Attendance(registry)
    attendance.keep(9)
    for identity in ('"', "\\", "a\nb", "a\r\tb", "Säule 7", "\\udc80", "\u2028", "{}"):
        attendance.note(identity, present=True)
    text = generate_latest(registry)
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
