"""Where stations come in: the CSMS is dialled first, then the station is answered what the CSMS answered. Edge.

So neither side can tell that the controller is there (Part 4 §6.1): the station gets the CSMS's subprotocol or its
refusal, the CSMS the station's own URL and credentials. Until the answer is there the station's frames wait in its
WebSocket's queue. Everything that a station holds here it gives back when its TCP connection ends.
"""

import asyncio
import logging
import ssl
import time
from collections.abc import Callable
from typing import Any, Final, cast

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from localctl.config import Csms, Stations
from localctl.errors import ListenError
from localctl.metrics import Metrics
from localctl.relay import policy
from localctl.relay.answer import accepted, offered, refused
from localctl.relay.dial import QUIET, Target, dial_while
from localctl.relay.legs import CLOSE_SECONDS, QUEUE_FRAMES, CsmsLeg, StationLeg
from localctl.relay.pair import Meter, Meters, Pair
from localctl.relay.policy import Refusal
from localctl.relay.roster import Relay, RelayedStation, Roster
from localctl.values import Address

REQUEST_SECONDS: Final = 10.0  # for a station to send its request; the CSMS's time to answer comes on top
STOP_SECONDS: Final = 2 * CLOSE_SECONDS  # for all relays to close
_BACKLOG: Final = 1024  # a site's stations come back at once after a power cut
_SILENT: Final = frozenset({"csms_unreachable", "csms_invalid"})  # results of a CSMS that does not answer stations
_LOG: Final = logging.getLogger("localctl.relay")


class Door:
    """The stations' listener and every relay behind it. ``now`` tells Unix seconds."""

    def __init__(
        self,
        stations: Stations,
        csms: Csms,
        own_identity: str,
        csms_tls: ssl.SSLContext | None,
        metrics: Metrics,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._settings = stations
        self._own_identity = own_identity
        self._metrics = metrics
        self._now = now
        self._target = Target.of(csms, csms_tls, stations.max_message_size)
        self._meters = Meters(Meter.towards("to_csms", metrics), Meter.towards("to_station", metrics))
        self._roster = Roster(stations.max_stations)
        self._present: set[StationLeg] = set()
        self._pairs: dict[Relay, Pair] = {}
        self._leaving = False
        self._csms_silent = False
        self._server: Server | None = None

    async def start(self) -> Address:
        """Bind ``stations.ws.listen`` and let stations in; the address bound. Raises ListenError."""
        key, ws = "stations.ws.listen", self._settings.ws
        if ws is None:
            raise ListenError(key, "any address", "there is no section [stations.ws]; add it")
        try:
            self._server = await self._serve(ws.listen)
        except OSError as fault:
            raise ListenError(key, str(ws.listen), fault.strerror or str(fault)) from fault
        host, port = self._server.sockets[0].getsockname()[:2]
        return Address(host, port)

    async def _serve(self, listen: Address) -> Server:
        ping = self._settings.ping_interval_seconds or None
        return await serve(
            self._relay,
            listen.host,
            listen.port,
            process_request=self._answer,
            # A wrapper will do, says `websockets`; its annotation knows types only.
            create_connection=cast("type[ServerConnection]", self._leg),
            server_header=None,  # the CSMS's, or none
            open_timeout=REQUEST_SECONDS + self._target.connect_timeout,
            ping_interval=ping,
            ping_timeout=ping,  # a station has as long to answer as lies between two pings
            close_timeout=CLOSE_SECONDS,
            max_size=self._target.max_size,
            max_queue=QUEUE_FRAMES,
            logger=QUIET,
            backlog=_BACKLOG,
        )

    def refuse(self) -> None:
        """From now on new stations get 503; those that are relayed stay."""
        self._leaving = True

    async def stop(self) -> None:
        """Close the listener and, with 1001, every relay; returns when nothing is left, after STOP_SECONDS at most."""
        self.refuse()
        if self._server is None:
            return
        self._server.close(close_connections=False)
        for leg in [leg for leg in self._present if leg.relay is None]:
            leg.transport.abort()
        for pair in self._pairs.values():
            pair.end(policy.STOPPING)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._server.wait_closed()
        except TimeoutError:
            self._abort()
            await self._server.wait_closed()

    def _abort(self) -> None:
        for leg in tuple(self._present):
            leg.transport.abort()
        for pair in tuple(self._pairs.values()):
            pair.abort()

    def stations(self) -> tuple[RelayedStation, ...]:
        """The stations that are relayed now."""
        return self._roster.stations()

    def _leg(self, protocol: ServerProtocol, server: Server, **settings: Any) -> StationLeg:
        leg = StationLeg(protocol, server, **settings)
        leg.present = self._present
        return leg

    async def _answer(self, connection: ServerConnection, request: Request) -> Response:
        """The answer to a station's handshake."""
        station = cast("StationLeg", connection)
        # What is no WebSocket handshake is answered by `websockets` (400, 405, 426, 505), before anything is dialled.
        answer = station.protocol.accept(request)
        if answer.status_code != 101:
            self._count("failed")
            _LOG.debug("%s sent what is no WebSocket handshake: HTTP %s", _peer(station), answer.status_code)
            return answer
        relay = Relay(policy.identity_of(request.path), _peer(station))
        try:
            refusal = await self._ask(station, relay, request, answer)
        except Exception:  # a fault of ours: `websockets` answers 500, and its logger is quiet
            _LOG.exception("the handshake of station %r at %s failed", relay.identity, relay.peer)
            raise
        if refusal is None:
            return answer
        self._count(refusal.result)
        _LOG.log(_level(refusal), "station %r at %s is refused: %s", relay.identity, relay.peer, refusal.why)
        return refused(refusal)

    async def _ask(self, station: StationLeg, relay: Relay, request: Request, answer: Response) -> Refusal | None:
        """Ask the house, then the CSMS; ``answer`` becomes the CSMS's where that accepts."""
        refusal = policy.judge(relay.identity, self._own_identity, self._settings.allowed_identities)
        if self._leaving or refusal is not None:
            return refusal if refusal is not None else policy.LEAVING
        offer = policy.offer(offered(request), self._settings.ocpp_versions)
        if not offer:  # OCPP-J 3.2: 101 without a subprotocol, and closed at once
            self._count("subprotocol")
            _LOG.info("station %r at %s offers no OCPP version that may be relayed", relay.identity, relay.peer)
            return None
        if not self._roster.expect(relay):
            return policy.FULL
        station.lost.add_done_callback(lambda _: self._left(relay))
        headers = policy.passed_on(request.headers.raw_items())
        csms = await dial_while(station.lost, self._target, request.path, offer, headers)
        if isinstance(csms, Refusal):
            self._heard(csms)
            return csms
        self._join(station, csms, relay, answer)
        return None

    def _join(self, station: StationLeg, csms: CsmsLeg | None, relay: Relay, answer: Response) -> None:
        """The CSMS has accepted the station, unless the station has gone meanwhile."""
        if csms is None or station.lost.done():
            self._count("failed")
            if csms is not None:
                csms.transport.abort()
            return
        self._heard(None)
        accepted(answer, csms)
        self._pairs[relay] = Pair(station, csms, relay, self._meters, self._now)
        station.relay = relay
        replaced = self._roster.join(relay, policy.ocpp_version(csms.subprotocol), self._now())
        if replaced is not None and replaced in self._pairs:
            self._pairs[replaced].end(policy.REPLACED)
        self._count("accepted")
        self._metrics.stations_connected.set(len(self._roster))

    async def _relay(self, connection: ServerConnection) -> None:
        """The station has got its 101."""
        station = cast("StationLeg", connection)
        relay = station.relay
        if relay is None:
            await station.shut(1002)
            return
        _LOG.info("station %r at %s is relayed, OCPP %s", relay.identity, relay.peer, relay.ocpp_version or "unknown")
        try:
            ending = await self._pairs[relay].run()
        except Exception:  # noqa: BLE001  a fault of ours in one relay ends no other
            _LOG.exception("the relay of station %r failed", relay.identity)
            ending = policy.FAILED
        finally:
            del self._pairs[relay]
        self._metrics.station_disconnects.labels(ending.cause).inc()
        _LOG.info("station %r is no longer relayed: %s, code %s", relay.identity, ending.cause, ending.code)

    def _left(self, relay: Relay) -> None:
        """The station's TCP connection has ended."""
        self._roster.leave(relay)
        self._metrics.stations_connected.set(len(self._roster))
        pair = self._pairs.get(relay)
        if pair is not None and not pair.begun:  # its 101 never reached it
            pair.abort()
            del self._pairs[relay]

    def _heard(self, refusal: Refusal | None) -> None:
        """Say once that the CSMS does not answer stations, and once that it does again."""
        silent = refusal is not None and refusal.result in _SILENT
        if silent and not self._csms_silent and refusal is not None:
            _LOG.warning("stations cannot be relayed: %s", refusal.why)
        if self._csms_silent and not silent:
            _LOG.info("the CSMS answers stations again")
        self._csms_silent = silent

    def _count(self, result: str) -> None:
        self._metrics.station_handshakes.labels(result).inc()


def _level(refusal: Refusal) -> int:
    if refusal is policy.OWN_IDENTITY:  # a security event
        return logging.WARNING
    # A CSMS that is away for days is one warning (_heard), not a line a station and a try.
    return logging.DEBUG if refusal.result in _SILENT else logging.INFO


def _peer(station: StationLeg) -> str:
    address = station.remote_address
    return str(address[0]) if address else "an address unknown"
