"""One station's two WebSockets: every message of one goes on to the other, and what ends one ends the other. Edge.

Each leg has one reader, which sends a message on before it takes the next: order and back-pressure need nothing
more (Part 4 §6.4). The reader of a leg, and nobody else, says how that leg ended: by then it has passed on all that
came before the end.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from prometheus_client import Counter
from websockets.exceptions import ConnectionClosed

from localctl.metrics import MESSAGE_TYPES, Metrics
from localctl.relay import policy
from localctl.relay.kinds import message_type
from localctl.relay.legs import CLOSE_SECONDS, CsmsLeg, Leg, StationLeg
from localctl.relay.policy import Ending, Side
from localctl.relay.roster import Relay

DRAIN_SECONDS: Final = CLOSE_SECONDS  # for what a leg sent before its end to reach the other one


@dataclass(frozen=True, slots=True)
class Meter:
    """The series that one message moves, looked up once."""

    messages: dict[str, Counter]
    size: Counter
    rejected: dict[str, Counter]

    @classmethod
    def towards(cls, direction: str, metrics: Metrics) -> "Meter":
        """The series of one direction, a label of the metrics."""
        return cls(
            {kind: metrics.relay_messages.labels(direction, kind) for kind in MESSAGE_TYPES},
            metrics.relay_bytes.labels(direction),
            {reason: metrics.relay_rejected_messages.labels(reason) for reason in policy.REJECTED.values()},
        )

    def count(self, payload: bytes) -> None:
        """One message was passed on."""
        self.messages[message_type(payload)].inc()
        self.size.inc(len(payload))


@dataclass(frozen=True, slots=True)
class Meters:
    """Both directions."""

    to_csms: Meter
    to_station: Meter


class Pair:
    """The relay of one station. ``relay`` is its entry in the roster, ``now`` tells Unix seconds."""

    def __init__(
        self, station: StationLeg, csms: CsmsLeg, relay: Relay, meters: Meters, now: Callable[[], float]
    ) -> None:
        self.relay = relay
        self.begun = False
        self._station = station
        self._csms = csms
        self._meters = meters
        self._now = now
        self._ending: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()

    def end(self, ending: Ending) -> None:
        """Close both legs so. The first ending counts."""
        if not self._ending.done():
            self._ending.set_result(ending)

    def abort(self) -> None:
        """Drop both TCP connections at once."""
        self._station.transport.abort()
        self._csms.transport.abort()

    async def run(self) -> Ending:
        """Relay until either side ends or ``end`` is called; returns when both legs are closed."""
        self.begun = True
        name = f"relay {self.relay.identity}"
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass_to_csms(), name=f"{name}: to the CSMS")
                group.create_task(self._pass_to_station(), name=f"{name}: to the station")
                ending = await self._ended()
                group.create_task(self._station.shut(ending.code, ending.reason), name=f"{name}: close the station")
                group.create_task(self._csms.shut(ending.code, ending.reason), name=f"{name}: close the CSMS")
        finally:
            self.abort()
        return ending

    async def _ended(self) -> Ending:
        """The ending, in at most DRAIN_SECONDS once a leg is lost: its reader may wait for the other leg to take."""
        any_end: set[asyncio.Future[Ending] | asyncio.Future[None]]
        any_end = {self._ending, self._station.lost, self._csms.lost}
        await asyncio.wait(any_end, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({self._ending}, timeout=DRAIN_SECONDS)
        self.end(policy.FAILED)
        return self._ending.result()

    async def _pass_to_csms(self) -> None:
        relay, meter = self.relay, self._meters.to_csms
        while (message := await self._next(self._station, "station", meter)) is not None:
            if await _send(self._csms, message, meter):
                relay.messages_to_csms += 1
                relay.last_message_at = self._now()

    async def _pass_to_station(self) -> None:
        relay, meter = self.relay, self._meters.to_station
        while (message := await self._next(self._csms, "csms", meter)) is not None:
            if await _send(self._station, message, meter):
                relay.messages_to_station += 1

    async def _next(self, leg: Leg, side: Side, meter: Meter) -> str | bytes | None:
        """The leg's next message; None when it has ended, which ends the relay."""
        try:
            return await leg.recv()
        except ConnectionClosed as closed:
            received = None if closed.rcvd is None else (int(closed.rcvd.code), closed.rcvd.reason)
            failed = None if closed.sent is None or closed.rcvd_then_sent else int(closed.sent.code)
            if failed in policy.REJECTED and not self._ending.done():
                meter.rejected[policy.REJECTED[failed]].inc()
            self.end(policy.ending(side, received, failed))
            return None


async def _send(leg: Leg, message: str | bytes, meter: Meter) -> bool:
    """Whether ``leg`` took the message. Where it has ended its own reader says how; what still comes is dropped."""
    text = isinstance(message, str)
    payload = message.encode() if isinstance(message, str) else message
    try:
        await leg.send(payload, text=text)
    except ConnectionClosed:
        return False
    meter.count(payload)
    return True
