"""The stations' listeners: what a stop means for our own sockets and for those that were handed over."""

import asyncio
import socket
from collections.abc import Callable
from typing import Final

from localctl.relay.arrival import Arrival
from localctl.relay.gates import Gates
from localctl.station_sections import Stations
from localctl.values import Address
from localctl.wire.binding import Bind, Bound, own
from localctl.wire.readiness import Readiness

LOCAL: Final = Address("127.0.0.1", 0)
STATIONS: Final = Stations.model_validate({"ws": {"listen": "127.0.0.1:0"}})


def lasting(key: str, address: Address, backlog: int) -> Bound:
    """A socket as systemd hands it over."""
    return Bound(own(key, address, backlog).sock, lasting=True)


async def opened(bind: Bind, came: Callable[[Arrival], None]) -> tuple[Gates, Readiness, Address]:
    """Gates, what turns for them, and where they are."""

    async def greet(*_: object) -> None:
        """Nobody gets so far."""

    def arrive(name: str) -> Arrival:
        return Arrival(name, came, greet, lambda _: None, lambda _: None)

    gates, turn = Gates(STATIONS, None, arrive, lambda *_: None), Readiness()
    return gates, turn, gates.open(bind, turn)["stations.ws"]


async def test_our_own_socket_refuses() -> None:
    """At a stop whoever comes is taken in, and told that he is refused; nobody is waited for."""
    came: asyncio.Queue[Arrival] = asyncio.Queue()
    gates, turn, address = await opened(own, came.put_nowait)
    assert not gates.refuses("stations.ws")
    gates.refuse()
    with socket.create_connection((address.host, address.port)):
        arrival = await came.get()
    assert gates.refuses(arrival.listener)
    assert not gates.is_answering({arrival.listener})
    arrival.transport.abort()
    gates.close()
    turn.close()


async def test_a_lasting_socket_keeps_who_comes() -> None:
    """Whom it has given us is answered, never refused; whoever comes after the stop waits in it."""
    came: asyncio.Queue[Arrival] = asyncio.Queue()
    gates, turn, address = await opened(lasting, came.put_nowait)
    with socket.create_connection((address.host, address.port)):
        arrival = await came.get()
        gates.refuse()
        assert not gates.refuses(arrival.listener)
        assert gates.is_answering({arrival.listener})
        assert not gates.is_answering(set())
        with socket.create_connection((address.host, address.port)):
            await asyncio.sleep(0)
            assert came.empty()
        arrival.transport.abort()
    gates.close()
    turn.close()
