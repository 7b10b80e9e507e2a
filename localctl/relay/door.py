"""Where stations come in: the CSMS is dialled first, then the station is answered what the CSMS answered. Edge.

So neither side can tell that the controller is there (Part 4 §6.1): the station gets the CSMS's subprotocol or its
refusal, the CSMS the station's own URL and credentials. Until the answer is there, what the station says waits.
"""

import asyncio
import logging
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from websockets.frames import Close, CloseCode, Frame, Opcode
from websockets.http11 import Request, Response

from localctl.config import Csms, Stations
from localctl.metrics import Metrics
from localctl.relay import deflate, policy
from localctl.relay.arrival import Arrival
from localctl.relay.dial import Target, Upstream, dial
from localctl.relay.gates import Gates
from localctl.relay.guard import Guard
from localctl.relay.handshake import EXTENSIONS, accepted, offered, refused
from localctl.relay.legs import CLOSE_SECONDS, Manner
from localctl.relay.pacing import Pacing
from localctl.relay.pair import End, Pair
from localctl.relay.passwords import Passwords
from localctl.relay.policy import Refusal
from localctl.relay.roster import Relay, RelayedStation, Roster
from localctl.values import Address
from localctl.wire.binding import SETTLE_SECONDS, Bind, own
from localctl.wire.readiness import Readiness

STOP_SECONDS: Final = 2 * CLOSE_SECONDS  # for all relays to close
_SILENT: Final = frozenset({"csms_unreachable", "csms_invalid"})  # results of a CSMS that does not answer stations
_LOG: Final = logging.getLogger("localctl.relay")


@dataclass(frozen=True, slots=True)
class Security:
    """How the CSMS is spoken to, what [stations.wss] shows, and the site's own passwords; where they are asked for."""

    csms: ssl.SSLContext | None = None
    stations: ssl.SSLContext | None = None
    passwords: Passwords | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """What counts for one station, from its request to its end."""

    stations: Stations
    target: Target


class Door:
    """The stations' listeners and every relay behind them. ``now`` tells Unix seconds."""

    def __init__(
        self,
        stations: Stations,
        csms: Csms,
        own_identity: str,
        security: Security,
        metrics: Metrics,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._settings = stations
        self._own_identity = own_identity
        self._metrics = metrics
        self._now = now
        self._target = Target.of(csms, security.csms)
        self._gates = Gates(stations, security.stations, self._arrival, self._tls_failed)
        self._roster = Roster(stations.max_stations)
        self._guard = Guard(stations, security.passwords, metrics)
        self._pacing = Pacing(csms.max_dials_per_second, stations.max_stations)
        self._arrivals: dict[Arrival, Relay | None] = {}
        self._pairs: dict[Relay, Pair] = {}
        self._empty = asyncio.Event()
        self._csms_silent = False
        self._turn: Readiness | None = None

    def reconfigure(self, stations: Stations, csms: Csms, passwords: Passwords | None) -> None:
        """For stations that come from now on; those that are relayed, or being asked for, keep what they came under."""
        self._settings = stations
        self._target = self._target.with_settings(csms)
        self._roster.max_stations = stations.max_stations
        self._guard.reconfigure(stations, passwords)
        self._pacing.reconfigure(csms.max_dials_per_second, stations.max_stations)

    async def start(self, bind: Bind = own) -> dict[str, Address]:
        """Bind, and let stations in; the addresses bound, by the names of their sections. Raises ListenError."""
        self._turn = Readiness()
        return self._gates.open(bind, self._turn)

    def _arrival(self, listener: str) -> Arrival:
        return Arrival(listener, self._came, self._greet, lambda _: self._count("failed"), self._left)

    def _came(self, arrival: Arrival) -> None:
        self._arrivals[arrival] = None
        self._empty.set()

    def _tls_failed(self, peer: str, fault: OSError | ValueError) -> None:
        self._count("tls")
        self._empty.set()
        self._guard.tls_failed(fault)
        _LOG.info("the TLS handshake of the station at %s failed: %s", peer, fault)

    def refuse(self) -> None:
        """From now on new stations get 503, or wait in a lasting socket; those that are relayed stay."""
        self._gates.refuse()

    async def stop(self) -> None:
        """Close the listeners and, with 1001, every relay; returns when nothing is left, after STOP_SECONDS at most."""
        self.refuse()
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_SECONDS):
                await self._answered()
        self._gates.close()
        for arrival in tuple(self._arrivals):
            arrival.transport.abort()
        for pair in tuple(self._pairs.values()):
            pair.end(policy.STOPPING)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._emptied()
        except TimeoutError:
            for pair in tuple(self._pairs.values()):
                pair.abort()
            await self._emptied()
        if self._turn:
            self._turn.close()

    async def _answered(self) -> None:
        """Those whom a lasting socket has given us are told what becomes of them."""
        while self._gates.is_answering({arrival.listener for arrival in self._arrivals}):
            self._empty.clear()
            await self._empty.wait()

    async def _emptied(self) -> None:
        while self._pairs or self._arrivals:
            self._empty.clear()
            await self._empty.wait()

    def stations(self) -> tuple[RelayedStation, ...]:
        """The stations that are relayed now."""
        return self._roster.stations()

    def relays(self) -> tuple[Relay, ...]:
        """The same, to be looked at one by one."""
        return self._roster.relays()

    async def _greet(self, arrival: Arrival, request: Request, answer: Response) -> None:
        """Ask the house, then the CSMS, and tell the station."""
        relay = Relay(policy.identity_of(request.path), arrival.peer)
        self._arrivals[arrival] = relay
        rules = Rules(self._settings, self._target)
        refusal = await self._admit(arrival, relay, request, rules.stations)
        refusal = refusal or await self._ask(arrival, relay, request, answer, rules)
        if refusal is None:
            return
        self._settle(arrival, refusal.result)
        self._roster.leave(relay)
        _LOG.log(_level(refusal), "station %r at %s is refused: %s", relay.identity, relay.peer, refusal.why)
        if not await self._guard.hold_back(refusal, arrival.listener, relay.peer):
            arrival.transport.abort()
        elif refusal.status == 101:
            close = Frame(Opcode.CLOSE, Close(CloseCode.PROTOCOL_ERROR, "").serialize())
            arrival.say_goodbye(answer.serialize() + close.serialize(mask=False))
        else:
            arrival.refuse(refused(refusal))

    async def _admit(self, arrival: Arrival, relay: Relay, request: Request, rules: Stations) -> Refusal | None:
        """Whether the house lets the station in, which then has a place."""
        refusal = policy.judge(relay.identity, self._own_identity, rules.allowed_identities)
        if self._gates.refuses(arrival.listener) or refusal is not None:
            return refusal if refusal is not None else policy.LEAVING
        if not policy.offer(offered(request), rules.ocpp_versions):
            return policy.NO_VERSION
        shown, told = arrival.certificate, ", ".join(request.headers.get_all("Authorization"))
        refusal = await self._guard.judge(relay.identity, shown, told)
        if refusal is None and not (self._roster.expect(relay) and await self._pacing.turn()):
            return policy.FULL
        return refusal

    async def _ask(
        self, arrival: Arrival, relay: Relay, request: Request, answer: Response, rules: Rules
    ) -> Refusal | None:
        """Whether the CSMS does, which is dialled for it; then it is relayed."""
        offer = policy.offer(offered(request), rules.stations.ocpp_versions)
        inspect = self._guard.inspector(arrival.certificate)
        values = () if inspect else request.headers.get_all(EXTENSIONS)  # what is to be looked into comes plain
        offers = deflate.towards_csms(values, compress=rules.target.compress)
        csms = await dial(rules.target, request, offer, offers, self._turn)
        if isinstance(csms, Refusal):
            self._heard(csms)
            return csms
        self._heard(None)
        self._guard.passed(relay.peer)
        if csms.transport.is_closing():
            return policy.unreachable("the CSMS ended the connection")
        try:
            agreed = offers.agreement(csms.response.headers.get_all(EXTENSIONS), csms.deflate)
            if self._join(arrival, csms, relay, accepted(answer, csms.response, csms.subprotocol, agreed.field)):
                limit, every = rules.stations.max_message_size, rules.stations.ping_interval_seconds
                self._pairs[relay].begin(
                    End(arrival.transport, Manner("station", every, limit, bool(agreed.field)), bytes(arrival.early)),
                    End(
                        csms.transport,
                        Manner("csms", rules.target.ping_interval, limit, bool(csms.deflate)),
                        csms.early(),
                    ),
                    *agreed.translators(limit, inspect),
                )
        except BaseException:  # nobody else has its connection yet
            csms.transport.abort()
            raise
        return None

    def _join(self, arrival: Arrival, csms: Upstream, relay: Relay, answer: Response) -> bool:
        """The CSMS has accepted the station, which is told so; False where it has gone meanwhile."""
        if arrival.transport.is_closing():
            csms.transport.abort()
            return False
        self._settle(arrival, "accepted")
        del self._arrivals[arrival]
        self._empty.set()
        arrival.transport.write(answer.serialize())
        assert self._turn  # noqa: S101  a station has come in
        self._pairs[relay] = Pair(relay, self._metrics.traffic, self._turn, self._over)
        replaced = self._roster.join(relay, policy.ocpp_version(csms.subprotocol), self._now())
        if replaced is not None and replaced in self._pairs:
            self._pairs[replaced].end(policy.REPLACED)
        self._attend(relay)
        _LOG.info("station %r at %s is relayed, OCPP %s", relay.identity, relay.peer, relay.ocpp_version or "unknown")
        return True

    def _over(self, pair: Pair) -> None:
        """A relay's TCP connections have ended, both."""
        relay, ending = pair.relay, pair.ending or policy.FAILED
        del self._pairs[relay]
        self._roster.leave(relay)
        self._attend(relay)
        self._metrics.station_disconnects.labels(ending.cause).inc()
        _LOG.info("station %r is no longer relayed: %s, code %s", relay.identity, ending.cause, ending.code)
        self._empty.set()

    def _settle(self, arrival: Arrival, result: str) -> None:
        """How its handshake has come out."""
        self._arrivals[arrival] = None
        self._count(result)

    def _left(self, arrival: Arrival) -> None:
        """A station has gone before a leg took over: unanswered, or refused."""
        relay = self._arrivals.pop(arrival, None)
        if relay:
            self._count("failed")
            self._roster.leave(relay)
        self._empty.set()

    def _heard(self, refusal: Refusal | None) -> None:
        """Say once that the CSMS does not answer stations, and once that it does again."""
        silent = refusal is not None and refusal.result in _SILENT
        if silent and not self._csms_silent and refusal is not None:
            _LOG.warning("stations cannot be relayed: %s", refusal.why)
        if self._csms_silent and not silent:
            _LOG.info("the CSMS answers stations again")
        self._csms_silent = silent

    def _attend(self, relay: Relay) -> None:
        """A station has come or gone."""
        self._metrics.stations_connected.set(len(self._roster))
        self._metrics.attendance.note(relay.identity, present=relay.identity in self._roster)

    def _count(self, result: str) -> None:
        self._metrics.station_handshakes.labels(result).inc()


def _level(refusal: Refusal) -> int:
    if refusal is policy.OWN_IDENTITY:  # a security event
        return logging.WARNING
    # A CSMS that is away for days is one warning (_heard), not a line a station and a try.
    return logging.DEBUG if refusal.result in _SILENT else logging.INFO
