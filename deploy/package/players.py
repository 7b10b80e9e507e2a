"""Who is round the gateway that the package is tried on: a CSMS, an origin, stations, and whoever connects without end.

They play on a copy of the package's own libraries. Run there, by deploy/package/trial.py.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from deploy.package.gateway import PATIENCE, WrongStep, must, say
from localctl.demo import dialects
from localctl.demo.csms import Csms, now
from localctl.demo.fetch import fetch
from localctl.demo.origin import Origin, make_firmware
from localctl.demo.plan import PUBLISHING, UPDATING, Role, Scheme, Version
from localctl.demo.station import Station
from localctl.ocpp.frames import Payload

IDENTITY = "LC-TRIAL"
PORTS = (21, 80, 8887)
_SIZE = 4 * 2**20
_QUICK = float(2**30)  # bytes a second
_STATIONS: tuple[tuple[str, Version, Scheme], ...] = (("CS-01", "1.6", "http"), ("CS-02", "2.0.1", "ftp"))


@dataclass
class Site:
    """The CSMS, and the URIs of what has been published, in their order; ``folder`` is for firmware."""

    csms: Csms
    folder: Path
    published: list[dict[str, str]] = field(default_factory=list)

    async def booted(self) -> None:
        """The controller has told the CSMS that it is there."""
        await self.csms.hear(IDENTITY, "BootNotification", PATIENCE)

    async def play(self, *, low: bool = True) -> None:
        """A file is published, on ports 80 and 21 where they are ``low``; two stations come and fetch it."""
        number = len(self.published) + 1
        file = self.folder / f"station-{number}.0.bin"
        file.parent.mkdir(exist_ok=True)
        checksum = make_firmware(file, _SIZE)
        async with Origin(file, _QUICK) as origin:
            await self._publish(dialects.publish_firmware(origin.location, checksum, number), low=low)
        for identity, version, scheme in _STATIONS:
            await self._update(Role(identity, version, scheme, pauses=False), checksum)

    async def _publish(self, request: Payload, *, low: bool) -> None:
        must(await self.csms.call(IDENTITY, "PublishFirmware", request), {"status": "Accepted"}, "PublishFirmware")
        for status in PUBLISHING:
            told = await self.csms.hear(IDENTITY, "PublishFirmwareStatusNotification", PATIENCE)
            must(told["status"], status, "the CSMS hears")
        uris = {urlsplit(uri).scheme: str(uri) for uri in told["location"]}
        named = (
            {"http": "127.0.0.1", "ftp": "127.0.0.1"} if low else {"http": "127.0.0.1:8080", "ftp": "127.0.0.1:2121"}
        )
        must({scheme: urlsplit(uri).netloc for scheme, uri in uris.items()}, named, "hosts and ports of the URIs")
        say(f"the CSMS hears Published: {' '.join(uris.values())}")
        self.published.append(uris)

    async def _update(self, role: Role, checksum: str) -> None:
        """A station comes through localctl, and fetches its firmware."""
        station = Station(role, _QUICK, None, lambda _: None)
        async with asyncio.TaskGroup() as tasks:
            life = tasks.create_task(station.live("ws://127.0.0.1:8887/ocpp"), name=role.identity)
            await self.csms.hear(role.identity, "BootNotification", PATIENCE)
            uri = self.published[-1][role.scheme]
            request = dialects.update_firmware(role.version, uri, 1, now())
            await self.csms.call(role.identity, "UpdateFirmware", request)
            for status in UPDATING:
                told = await self.csms.hear(role.identity, "FirmwareStatusNotification", PATIENCE)
                must(told["status"], status, role.identity)
        must(life.result().md5, checksum, f"MD5 of {uri}")
        say(f"{role.identity} is relayed, OCPP {role.version}, and has fetched {uri}")

    async def still_served(self) -> None:
        """Everything that was published."""
        for uris in self.published:
            for uri in uris.values():
                must(await fetched(uri), _SIZE, f"bytes of {uri}")
        say(f"what was published before is still served: {len(self.published)} over HTTP and FTP")

    @asynccontextmanager
    async def besieged(self) -> AsyncIterator[None]:
        """Stations connect without end, and fetch the first file: none is refused, none gets less."""
        over, counts = asyncio.Event(), {"connections": 0, "downloads": 0}
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_connecting(over, counts), name="connecting")
            tasks.create_task(_fetching(self.published[0]["http"], over, counts), name="fetching")
            try:
                yield
            finally:
                over.set()
        say(f"{counts['connections']} connections meanwhile, none refused; {counts['downloads']} downloads, all whole")


async def fetched(uri: str) -> int:
    """The bytes of a download."""
    received = 0

    async def take(piece: bytes) -> None:
        nonlocal received
        received += len(piece)

    await fetch(uri, take)
    return received


async def _connecting(over: asyncio.Event, counts: dict[str, int]) -> None:
    while not over.is_set():
        for port in PORTS:
            try:
                await asyncio.to_thread(lambda at: socket.create_connection(("127.0.0.1", at), PATIENCE).close(), port)
            except OSError as fault:
                raise WrongStep(f"a connection to port {port}: {fault}") from fault
            counts["connections"] += 1
        await asyncio.sleep(0.05)


async def _fetching(uri: str, over: asyncio.Event, counts: dict[str, int]) -> None:
    while not over.is_set():
        must(await fetched(uri), _SIZE, f"bytes of {uri}")
        counts["downloads"] += 1
        await asyncio.sleep(0.2)
