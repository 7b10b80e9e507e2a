"""Every listener of the configuration: opened together, told to the world, closed in order."""

import asyncio
import json
import logging
import secrets
import socket
import ssl
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final

import aiofiles
import aiofiles.os

from localctl.admin.desk import Desk
from localctl.admin.views import Hands, Views
from localctl.config import Config, Stations
from localctl.lan import published_host
from localctl.metrics import Metrics
from localctl.pulse import Pulse
from localctl.relay.door import Door, Security
from localctl.relay.passwords import Passwords
from localctl.renewal import LOOK_SECONDS, Certificate, Files, StationCertificates
from localctl.serve.ftp import FtpServer
from localctl.serve.http import HttpServer
from localctl.starvation import Starvation
from localctl.store.catalogue import Catalogue
from localctl.store.names import published_uri
from localctl.systemd import socket_path
from localctl.tls import server_context
from localctl.values import WILDCARDS, Address
from localctl.wire import tcp
from localctl.wire.binding import Binding

log = logging.getLogger("localctl.listeners")

FILE: Final = "listeners.json"  # in the state directory, for whoever must find a port that was 0
SCHEMES: Final = ("http", "https", "ftp")  # the order of URIs in a Published notification


class Listeners:
    """``addresses`` are those bound, by the names of their sections ("stations.ws", "publish.http", "admin"); ``told``
    is what is told of them, and of the socket ("admin.socket"); ``certificates`` are those that they show. Sockets that
    were ``handed_over`` to us are used before any of our own.

    Raises ConfigurationError where a certificate of theirs does not load.
    """

    def __init__(
        self,
        config: Config,
        catalogue: Catalogue,
        csms_tls: ssl.SSLContext | None,
        metrics: Metrics,
        handed_over: Iterable[socket.socket] = (),
    ) -> None:
        publish, stations, identity = config.publish, config.stations, config.controller.identity
        idle = publish.idle_timeout_seconds
        self.addresses: dict[str, Address] = {}
        self.told: dict[str, str] = {}
        self._certificates = StationCertificates(stations.wss, metrics) if stations.wss else None
        self.certificates = list(self._certificates.files) if self._certificates else []
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="password")
        self._passwords = self._passwords_of(stations)
        shown = self._certificates.context if self._certificates else None
        security = Security(csms_tls, shown, self._passwords)
        asked = stations.ws or stations.wss
        self.door = Door(stations, config.csms, identity, security, metrics) if asked else None
        self._http = HttpServer(publish.http.listen, idle, catalogue, metrics) if publish.http else None
        self._https = self._https_server(config, catalogue, metrics)
        self._ftp = self._ftp_server(config, catalogue, metrics)
        self._starvation = Starvation()
        self._desk = Desk(config.admin, metrics)
        self._binding = Binding(handed_over)
        self._config = config
        self._attendance = metrics.attendance
        self._attendance.keep(config.told_apart())

    def prepare(self, config: Config) -> Callable[[], None]:
        """What then has all of them live by ``config``, which differs in keys that allow that. In any thread.

        Raises ConfigurationError where the stations' passwords are of no use.
        """
        known = (self._config.stations.authentication, self._config.stations.password_file)
        same = known == (config.stations.authentication, config.stations.password_file)
        return partial(self._reconfigure, config, self._passwords if same else self._passwords_of(config.stations))

    def _reconfigure(self, config: Config, passwords: Passwords | None) -> None:
        self._config, self._passwords = config, passwords
        if self.door:
            self.door.reconfigure(config.stations, config.csms, passwords)
        for server in self._servers:
            server.reconfigure(config.publish)
        self._desk.reconfigure(config.admin)
        present = self.door.relays() if self.door else ()
        self._attendance.keep(config.told_apart(), [relay.identity for relay in present])

    @property
    def pulses(self) -> tuple[Pulse, ...]:
        """Those of the serving threads."""
        return tuple(server.pulse for server in self._servers)

    @property
    def _servers(self) -> tuple[HttpServer | FtpServer, ...]:
        return tuple(server for server in (self._http, self._https, self._ftp) if server)

    async def open(self) -> None:
        """Bind all of them; stations are relayed from now on. Raises ListenError; what is bound by then is for
        ``close``.
        """
        for server in self._servers:
            self.addresses[f"publish.{server.pulse.loop}"] = server.bind(self._binding.bind)
        admin = self._desk.bind(socket_path(self._config.controller.state_dir), self._binding.bind)
        self.addresses |= {"admin": admin} if admin else {}
        if self.door:
            self.addresses |= await self.door.start(self._binding.bind)
        self._binding.shut_out()
        self.told |= {name: str(address) for name, address in self.addresses.items()}
        self.told |= {"admin.socket": str(self._desk.path)} if self._desk.path else {}
        for name, place in self.told.items():
            log.info("listening on %s for %s", place, name)
        await self._write()

    async def serve(self, views: Views, hands: Hands) -> None:
        """Have the others answer too, for which more must be loaded; who has come meanwhile has waited."""
        for server in self._servers:
            server.serve()
        await self._desk.serve(views, hands)

    async def close(self, grace: float) -> None:
        """Refuse what is new, give transfers ``grace`` seconds, then close relays and all else."""
        self._binding.close()
        for listener in (self.door, *self._servers):
            if listener:
                listener.refuse()
        await asyncio.gather(*(asyncio.to_thread(server.stop, grace) for server in self._servers))
        if self.door:
            await self.door.stop()
        await self._desk.close()

    def chores(self) -> dict[str, Coroutine[Any, Any, None]]:
        """What is to run beside the listeners, by name."""
        chores = {"stations' passwords": self._watch_passwords()}
        return chores | ({"stations' certificates": self._certificates.watch()} if self._certificates else {})

    async def _watch_passwords(self) -> None:
        """Look for ever whether their file has changed, where there is one."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if self._passwords:
                await self._passwords.look()

    def on_loop_fault(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """The main loop's exception handler: a listener of it that lacks descriptors is told seldom, by its key."""
        if not self._starvation.is_behind(context.get("exception"), self._key_of(context.get("socket"))):
            loop.default_exception_handler(context)

    def uris(self, checksum: str, name: str) -> tuple[str, ...]:
        """One URI for each listener under [publish] (L03.FR.03, FR.04)."""
        return tuple(
            published_uri(scheme, self._published_host(scheme, address), address.port, checksum, name)
            for scheme in SCHEMES
            if (address := self.addresses.get(f"publish.{scheme}"))
        )

    def _passwords_of(self, stations: Stations) -> Passwords | None:
        if stations.authentication != "local":
            return None
        return Passwords(stations.password_file, self._threads, secrets.token_bytes(32))

    def _published_host(self, scheme: str, bound: Address) -> str:
        """A socket that was handed over for every address leaves it to the configuration to name one."""
        named = self._config.listeners()[f"publish.{scheme}.listen"]
        return published_host(self._config.publish.host, named if bound.host in WILDCARDS else bound)

    def _key_of(self, sock: tcp.Socket | None) -> str:
        place = sock.getsockname()[:2] if sock else ()
        for name, address in self.addresses.items():
            if place == (address.host, address.port):
                return f"{name}.listen"
        return "admin.socket"

    def _ftp_server(self, config: Config, catalogue: Catalogue, metrics: Metrics) -> FtpServer | None:
        ftp, idle = config.publish.ftp, config.publish.idle_timeout_seconds
        if ftp is None:
            return None
        certificate = Files("publish.ftp", ftp.cert_file, ftp.key_file, metrics) if ftp.cert_file else None
        self.certificates += [certificate] if certificate else []
        return FtpServer(ftp.listen, ftp.passive_ports, idle, catalogue, metrics, certificate)

    def _https_server(self, config: Config, catalogue: Catalogue, metrics: Metrics) -> HttpServer | None:
        https = config.publish.https
        if https is None:
            return None
        files = Files("publish.https", https.cert_file, https.key_file, metrics)
        self.certificates.append(files)
        certificate = Certificate(files, lambda: server_context(files.section, files.cert_file, files.key_file))
        return HttpServer(https.listen, config.publish.idle_timeout_seconds, catalogue, metrics, certificate)

    async def _write(self) -> None:
        path = Path(self._config.controller.state_dir) / FILE
        draft = path.with_suffix(".new")
        try:
            async with aiofiles.open(draft, "w") as file:
                await file.write(json.dumps(self.told))
            await aiofiles.os.replace(draft, path)
        except OSError as fault:  # a full disk: stations are relayed all the same
            log.warning("%s cannot be written: %s; make room on the disk", path, fault.strerror)
