"""Prometheus, of Debian's package, with the configuration and the rules of ``deploy/prometheus``.

What a test cannot wait for is shortened: it scrapes and evaluates five times a second, and no alert waits. It takes a
free port, which it tells in its log.
"""

import asyncio
import json
import shutil
import signal
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
import yaml

from tests.actors.process import Process

DEPLOYED: Final = Path(__file__).resolve().parents[2] / "deploy" / "prometheus"
INTERVAL: Final = "200ms"
PATIENCE: Final = 60.0  # seconds
_LOOK_SECONDS: Final = 0.2  # nobody tells of a scrape


class Prometheus:
    """A Prometheus that watches ``target``, ``HOST:PORT``, for as long as its ``async with`` lasts.

    It takes it for as many gateways as ``gateways`` has labels for.
    """

    def __init__(self, folder: Path, target: str, *gateways: Mapping[str, str]) -> None:
        self._folder = folder
        self._gateways = [{"targets": [target], "labels": dict(labels)} for labels in gateways]
        self._run: Process
        self._url = ""

    async def __aenter__(self) -> Self:
        self._configure()
        prometheus = shutil.which("prometheus")
        assert prometheus, "package prometheus is missing: tests/run.sh installs it"
        self._run = await Process.start([
            prometheus,
            f"--config.file={self._folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self._folder / 'data'}",
            "--web.listen-address=127.0.0.1:0",
            "--log.format=json",
        ])  # fmt: skip
        try:
            await self._run.until(self._is_ready, "readiness", PATIENCE)
        except BaseException:  # whatever it is, no Prometheus stays behind
            self._run.kill()
            raise
        return self

    def _is_ready(self) -> bool:
        told = [json.loads(line) for line in self._run.err]
        assert self._run.running, self._run.tail()
        for line in told:
            if line.get("msg") == "Listening on":
                self._url = f"http://{line['address']}/api/v1"
        return bool(self._url) and any("Server is ready" in line.get("msg", "") for line in told)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run.signal(signal.SIGKILL)  # its data go with the test
        await self._run.over()
        if error is not None:
            error.add_note(f"prometheus: {self._run.tail()}")

    def _configure(self) -> None:
        self._folder.mkdir()
        deployed = yaml.safe_load((DEPLOYED / "prometheus.yml").read_text(encoding="utf-8"))
        deployed["global"] = {"scrape_interval": INTERVAL, "evaluation_interval": INTERVAL}
        for job in deployed["scrape_configs"]:
            del job["basic_auth"]  # a listener on loopback asks for none
        self._write("prometheus.yml", deployed)
        self._write("gateways.yml", self._gateways)
        rules = yaml.safe_load((DEPLOYED / "localctl.rules.yml").read_text(encoding="utf-8"))
        for group in rules["groups"]:
            group.pop("interval", None)
            for rule in group["rules"]:
                rule.pop("for", None)
        self._write("localctl.rules.yml", rules)

    def _write(self, name: str, content: object) -> None:
        (self._folder / name).write_text(yaml.safe_dump(content), encoding="utf-8")

    async def ask(self, path: str, **parameters: str) -> Any:
        """The data of an endpoint of its HTTP API."""
        async with aiohttp.request("GET", f"{self._url}/{path}", params=parameters) as response:
            document = await response.json()
        assert document["status"] == "success", document
        return document["data"]

    async def value(self, expression: str) -> float | None:
        """What an expression that has one value, or none, comes to now."""
        found = (await self.ask("query", query=expression))["result"]
        assert len(found) <= 1, found
        return float(found[0]["value"][1]) if found else None

    async def firing(self, alert: str) -> list[dict[str, Any]]:
        """The alerts of that name that fire."""
        found = (await self.ask("alerts"))["alerts"]
        return [each for each in found if each["state"] == "firing" and each["labels"]["alertname"] == alert]

    async def until(self, condition: Callable[[], Awaitable[bool]], what: str) -> None:
        """Return when ``condition`` holds."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not await condition():
                    assert self._run.running, f"prometheus ended before {what}: {self._run.tail()}"
                    await asyncio.sleep(_LOOK_SECONDS)
        except TimeoutError:
            raise AssertionError(f"{what} did not come in {PATIENCE:g} s: {self._run.tail()}") from None
