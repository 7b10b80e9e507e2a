"""The admin listener, asked by a client as Prometheus, systemd's friends and scripts ask it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from localctl.admin.api import AdminServer, Views
from localctl.errors import ListenError
from localctl.metrics import Metrics
from localctl.values import Address


@dataclass
class Shown:
    """What the views show, to be changed by a test."""

    sick: tuple[str, ...] = ()
    busy: tuple[str, ...] = ()
    refreshed: int = 0
    document: dict[str, Any] = field(default_factory=lambda: {"ready": True})

    def refresh(self) -> None:
        self.refreshed += 1


@pytest.fixture
def shown() -> Shown:
    return Shown()


@pytest.fixture
async def url(shown: Shown) -> AsyncIterator[str]:
    """A running admin listener."""
    registry = CollectorRegistry()
    Metrics(registry, "1.2.3")
    views = Views(lambda: shown.sick, lambda: shown.busy, lambda: shown.document, shown.refresh, registry)
    server = AdminServer(Address("127.0.0.1", 0), views)
    yield f"http://{await server.start()}"
    await server.stop()


async def _get(url: str) -> tuple[int, dict[str, Any]]:
    async with aiohttp.request("GET", url) as answer:
        return answer.status, await answer.json()


async def test_health(url: str, shown: Shown) -> None:
    """200 while nothing ails us, 503 with the reasons else."""
    assert await _get(f"{url}/healthz") == (200, {"ok": True, "reasons": []})
    shown.sick = ("the ftp loop has not turned for 11 s",)
    assert await _get(f"{url}/healthz") == (503, {"ok": False, "reasons": list(shown.sick)})


async def test_readiness(url: str, shown: Shown) -> None:
    """The same for readiness, by itself."""
    shown.busy = ("not connected to the CSMS",)
    assert await _get(f"{url}/readyz") == (503, {"ok": False, "reasons": list(shown.busy)})
    assert (await _get(f"{url}/healthz"))[0] == 200


async def test_status(url: str) -> None:
    """The document as it is."""
    assert await _get(f"{url}/api/status") == (200, {"ready": True})


async def test_metrics(url: str, shown: Shown) -> None:
    """Prometheus' text format, brought up to date before each scrape."""
    async with aiohttp.request("GET", f"{url}/metrics") as answer:
        names = {family.name for family in text_string_to_metric_families(await answer.text())}
    assert "localctl_build_info" in names or "localctl_build" in names
    assert shown.refreshed == 1


async def test_metrics_are_small_on_the_link(url: str) -> None:
    """Compressed for whom takes that, as Prometheus does: a gateway behind LTE is scraped every minute."""
    sizes = {}
    for accepted in ("gzip", "identity"):
        async with aiohttp.request("GET", f"{url}/metrics", headers={"Accept-Encoding": accepted}) as answer:
            assert answer.headers.get("Content-Encoding", "identity") == accepted
            assert "localctl_build_info" in await answer.text()
            sizes[accepted] = int(answer.headers["Content-Length"])
    assert sizes["gzip"] * 5 < sizes["identity"]


async def test_read_only(url: str) -> None:
    """Nothing can be changed here: other methods are 405, other paths 404."""
    async with aiohttp.request("POST", f"{url}/api/status") as answer:
        assert answer.status == 405
    async with aiohttp.request("GET", f"{url}/api/secrets") as answer:
        assert answer.status == 404


async def test_a_port_in_use(url: str) -> None:
    """The error names the key and the address."""
    port = int(url.rpartition(":")[2])
    views = Views(tuple, tuple, dict, lambda: None, CollectorRegistry())
    with pytest.raises(ListenError, match=rf"admin\.listen: cannot listen on 127\.0\.0\.1:{port}: .*in use"):
        await AdminServer(Address("127.0.0.1", port), views).start()
