"""One station's two WebSockets: every frame of one goes on to the other, and what ends one ends the other. Edge.

What comes is passed on before anything else of it is looked at, so a close frame finds all that came before it on its
way (Part 4 §6.4). A leg that takes less than comes pauses the other one.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from localctl.relay import policy
from localctl.relay.deflate import Translator
from localctl.relay.frames import Passed
from localctl.relay.legs import Leg, Manner
from localctl.relay.policy import Ending
from localctl.relay.roster import Passage, Relay
from localctl.traffic import Flow, Traffic

_LOG: Final = logging.getLogger("localctl.relay")


@dataclass(frozen=True, slots=True)
class End:
    """One end of a relay: its transport, how its leg is to behave, and what came with its opening handshake."""

    transport: asyncio.Transport
    manner: Manner
    early: bytes


class Pair:
    """The relay of one station. ``over`` is called once, when both TCP connections have ended."""

    __slots__ = ("_csms", "_left", "_now", "_over", "_station", "_traffic", "ending", "relay")

    def __init__(
        self, relay: Relay, traffic: Traffic, now: Callable[[], float], over: Callable[["Pair"], None]
    ) -> None:
        self.relay = relay
        self.ending: Ending | None = None
        self._traffic = traffic
        self._now = now
        self._over = over
        self._left = 2
        self._station: Leg
        self._csms: Leg

    def begin(
        self, station: End, csms: End, to_csms: Translator | None = None, to_station: Translator | None = None
    ) -> None:
        """Relay until either side ends or ``end`` is called."""
        self._station = Leg(station.transport, station.manner, self)
        self._csms = Leg(csms.transport, csms.manner, self)
        self._station.other, self._csms.other = self._csms, self._station
        relay, traffic, now = self.relay, self._traffic, self._now
        downwards = _passing(self._station, traffic.to_station, relay.to_station, now)
        upwards = _passing(self._csms, traffic.to_csms, relay.to_csms, now)
        self._csms.begin(_by(to_station, downwards), csms.early)
        self._station.begin(_by(to_csms, upwards), station.early)

    def end(self, ending: Ending) -> None:
        """Close both legs so. The first ending counts."""
        if self.ending is None:
            self.ending = ending
            for leg in (self._station, self._csms):
                leg.close(ending.code, ending.reason)

    def abort(self) -> None:
        """Drop both TCP connections at once."""
        self._station.transport.abort()
        self._csms.transport.abort()

    def ended(self, leg: Leg, received: tuple[int, str] | None, failed: int | None) -> None:
        """A leg has."""
        if self.ending is None:
            if failed in policy.REJECTED:
                self._traffic.rejected[policy.REJECTED[failed]] += 1
            self.end(policy.ending("station" if leg is self._station else "csms", received, failed))

    def broken(self, fault: Exception) -> None:
        """A fault of ours."""
        _LOG.error("the relay of station %r failed", self.relay.identity, exc_info=fault)
        self.end(policy.FAILED)
        self.abort()

    def lost(self, leg: Leg) -> None:  # noqa: ARG002  both count alike
        """A leg's TCP connection has ended."""
        self._left -= 1
        if not self._left:
            self._over(self)


def _passing(sink: Leg, flow: Flow, passage: Passage, now: Callable[[], float]) -> Passed:
    """What passes frames on to ``sink`` and counts them: once a message, so it takes no detours."""
    messages, write = flow.messages, sink.write

    def passed(run: bytes, kinds: tuple[str, ...], size: int) -> None:
        if sink.is_open:
            write(run)
            for kind in kinds:
                messages[kind] += 1
            flow.size += size
            passage.messages += len(kinds)
            passage.last_at = now()

    return passed


def _by(translator: Translator | None, passed: Passed) -> Passed:
    """``passed``, by way of the translator where there is one."""
    if translator is None:
        return passed

    def translated(run: bytes, kinds: tuple[str, ...], size: int) -> None:  # noqa: ARG001  told of what is compressed
        for part in translator.translate(run):
            passed(*part)

    return translated
