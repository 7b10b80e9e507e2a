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
from localctl.relay.roster import Relay
from localctl.traffic import Traffic

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
        upwards, downwards = _by(to_csms, self._pass_to_csms), _by(to_station, self._pass_to_station)
        self._station = Leg(station.transport, station.manner, self, upwards)
        self._csms = Leg(csms.transport, csms.manner, self, downwards)
        self._station.other, self._csms.other = self._csms, self._station
        self._csms.begin(csms.early)
        self._station.begin(station.early)

    def _pass_to_csms(self, run: bytes, kinds: tuple[str, ...], size: int) -> None:
        if self._csms.is_open:
            self._csms.write(run)
            self._traffic.to_csms.count(kinds, size)
            self.relay.messages_to_csms += len(kinds)
            self.relay.last_message_at = self._now()

    def _pass_to_station(self, run: bytes, kinds: tuple[str, ...], size: int) -> None:
        if self._station.is_open:
            self._station.write(run)
            self._traffic.to_station.count(kinds, size)
            self.relay.messages_to_station += len(kinds)

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


def _by(translator: Translator | None, passed: Passed) -> Passed:
    """``passed``, by way of the translator where there is one."""
    if translator is None:
        return passed

    def translated(run: bytes, kinds: tuple[str, ...], size: int) -> None:  # noqa: ARG001  told of what is compressed
        for part in translator.translate(run):
            passed(*part)

    return translated
