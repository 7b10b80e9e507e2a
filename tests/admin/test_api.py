"""The admin listener, asked by a client as Prometheus, systemd's friends and scripts ask it."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from localctl.admin import api
from localctl.admin.api import AdminServer
from localctl.admin.guard import Guard
from localctl.admin.views import Views
from localctl.config import Admin
from localctl.metrics import Metrics
from localctl.values import Address
from localctl.wire.binding import own
from tests.admin.samples import document, station


@dataclass
class Shown:
    """What the views show, to be changed by a test."""

    sick: tuple[str, ...] = ()
    busy: tuple[str, ...] = ()
    refreshed: int = 0
    document: dict[str, Any] = field(default_factory=document)
    stations: list[dict[str, Any]] = field(default_factory=lambda: [station()])

    def refresh(self) -> None:
        self.refreshed += 1


@pytest.fixture
def shown() -> Shown:
    return Shown()


async def _started(shown: Shown) -> tuple[AdminServer, str]:
    """An admin listener, and its URL."""
    registry = CollectorRegistry()
    guard = Guard(Admin(), Metrics(registry, "1.2.3"))
    views = Views(
        lambda: shown.sick,
        lambda: shown.busy,
        lambda: shown.document,
        lambda: iter(shown.stations),
        shown.refresh,
        registry,
    )
    bound = own("admin.listen", Address("127.0.0.1", 0))
    server = AdminServer(bound.sock, guard, views)
    await server.start()
    return server, f"http://{bound.address}"


@pytest.fixture
async def url(shown: Shown) -> AsyncIterator[str]:
    """A running admin listener."""
    server, url = await _started(shown)
    yield url
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
    """The document as it is, with its stations."""
    assert await _get(f"{url}/api/status") == (200, document() | {"stations": [station()]})


async def test_the_page(url: str) -> None:
    """One HTML document with everything in it, and nothing left to be filled in."""
    async with aiohttp.request("GET", f"{url}/") as answer:
        page = await answer.text()
        assert (answer.status, answer.content_type, answer.charset) == (200, "text/html", "utf-8")
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; ")
    assert "CS-1" in page
    assert "second" in page
    assert "$" not in page


async def test_a_name_that_has_no_letters(url: str, shown: Shown) -> None:
    """An identity that is no valid text is shown as far as it goes."""
    shown.stations = [station("CS-\udcff")]
    async with aiohttp.request("GET", f"{url}/") as answer:
        assert "CS-?" in await answer.text()


@pytest.mark.parametrize(
    ("name", "kind"), [("page.css", "text/css"), ("page.js", "text/javascript"), ("icon.svg", "image/svg+xml")]
)
async def test_what_the_page_is_made_of(url: str, name: str, kind: str) -> None:
    """Each of its files comes from us, as what it is; HEAD is answered too."""
    for method in ("GET", "HEAD"):
        async with aiohttp.request(method, f"{url}/{name}") as answer:
            assert (answer.status, answer.content_type) == (200, kind)
            assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_nothing_comes_from_elsewhere() -> None:
    """Neither the page nor its style or script names another host, and none of the page's code stands in it."""
    folder = Path(api.__file__).with_name("page")
    assert {path.name for path in folder.iterdir()} == {"index.html", "page.css", "page.js", "icon.svg"}
    for path in folder.iterdir():
        words = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "//" not in re.sub(r"(?m)^// .*$|; // .*$", "", words), path.name
    index = (folder / "index.html").read_text(encoding="utf-8")
    assert not re.search(r" on[a-z]+=| style=|<style|<script>", index)


async def test_a_stop_ends_what_is_told(shown: Shown) -> None:
    """Whoever listens is told the end, and the listener is closed."""
    server, url = await _started(shown)
    async with aiohttp.ClientSession() as session, session.get(f"{url}/api/events") as answer:
        await answer.content.readuntil(b"\n\n")
        await server.stop()
        assert b"event: status" in await answer.content.read()


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
    for path in ("", "page.js", "api/status", "api/events"):
        async with aiohttp.request("POST", f"{url}/{path}") as answer:
            assert answer.status == 405
    async with aiohttp.request("GET", f"{url}/api/secrets") as answer:
        assert answer.status == 404


async def test_too_many_connections(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those beyond are closed, and once one has gone there is room again: silent clients take no descriptors of the
    relays'.
    """
    monkeypatch.setattr(api, "MOST_CONNECTIONS", 2)
    port = int(url.rpartition(":")[2])
    silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
    assert await silent[2][0].read() == b""
    with pytest.raises(aiohttp.ClientError):
        await _get(f"{url}/healthz")
    for _, writer in silent:
        writer.close()
        await writer.wait_closed()
    async with asyncio.timeout(10):
        while True:
            with suppress(aiohttp.ClientError):
                assert (await _get(f"{url}/healthz"))[0] == 200
                break
