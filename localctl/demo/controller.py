"""The controller: ``localctl run`` as a process of its own, as it would run on a gateway. Edge.

Its configuration, its state and its log are in one folder; its listeners are on free ports of 127.0.0.1. It says that
they are bound as it would say it to systemd: READY=1 to $NOTIFY_SOCKET.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import aiohttp

from localctl.demo.patience import DemoFailed, within
from localctl.demo.plan import CONTROLLER, Plan

START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 10.0
LOOK_SECONDS: Final = 0.2
LOG: Final = "controller.log"
_ASK_SECONDS: Final = 10.0
# What systemd tells the demo is not meant for the controller, nor is the installer's configuration.
_NOT_PASSED_ON: Final = (
    "LISTEN_FDS",
    "LISTEN_PID",
    "LOCALCTL_CONFIG",
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
)

Status = dict[str, Any]  # the JSON boundary


class Controller:
    """Runs for as long as its ``async with`` lasts. Raises DemoFailed where it does not start or stop as it must.

    ``exit_status`` is None until it has ended; negative: the number of the signal that ended it.
    """

    def __init__(self, folder: Path, csms_url: str, plan: Plan) -> None:
        self.listeners: dict[str, str] = {}
        self.exit_status: int | None = None
        self._folder = folder
        self._config = configuration(folder / "state", csms_url, plan)
        self._process: asyncio.subprocess.Process
        self._session: aiohttp.ClientSession
        self._stack: contextlib.AsyncExitStack

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            readiness = stack.enter_context(_Readiness())
            timeout = aiohttp.ClientTimeout(total=_ASK_SECONDS)
            self._session = await stack.enter_async_context(aiohttp.ClientSession(timeout=timeout))
            self._process = await self._spawn(readiness.name)
            stack.push_async_callback(self._stop)
            await self._listening(readiness)
            self.listeners = json.loads((self._folder / "state" / "listeners.json").read_text(encoding="utf-8"))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()
        if error is None and self.exit_status != 0:
            raise DemoFailed(f"the controller was told to stop and ended with status {self.exit_status}")
        if error is not None and self.exit_status != 0:
            error.add_note(f"the controller ended with status {self.exit_status}")

    @property
    def stations_url(self) -> str:
        """What a station appends its identity to, after a slash."""
        return f"ws://{self.listeners['stations.ws']}/ocpp"

    async def status(self) -> Status:
        """The document of ``/api/status``. Raises DemoFailed."""
        try:
            async with self._session.get(
                f"http://{self.listeners['admin']}/api/status", raise_for_status=True
            ) as answer:
                document: Status = await answer.json()
        except (aiohttp.ClientError, TimeoutError) as fault:
            raise DemoFailed(f"the controller's status cannot be read: {fault!r}") from fault
        return document

    async def watch(self) -> None:
        """Wait for the end of the process. Raises DemoFailed at its end: while somebody waits, it comes too early."""
        self.exit_status = await self._process.wait()
        raise DemoFailed(f"the controller ended by itself with status {self.exit_status}")

    async def _spawn(self, notify_socket: str) -> asyncio.subprocess.Process:
        config_file = self._folder / "config.toml"
        config_file.write_text(self._config, encoding="utf-8")
        with (self._folder / LOG).open("wb") as log:
            return await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "localctl", "run", "--config", str(config_file),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={key: value for key, value in os.environ.items() if key not in _NOT_PASSED_ON}
                | {"NOTIFY_SOCKET": notify_socket, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                process_group=0,  # Ctrl-C is for the demo, which then stops the controller
            )  # fmt: skip

    async def _listening(self, readiness: "_Readiness") -> None:
        """Wait until every listener is bound, or the process has ended."""
        async with within(START_SECONDS, "the controller's READY"), asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(self.watch(), name="watch the controller start")
            await readiness.come()
            watching.cancel()

    async def _stop(self) -> None:
        """SIGTERM; SIGKILL to one that does not end. Nothing of it is left, even if this is cancelled."""
        try:
            self._signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    self.exit_status = await self._process.wait()
        finally:
            if self._process.returncode is None:
                self._signal(signal.SIGKILL)
                self.exit_status = await self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        """Not by the process object: it would wait for the process itself, and asyncio lose the exit status."""
        with contextlib.suppress(ProcessLookupError):
            handle = os.pidfd_open(self._process.pid)
            try:
                signal.pidfd_send_signal(handle, number)
            finally:
                os.close(handle)


def last_words(folder: Path, lines: int) -> list[str]:
    """The end of the controller's log; nothing where it was never started."""
    with contextlib.suppress(FileNotFoundError), (folder / LOG).open(encoding="utf-8", errors="replace") as log:
        return [line.rstrip("\n") for line in deque(log, lines)]
    return []


class _Readiness:
    """The socket that READY=1 comes to, under an abstract name that the kernel chooses (unix(7), autobind).

    It stays open for as long as the controller runs, which has more to tell at its end.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind("")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    @property
    def name(self) -> str:
        """What $NOTIFY_SOCKET says; "@" stands for the NUL that begins an abstract name."""
        name: bytes = self._socket.getsockname()
        return "@" + name[1:].decode()

    async def come(self) -> None:
        """Wait for it."""
        loop = asyncio.get_running_loop()
        while b"READY=1" not in (await loop.sock_recv(self._socket, 4096)).splitlines():
            pass


def configuration(state_dir: Path, csms_url: str, plan: Plan) -> str:
    """The controller's configuration, as TOML."""
    return f"""\
[controller]
identity = "{CONTROLLER}"
state_dir = {json.dumps(str(state_dir), ensure_ascii=False)}

[csms]
url = "{csms_url}"

[stations]
max_stations = {plan.stations}
[stations.ws]
listen = "127.0.0.1:0"

[firmware]
max_file_size = {plan.size}
min_free_space = 0
allowed_origins = ["127.0.0.1"]

[publish]
host = "127.0.0.1"
max_transfers = {plan.stations}
[publish.http]
listen = "127.0.0.1:0"
[publish.ftp]
listen = "127.0.0.1:0"
passive_ports = ""

[admin]
listen = "127.0.0.1:0"

[log]
format = "json"
"""
