"""What serving a firmware file costs, beside nginx and vsftpd: ``python -m tests.bench.serve [--rounds N] …``.

The real daemon and its peer serve the same file from one core; the clients have another. CPU counts from the moment
when every client has its connection, and whoever has its file begins anew.
"""

import argparse
import asyncio
import hashlib
import json
import sys
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trustme

from tests.actors.csms import Csms
from tests.actors.daemon import Daemon
from tests.actors.nginx import Nginx
from tests.actors.vsftpd import Vsftpd
from tests.bench.measure import ON_CLIENT_CORE, SERVER_CORE, cpu, late, make_file, memory, pin, ratio

LC: Final = "LC-0001"
CROWDS: Final = (("http", 1), ("http", 16), ("http", 200), ("https", 16), ("https", 200), ("ftp", 16), ("ftp", 100))
PROTOCOLS: Final = frozenset(protocol for protocol, _ in CROWDS)
_BEATS_SECONDS: Final = 60  # what the daemon's own figures of its lag go back


@dataclass(frozen=True, slots=True)
class Sample:
    """One round against one server: bytes a second, CPU seconds a GB, MiB of memory at its end."""

    rate: float
    cpu: float
    memory: float


@dataclass(frozen=True, slots=True)
class Server:
    """Who serves the file where."""

    name: str
    pid: int
    url: str


async def measure(server: Server, clients: int, seconds: float) -> Sample:
    """Load ``server``."""
    command = [sys.executable, "-m", "tests.bench.load", server.url, str(clients), str(seconds)]
    run = await asyncio.create_subprocess_exec(
        *ON_CLIENT_CORE, *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert run.stdin is not None
    assert run.stdout is not None
    assert await run.stdout.readline() == b"go\n"
    before = cpu(server.pid)
    told = json.loads(await run.stdout.readline())
    sample = Sample(
        told["bytes"] / told["seconds"], (cpu(server.pid) - before) / told["bytes"] * 1e9, memory(server.pid)
    )
    run.stdin.close()
    assert await run.wait() == 0
    return sample


class Bench:
    """The daemon with its file published, and its peers."""

    def __init__(self, folder: Path, rounds: int, seconds: float) -> None:
        self._folder = folder
        self._rounds = rounds
        self._seconds = seconds
        self._servers: dict[str, tuple[Server, Server]] = {}
        self._daemon: Daemon
        self._idle = 0.0

    async def open(self, stack: AsyncExitStack) -> None:
        """Start everything and publish."""
        www = self._folder / "www"
        checksum = hashlib.md5(make_file(www / "fw.bin"), usedforsecurity=False).hexdigest()
        files = self._certificate()
        csms = await stack.enter_async_context(Csms())
        origin = await stack.enter_async_context(Nginx(self._folder / "origin", www))
        shelf = self._folder / "lc" / "state" / "firmware"  # the very file: how it lies in memory makes a difference
        nginx = await stack.enter_async_context(Nginx(self._folder / "nginx", shelf))
        sealed = await stack.enter_async_context(Nginx(self._folder / "tls", shelf, certificate=files))
        vsftpd = await stack.enter_async_context(Vsftpd(self._folder / "vsftpd", shelf))
        https = {"listen": "127.0.0.1:0", "cert_file": str(files[0]), "key_file": str(files[1])}
        overrides = {"publish": {"https": https}, "log": {"level": "warning"}}
        self._daemon = await stack.enter_async_context(Daemon(self._folder / "lc", csms.url, overrides))
        await self._daemon.ready()
        await csms.controller()
        request = {"requestId": 1, "location": f"{origin.url}/fw.bin", "checksum": checksum}
        await csms.call(LC, "PublishFirmware", request)
        http, over_tls, ftp = (await csms.wait_status(1, "Published", timeout=120))["location"]
        ours, path = self._daemon.pid, f"{checksum}/fw.bin"
        self._servers = {
            "http": (Server("localctl", ours, http), Server("nginx", nginx.pid, f"{nginx.url}/{path}")),
            "https": (Server("localctl", ours, over_tls), Server("nginx", sealed.pid, f"{sealed.url}/{path}")),
            "ftp": (Server("localctl", ours, ftp), Server("vsftpd", vsftpd.pid, f"{vsftpd.url}/{path}")),
        }
        for pid in (ours, nginx.pid, sealed.pid, vsftpd.pid):
            pin(pid, SERVER_CORE)
        self._idle = memory(ours)

    async def compare(self, protocol: str, clients: int) -> None:
        """Rounds in turn, and a line of the table."""
        ours, peer = self._servers[protocol]
        samples: dict[str, list[Sample]] = {ours.name: [], peer.name: []}
        for number in range(self._rounds):
            for server in (ours, peer) if number % 2 else (peer, ours):
                samples[server.name].append(await measure(server, clients, self._seconds))
        ours_, peer_ = samples[ours.name], samples[peer.name]
        most = max(sample.memory for sample in ours_) - self._idle
        print(
            f"{protocol:6} {clients:4} clients  {ratio(ours_, peer_, lambda each: each.rate):.2f} of {peer.name}'s "
            f"throughput, {ratio(ours_, peer_, lambda each: each.cpu):.2f} of its CPU a GB, +{most:.0f} MiB",
            flush=True,
        )

    async def lag(self, protocol: str, clients: int) -> None:
        """How late the main loop is while ``clients`` are served, for as long as its figures go back."""
        await measure(self._servers[protocol][0], clients, _BEATS_SECONDS)
        main = (await self._daemon.status())["loops"]["main"]
        print(f"{protocol:6} {clients:4} clients  {late(main)}", flush=True)

    def _certificate(self) -> tuple[Path, Path]:
        """An ECDSA P-256 certificate for loopback, and its key."""
        own = trustme.CA(key_type=trustme.KeyType.ECDSA).issue_cert("127.0.0.1", key_type=trustme.KeyType.ECDSA)
        files = self._folder / "own.pem", self._folder / "own.key"
        own.cert_chain_pems[0].write_to_path(str(files[0]))
        own.private_key_pem.write_to_path(str(files[1]))
        return files


async def run(rounds: int, seconds: float, protocols: frozenset[str]) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncExitStack() as stack:
            bench = Bench(Path(folder), rounds, seconds)
            await bench.open(stack)
            for protocol, clients in CROWDS:
                if protocol in protocols:
                    await bench.compare(protocol, clients)
            for protocol in ("http", "https"):
                if protocol in protocols:
                    await bench.lag(protocol, 200)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--protocols", default=",".join(sorted(PROTOCOLS)))
    chosen = parser.parse_args()
    asyncio.run(run(chosen.rounds, chosen.seconds, frozenset(chosen.protocols.split(","))))
