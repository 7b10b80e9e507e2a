"""All that is found of the CSMS, from its name to what it says to us; where a step fails, the rest is left out."""

from collections.abc import Callable, Iterator, Mapping

from localctl.checking.answer import ask, told
from localctl.checking.clock import beside, date_of
from localctl.checking.running import Running
from localctl.checking.seal import of_csms
from localctl.checking.verdict import Check
from localctl.checking.way import Place, addresses, proxies, reach, reached, resolved
from localctl.config import Config


def tried(
    config: Config,
    running: Running | None,
    clock: Callable[[], float],
    environ: Mapping[str, str],
    *,
    silent: bool = False,
) -> Iterator[Check]:
    """Each step; ``clock`` tells Unix seconds. ``silent``: we cannot say who we are, so our handshake is left out."""
    place = Place.of(config.csms.url)
    yield from proxies(environ)
    if running and running.status:
        yield told(config, running.status.get("uplink", {}), clock())
    try:
        found = addresses(place)
    except (OSError, UnicodeError) as fault:
        yield from resolved(place, fault)
        return
    yield from resolved(place, found)
    outcomes = reach(place, found)
    yield from reached(place, found, outcomes)
    if not any(isinstance(outcome, float) for outcome in outcomes):
        return
    if place.encrypted:
        seal = list(of_csms(config, place, clock()))
        yield from seal
        if not seal or any(check.verdict == "FAIL" for check in seal):
            return
    yield from _spoken(config, place, clock, dials=running is None and not silent)


def _spoken(config: Config, place: Place, clock: Callable[[], float], *, dials: bool) -> Iterator[Check]:
    """Our handshake, unless the daemon's connection stands in its way or we have no password; and the clock."""
    if dials and (answer := ask(config)):
        yield answer.check
        yield from beside(answer.date, clock())
    else:
        yield from beside(date_of(config, place), clock())
