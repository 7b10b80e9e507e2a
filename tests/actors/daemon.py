"""localctl itself: ``localctl run`` as a subprocess, with a configuration fit for tests.

Every listener is on a free port of 127.0.0.1 and every wait is short. A traceback in its log fails the test.
"""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
import psutil
from prometheus_client.parser import text_string_to_metric_families

from tests.actors.handover import handing_over
from tests.actors.news import TIMEOUT
from tests.actors.process import Process
from tests.actors.toml import dumped

TRACEBACK: Final = "Traceback (most recent call last)"
_LOOK_SECONDS: Final = 0.05  # what is not in its log has to be looked for


def defaults(folder: Path, csms_url: str) -> dict[str, Any]:
    """The configuration for tests, its state below ``folder``."""
    listen = {"listen": "127.0.0.1:0"}
    return {
        "controller": {"identity": "LC-0001", "state_dir": str(folder / "state")},
        "csms": {
            "url": csms_url,
            "retry_backoff_wait_minimum_seconds": 0.2,
            "retry_backoff_random_range_seconds": 0,
            "retry_backoff_repeat_times": 2,
        },
        "stations": {"ws": dict(listen)},
        "firmware": {"retry_interval_seconds": 0.2, "min_free_space": 0, "allowed_origins": ["127.0.0.1"]},
        "publish": {"host": "127.0.0.1", "http": dict(listen), "ftp": {**listen, "passive_ports": ""}},
        "admin": dict(listen),
        "log": {"level": "debug", "format": "json"},
    }


class Daemon:
    """The daemon, for as long as its ``async with`` lasts; it is killed at the end, unless it was stopped.

    ``folder`` gets its configuration and its state, which a restart finds again. ``overrides`` are laid over the
    defaults, section by section; None takes a section or a key away. ``wrapper`` is a command that runs it, such as
    strace; ``environ`` is laid over this process's environment. Each start hands it ``sockets``, as systemd does.
    """

    def __init__(
        self,
        folder: Path,
        csms_url: str,
        overrides: Mapping[str, Any] | None = None,
        *,
        wrapper: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
        sockets: Sequence[socket.socket] = (),
    ) -> None:
        self.config_file = folder / "config.toml"
        self.state_dir = folder / "state"
        self.wrapper = tuple(wrapper)
        self.environ = dict(environ or {})
        self.sockets = tuple(sockets)
        self.runs: list[Process] = []
        self.state_dir.mkdir(parents=True, exist_ok=True)
        self._config = defaults(folder, csms_url)
        self.configure(overrides or {})

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.kill()
        if error is not None:
            error.add_note(f"localctl: {self._run.tail()}")
            return
        for run in self.runs:
            assert not any(TRACEBACK in line for line in run.err), f"a traceback in the log: {run.tail()}"

    def configure(self, overrides: Mapping[str, Any]) -> None:
        """Lay ``overrides`` over the configuration as it is, and write the file; a running daemon is not told."""
        self._config = _laid_over(self._config, overrides)
        self.config_file.write_text(dumped(self._config), encoding="utf-8")
        self.config_file.chmod(0o640)

    async def start(self) -> None:
        """Run it; see ``listening`` and ``ready``."""
        assert not self.runs or not self._run.running, "it runs already"
        (self.state_dir / "listeners.json").unlink(missing_ok=True)  # of a run that was killed
        descriptors = [sock.fileno() for sock in self.sockets]
        handing = handing_over(descriptors) if descriptors else ()
        command = [*self.wrapper, *handing, str(executable()), "run", "--config", str(self.config_file)]
        environ = {key: value for key, value in os.environ.items() if key != "NOTIFY_SOCKET"}
        self.runs.append(await Process.start(command, {**environ, **self.environ}, descriptors))

    async def kill(self) -> None:
        """SIGKILL, and wait for its end."""
        self._run.kill()
        await self._run.over()

    async def stop(self, timeout: float = TIMEOUT) -> int:
        """SIGTERM; its exit status."""
        self.signal(signal.SIGTERM)
        return await self._run.over(timeout)

    async def restart(self) -> None:
        """Kill it if it still runs, run it again on what it left, and wait until it listens.

        Ports that the configuration leaves to chance are others than before.
        """
        await self.kill()
        await self.start()
        await self.listening()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    @property
    def pid(self) -> int:
        """The daemon's own process id, also inside a wrapper that stays beside it."""
        beside = psutil.Process(self._run.pid).children() if self.wrapper else []
        return beside[0].pid if beside else self._run.pid

    @property
    def running(self) -> bool:
        """Whether the last run has not ended yet."""
        return self._run.running

    def rss(self) -> int:
        """Its resident memory in bytes."""
        return int(psutil.Process(self.pid).memory_info().rss)

    def peak(self) -> int:
        """The most resident memory that it has had at any moment, in bytes: the kernel keeps count."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024

    def descriptors(self) -> int:
        """How many it has open."""
        return int(psutil.Process(self.pid).num_fds())

    async def down_to(self, descriptors: int, timeout: float = TIMEOUT) -> None:
        """Wait until it has no more open than ``descriptors``. It is not asked: that would cost CPU of its own."""

        async def are_closed() -> bool:
            return self.descriptors() <= descriptors

        await self._look(are_closed, f"{descriptors} descriptors", timeout)

    @property
    def log(self) -> list[dict[str, Any]]:
        """What this run has logged so far; a line that is no JSON object is one with only a ``message``."""
        return [_parsed(line) for line in self._run.err]

    async def logged(self, text: str, timeout: float = TIMEOUT) -> dict[str, Any]:
        """The first record of this run's log whose line holds ``text``, once it is there."""
        run = self._run
        found = await run.until(lambda: [line for line in run.err if text in line], f"{text!r} in the log", timeout)
        return _parsed(found[0])

    @property
    def listeners(self) -> dict[str, str]:
        """The bound addresses: ``stations.ws``, ``publish.http``, ``publish.ftp``, ``admin`` to ``HOST:PORT``."""
        listeners: dict[str, str] = json.loads((self.state_dir / "listeners.json").read_text(encoding="utf-8"))
        return listeners

    @property
    def admin_url(self) -> str:
        """The admin listener, without a slash at its end."""
        return f"http://{self.listeners['admin']}"

    @property
    def stations_url(self) -> str:
        """What a station appends its identity to, after a slash."""
        return f"ws://{self.listeners['stations.ws']}/ocpp"

    @property
    def sealed_stations_url(self) -> str:
        """The same of the listener under TLS."""
        return f"wss://{self.listeners['stations.wss']}/ocpp"

    async def listening(self, timeout: float = TIMEOUT) -> dict[str, str]:
        """The listeners, once all are bound."""

        async def bound() -> bool:
            return (self.state_dir / "listeners.json").exists()

        await self._look(bound, "listeners.json", timeout)
        return self.listeners

    async def ready(self, timeout: float = TIMEOUT) -> None:
        """Wait until every listener is bound and the CSMS has accepted us: ``/readyz`` answers 200."""
        await self.listening(timeout)

        async def is_ready() -> bool:
            try:
                return (await self.get("/readyz"))[0] == 200
            except aiohttp.ClientError:
                return False

        await self._look(is_ready, "200 from /readyz", timeout)

    async def get(self, path: str) -> tuple[int, str]:
        """Status and body of an admin endpoint."""
        async with aiohttp.request("GET", self.admin_url + path) as response:
            return response.status, await response.text()

    async def status(self) -> dict[str, Any]:
        """The document of ``/api/status``."""
        code, body = await self.get("/api/status")
        assert code == 200, body
        document: dict[str, Any] = json.loads(body)
        return document

    async def metric(self, sample: str, **labels: str) -> float:
        """The value of one sample of ``/metrics``, such as ``localctl_csms_connected``."""
        _, body = await self.get("/metrics")
        found = [
            each.value
            for family in text_string_to_metric_families(body)
            for each in family.samples
            if each.name == sample and each.labels == labels
        ]
        assert len(found) == 1, f"{sample}{labels} is there {len(found)} times"
        return float(found[0])

    async def counted(self, value: float, sample: str, **labels: str) -> None:
        """Wait until a sample of ``/metrics`` has that value."""

        async def is_there() -> bool:
            return await self.metric(sample, **labels) == value

        await self._look(is_there, f"{value} of {sample}{labels}", TIMEOUT)

    @property
    def _run(self) -> Process:
        return self.runs[-1]

    async def _look(self, condition: Callable[[], Awaitable[bool]], what: str, timeout: float) -> None:
        try:
            async with asyncio.timeout(timeout):
                while not await condition():
                    assert self.running, f"localctl ended before {what}: {self._run.tail()}"
                    await self._run.news.next(_LOOK_SECONDS)
        except TimeoutError:
            raise AssertionError(f"{what} did not come in {timeout:g} s: {self._run.tail()}") from None


def executable() -> Path:
    """The command ``localctl`` of the environment that runs the tests."""
    return Path(sys.executable).with_name("localctl")


def _laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        if isinstance(value, Mapping):
            merged[key] = _laid_over(merged.get(key, {}), value)
        else:
            merged[key] = value
    return {key: value for key, value in merged.items() if value is not None}


def _parsed(line: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError:
        record = None
    return record if isinstance(record, dict) else {"message": line}
