"""Where a relay is measured: its certificates, its CSMS, its core, and who else wants something of it."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import trustme

from tests.actors.daemon import Daemon
from tests.bench.measure import ON_CLIENT_CORE, ON_SERVER_CORE


class Certificates:
    """Of one authority: stations know us as 127.0.0.1, the CSMS is localhost (Part 4 6.5 has the two differ)."""

    def __init__(self, folder: Path) -> None:
        self.roots, self.own, self.csms = folder / "roots.pem", folder / "own.pem", folder / "csms.pem"
        authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
        authority.cert_pem.write_to_path(str(self.roots))
        for file, name in ((self.own, "127.0.0.1"), (self.csms, "localhost")):
            leaf = authority.issue_cert(name, key_type=trustme.KeyType.ECDSA)
            leaf.private_key_and_cert_chain_pem.write_to_path(str(file))


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a proxy runs: with TLS on both legs if ``tls``; ``shelf`` is a folder of firmware that nginx serves.

    ``on`` is the command that runs it on its core.
    """

    folder: Path
    csms: int
    certificates: Certificates
    tls: bool = False
    deflate: bool = False
    shelf: Path = Path("/nonexistent")
    on: Sequence[str] = ON_SERVER_CORE

    @property
    def csms_url(self) -> str:
        """The CSMS without a path."""
        return f"wss://localhost:{self.csms}" if self.tls else f"ws://127.0.0.1:{self.csms}"


@dataclass(frozen=True, slots=True)
class Proxy:
    """One that runs: ``port`` is the stations'; ``files`` is where it serves firmware, by protocol."""

    name: str
    pid: int
    port: int
    files: Mapping[str, str] = field(default_factory=dict)
    daemon: Daemon | None = None


@asynccontextmanager
async def downloads(url: str, how_many: int) -> AsyncIterator[None]:
    """Clients that fetch ``url`` all the time, if it is any; stations with messages and the kernel go before them."""
    if not url:
        yield
        return
    command = (*ON_CLIENT_CORE, "nice", "-n", "19", sys.executable, "-m", "tests.bench.load", url)
    run = await asyncio.create_subprocess_exec(
        *command, str(how_many), "3600", stdout=asyncio.subprocess.PIPE, start_new_session=True
    )
    try:
        with suppress(OSError):  # the kernel has no groups by session, in which nice holds only among themselves
            Path(f"/proc/{run.pid}/autogroup").write_text("19", encoding="ascii")
        assert run.stdout is not None
        assert await run.stdout.readline() == b"go\n"
        yield
        assert run.returncode is None, "the downloads have ended"
    finally:
        with suppress(ProcessLookupError):
            run.kill()
        await run.wait()
