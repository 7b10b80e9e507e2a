"""Whether a loop turns, and how late: with a clock that is set by hand, and on a real loop."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from localctl.metrics import Metrics
from localctl.pulse import INTERVAL_SECONDS, Pulse


class SetClock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> SetClock:
    """The clock of the pulse."""
    return SetClock()


@pytest.fixture
def metrics() -> Metrics:
    """Where the lag is told."""
    return Metrics(CollectorRegistry(), "1.2.3")


@pytest.fixture
def pulse(clock: SetClock, metrics: Metrics) -> Pulse:
    """The pulse of a loop that has just begun."""
    return Pulse("main", metrics, clock)


def told(metrics: Metrics) -> float | None:
    """The lag that is exported."""
    return metrics.registry.get_sample_value("localctl_event_loop_lag_seconds", {"loop": "main"})


def test_punctual_loop_is_not_late(pulse: Pulse, clock: SetClock, metrics: Metrics) -> None:
    """A beat in time, or before it, is no lag."""
    for seconds in (INTERVAL_SECONDS, INTERVAL_SECONDS / 2):
        clock.now += seconds
        pulse.beat()
    assert pulse.worst() == pytest.approx(0)
    assert told(metrics) == pytest.approx(0)


def test_what_was_before_it_began_is_no_lag(pulse: Pulse, clock: SetClock) -> None:
    """A loop that begins long after its pulse was made has been neither silent nor late."""
    clock.now += 30
    pulse.begin()
    assert pulse.silent_for() == 0
    clock.now += INTERVAL_SECONDS
    pulse.beat()
    assert pulse.worst() == pytest.approx(0)


def test_what_is_usual(pulse: Pulse, clock: SetClock) -> None:
    """One late beat in a hundred is the worst, and is not usual; two are."""
    assert pulse.usual_worst() == 0
    for number in range(200):
        clock.now += INTERVAL_SECONDS + (0.5 if number in {7, 70, 77} else 0)
        pulse.beat()
        if number == 100:
            assert pulse.usual_worst() == pytest.approx(0.5)
    assert pulse.worst() == pytest.approx(0.5)
    for _ in range(200):
        clock.now += INTERVAL_SECONDS
        pulse.beat()
    assert pulse.usual_worst() == pytest.approx(0)


def test_hitch_is_told_for_a_minute(pulse: Pulse, clock: SetClock, metrics: Metrics) -> None:
    """The latest beat of the last minute is told, so that no scrape misses it; then it is forgotten."""
    clock.now += INTERVAL_SECONDS + 0.75
    pulse.beat()
    beats = round(60 / INTERVAL_SECONDS)
    for _ in range(beats - 1):
        clock.now += INTERVAL_SECONDS
        pulse.beat()
    assert told(metrics) == pytest.approx(0.75)
    clock.now += INTERVAL_SECONDS
    pulse.beat()
    assert told(metrics) == pytest.approx(0)


def test_loop_that_hangs_is_silent(pulse: Pulse, clock: SetClock) -> None:
    """Without a beat the silence grows; a beat ends it (faults, row 39)."""
    clock.now += 12
    assert pulse.silent_for() == 12
    pulse.beat()
    assert pulse.silent_for() == 0


def test_pulse_that_never_beat_is_silent_from_the_start(pulse: Pulse, clock: SetClock) -> None:
    """A loop that never came to turn is found as well."""
    clock.now += 30
    assert pulse.silent_for() == 30
    assert pulse.worst() == 0


async def test_asyncio_loop_beats_by_itself(metrics: Metrics) -> None:
    """On a real loop the task beats until it is cancelled."""
    pulse = Pulse("main", metrics)
    beats = asyncio.Event()
    counted = 0
    ordinary = pulse.beat

    def beat() -> None:
        nonlocal counted
        ordinary()
        counted += 1
        if counted == 3:
            beats.set()

    pulse.beat = beat  # type: ignore[method-assign]  # the loop's turns are counted
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(pulse.run(), name="pulse")
        await beats.wait()
        running.cancel()
    assert told(metrics) is not None
    assert counted == 3
