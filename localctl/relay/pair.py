"""One station's two WebSockets: every frame of one goes on to the other, and what ends one ends the other. Edge.

What comes is passed on before anything else of it is looked at, so a close frame finds all that came before it on its
way (Part 4 §6.4). A leg that takes less than comes pauses the other one.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from localctl.relay import policy
from localctl.relay.deflate import Translator
from localctl.relay.frames import Turn
from localctl.relay.legs import Leg, Manner, Way
from localctl.relay.policy import Ending
from localctl.relay.roster import Relay
from localctl.traffic import AT, BYTES, Tally, Traffic
from localctl.wire.transport import SocketTransport

_LOG: Final = logging.getLogger("localctl.relay")


@dataclass(frozen=True, slots=True)
class End:
    """One end of a relay: its transport, how its leg is to behave, and what came with its opening handshake."""

    transport: SocketTransport
    manner: Manner
    early: bytes


class Pair:
    """The relay of one station. ``over`` is called once, when both TCP connections have ended."""

    __slots__ = ("_csms", "_left", "_over", "_station", "_traffic", "_turn", "ending", "relay")

    def __init__(self, relay: Relay, traffic: Traffic, turn: Turn, over: Callable[["Pair"], None]) -> None:
        self.relay = relay
        self.ending: Ending | None = None
        self._traffic = traffic
        self._turn = turn
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
        relay, traffic = self.relay, self._traffic
        relay.to_csms, relay.to_station = traffic.to_csms.begin(), traffic.to_station.begin()
        self._csms.begin(self._way(self._station, relay.to_station, to_station), csms.early)
        self._station.begin(self._way(self._csms, relay.to_csms, to_csms), station.early)

    def _way(self, sink: Leg, tally: Tally, translator: Translator | None) -> Way:
        turn = self._turn

        def passed(run: bytes, kinds: tuple[int, ...], size: int) -> None:
            if sink.is_open:
                sink.write(run)
                for kind in kinds:
                    tally[kind] += 1
                tally[BYTES] += size
                tally[AT] = turn.at

        if translator is None:
            return Way(passed, sink.transport, tally, turn, quick=True)
        translate = translator.translate

        def translated(run: bytes, kinds: tuple[int, ...], size: int) -> None:  # noqa: ARG001  of what is compressed
            for part in translate(run):
                passed(*part)

        return Way(translated, sink.transport, tally, turn, quick=False)

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
            self._traffic.to_csms.end(self.relay.to_csms)
            self._traffic.to_station.end(self.relay.to_station)
            self._over(self)
