"""The listeners that stations come to: opened, refusing, closed. Edge.

A socket that outlives us (``wire/binding``) is left to the next localctl at a stop: whoever it has given us is still
answered, whoever comes later waits in it. On one of our own he is refused.
"""

import ssl
from collections.abc import Callable
from functools import partial
from typing import Final

from localctl.relay.arrival import Arrival
from localctl.starvation import Starvation
from localctl.station_sections import Stations
from localctl.values import Address
from localctl.wire.binding import Bind, Bound
from localctl.wire.listener import Listener
from localctl.wire.readiness import Readiness

BACKLOG: Final = 1024  # a site's stations come back at once after a power cut

Failed = Callable[[str, OSError | ValueError], None]  # a TLS handshake: whose, and why


class Gates:
    """By the names of their sections. ``tls`` is what [stations.wss] shows; ``arrive`` takes in who comes to a name."""

    def __init__(
        self, stations: Stations, tls: ssl.SSLContext | None, arrive: Callable[[str], Arrival], failed: Failed
    ) -> None:
        self._stations = stations
        self._tls = tls
        self._arrive = arrive
        self._failed = failed
        self._starvation = Starvation()
        self._open: dict[str, tuple[Listener, Bound]] = {}
        self._refusing: set[str] = set()

    def open(self, bind: Bind, turn: Readiness) -> dict[str, Address]:
        """Bind, and let stations in; the addresses bound. Raises ListenError."""
        ws, wss = self._stations.ws, self._stations.wss
        if ws:
            self._listen("stations.ws", bind("stations.ws.listen", ws.listen, BACKLOG), None, turn)
        if wss and self._tls:
            self._listen("stations.wss", bind("stations.wss.listen", wss.listen, BACKLOG), self._tls, turn)
        return {name: bound.address for name, (_, bound) in self._open.items()}

    def _listen(self, name: str, bound: Bound, tls: ssl.SSLContext | None, turn: Readiness) -> None:
        arrive = partial(self._arrive, name)
        listener = Listener(bound.sock, tls, arrive, self._starvation, f"{name}.listen", self._failed, turn)
        listener.open()
        self._open[name] = listener, bound

    def refuse(self) -> None:
        """From now on who is new is refused, or waits in a lasting socket."""
        for name, (listener, bound) in self._open.items():
            if bound.lasting:
                listener.leave()
            else:
                self._refusing.add(name)

    def refuses(self, name: str) -> bool:
        """Whether those who come there are refused."""
        return name in self._refusing

    def is_answering(self, names: set[str]) -> bool:
        """Whether a lasting socket has given us somebody who is not answered yet; ``names`` are where such came in."""
        return any(
            bound.lasting and (listener.is_shaking or name in names) for name, (listener, bound) in self._open.items()
        )

    def close(self) -> None:
        """Close all of them."""
        for listener, bound in self._open.values():
            listener.close()
            bound.sock.close()
        self._open.clear()
