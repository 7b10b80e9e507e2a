"""Row 39 of the faults: a loop that hangs. The daemon's own process is held from outside, by signals that only these
tests' way of starting it knows; systemd's part is played by a socket and a signal.
"""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.actors.csms import Csms
from tests.actors.daemon import Daemon
from tests.actors.site import get

INTERVAL: Final = 0.1  # seconds between two signs of life
STARVING: Final = 10 * INTERVAL  # without one
# SIGUSR1 holds the main loop, SIGUSR2 the serving loops named in HELD_LOOP, until the FIFO is opened for writing.
HELD: Final = """
import gc, os, signal, sys, threading
from localctl import cli

def hold(*_):
    print("held", file=sys.stderr, flush=True)
    open(os.environ["HELD_BY"]).read()

def hold_other(*_):
    name = f"serve-{os.environ['HELD_LOOP']}"
    (thread,) = [each for each in threading.enumerate() if each.name == name]
    gc.unfreeze()  # when it was ready the daemon froze what there was, and that is not listed
    for each in gc.get_objects():
        if getattr(type(each), "call_soon_threadsafe", None) and getattr(each, "_thread_id", 0) == thread.ident:
            each.call_soon_threadsafe(hold)
        elif name == "serve-ftp" and type(each).__module__ == "localctl.serve.ftp" and hasattr(each, "socket_map"):
            each.call_later(0, hold)

signal.signal(signal.SIGUSR1, hold)
signal.signal(signal.SIGUSR2, hold_other)
sys.argv = ["localctl", *sys.argv[2:]]
cli.main()
"""


class Manager:
    """systemd's end of the protocol: what is told it, since it was last asked."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(str(path))
        self.environ = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": str(int(2e6 * INTERVAL))}

    def heard(self) -> list[str]:
        """All that has been told since."""
        found = []
        try:
            while True:
                found.append(self._socket.recv(4096).decode())
        except BlockingIOError:
            return found

    async def fed(self) -> None:
        """Return at the next sign of life."""
        self.heard()
        async with asyncio.timeout(30):
            while (await asyncio.get_running_loop().sock_recv(self._socket, 4096)) != b"WATCHDOG=1":
                pass

    async def starves(self) -> bool:
        """Whether it hears nothing for ten times as long as it takes to be fed."""
        self.heard()
        await asyncio.sleep(STARVING)
        return self.heard() == []

    def close(self) -> None:
        """Go."""
        self._socket.close()


@contextmanager
def managing(folder: Path) -> Iterator[Manager]:
    """A manager, for as long as it is needed."""
    manager = Manager(folder / "notify")
    try:
        yield manager
    finally:
        manager.close()


@asynccontextmanager
async def held_daemon(folder: Path, csms: Csms, manager: Manager, loop: str = "main") -> AsyncIterator[Daemon]:
    """A daemon that ``loop`` of can be held."""
    os.mkfifo(folder / "held")
    environ = {**manager.environ, "HELD_BY": str(folder / "held"), "HELD_LOOP": loop}
    async with Daemon(folder, csms.url, wrapper=(sys.executable, "-c", HELD), environ=environ) as daemon:
        await daemon.ready()
        await manager.fed()
        yield daemon


def let_go(folder: Path) -> None:
    """Whoever is held goes on."""
    (folder / "held").write_text("")


async def test_row_39_a_main_loop_that_hangs_starves_the_watchdog(tmp_path: Path) -> None:
    """Row 39: no sign of life and no answer of /healthz while it hangs; both are back when it turns again."""
    with managing(tmp_path) as manager:
        async with Csms() as csms, held_daemon(tmp_path, csms, manager) as daemon:
            assert (await daemon.get("/healthz"))[0] == 200
            daemon.signal(signal.SIGUSR1)
            await daemon.logged("held")
            assert await manager.starves()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(STARVING):
                    await daemon.get("/healthz")
            let_go(tmp_path)
            await manager.fed()
            assert (await daemon.get("/healthz"))[0] == 200


async def test_row_39_what_systemd_does_brings_it_back(tmp_path: Path) -> None:
    """Row 39: SIGABRT (systemd.service(5), WatchdogSec=) ends it however it hangs, and the next start is ready."""
    with managing(tmp_path) as manager:
        async with Csms() as csms, held_daemon(tmp_path, csms, manager) as daemon:
            daemon.signal(signal.SIGUSR1)
            await daemon.logged("held")
            daemon.signal(signal.SIGABRT)
            assert await daemon.runs[-1].over() == -signal.SIGABRT
            await daemon.start()
            await daemon.ready()
            await manager.fed()


@pytest.mark.parametrize("loop", ["http", "ftp"])
async def test_row_39_a_serving_loop_that_hangs_starves_it_too(tmp_path: Path, loop: str) -> None:
    """Row 39: though the main loop turns: /healthz says which hangs, and the watchdog is not fed; then all is well."""
    with managing(tmp_path) as manager:
        async with Csms() as csms, held_daemon(tmp_path, csms, manager, loop) as daemon:
            daemon.signal(signal.SIGUSR2)
            await daemon.logged("held")
            async with asyncio.timeout(60):
                while (said := await get(f"{daemon.admin_url}/healthz"))[0] == 200:  # noqa: ASYNC110  nobody tells
                    await asyncio.sleep(INTERVAL)
            assert said[0] == 503
            assert f"the {loop} loop has not turned for" in said[1].decode()
            assert await manager.starves()
            let_go(tmp_path)
            await manager.fed()
            assert (await daemon.get("/healthz"))[0] == 200
