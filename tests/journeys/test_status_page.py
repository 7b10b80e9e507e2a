"""The status page in Chromium, on a phone and on a desktop, while the real daemon does its work."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from tests.actors.browser import DESKTOP, PHONE, barriers, chromium, fits, opened
from tests.actors.fetch import place
from tests.actors.origin import Reply
from tests.actors.site import OpenSite, Site, firmware
from tests.actors.station import Station

PATIENCE = 30_000  # milliseconds that a test may hang before it fails
SIZES = {"phone": PHONE, "desktop": DESKTOP}
HALF = re.compile(r"4\d|50")  # per cent: what has come is counted in blocks
LITTLE, MUCH = re.compile(r"[0-4]?\d"), re.compile(r"[5-9]\d")
HOSTILE = "<img src=x onerror=alert(1)>"
SECRET = "geheim-0815"


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Chromium."""
    async with chromium() as running:
        yield running


async def _tells(page: Page, section: str, *words: str) -> None:
    for each in words:
        await expect(page.locator(f"#{section}")).to_contain_text(each, timeout=PATIENCE)


async def _looks_well(page: Page, folder: Path, name: str) -> None:
    """It fits the screen and can be read by everybody, in light and in dark; pictures of it go to ``folder``."""
    assert await fits(page)
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)
        assert await barriers(page) == []
        await page.screenshot(path=folder / f"{name}-{scheme}.png", full_page=True)


@pytest.mark.parametrize("size", SIZES)
async def test_it_tells_what_happens(open_site: OpenSite, browser: Browser, tmp_path: Path, size: str) -> None:
    """A publication from Downloading to Published, a station, its download and an event, without a reload."""
    site = await open_site()
    async with opened(browser, site.daemon.admin_url, viewport=SIZES[size]) as page:
        await _tells(page, "live", "Live")
        await _tells(page, "firmware", "Nothing is published")
        await page.evaluate("window.since = 'the beginning'")
        uris = await _publication(site, page, tmp_path, size)
        await _tells(page, "stations", "No station is connected")
        async with Station(site.daemon.stations_url, "CS-1", "1.6") as station:
            await station.boot()
            await _tells(page, "stations", "CS-1", "1.6")
            async with _transfer(uris) as read:
                await _tells(page, "transfers", "CS-1", "fw-1.2.3.bin", "HTTP")
                await expect(page.locator("#transfers progress")).to_have_attribute("value", LITTLE, timeout=PATIENCE)
                await read(16_000_000)
                await expect(page.locator("#transfers progress")).to_have_attribute("value", MUCH, timeout=PATIENCE)
                await _looks_well(page, tmp_path, f"{size}-transfer")
            await _tells(page, "transfers", "No station downloads anything now")
        await _tells(page, "stations", "No station is connected")
        await _tells(page, "events", "station 'CS-1' at 127.0.0.1 is relayed")
        assert await page.evaluate("window.since") == "the beginning"


@asynccontextmanager
async def _transfer(uris: list[str]) -> AsyncIterator[Callable[[int], Awaitable[None]]]:
    """A station's download over HTTP, which goes on by as many bytes as it is told to read."""
    loop = asyncio.get_running_loop()
    address, path = place(uris, "http")
    with socket.socket() as station:
        station.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**20)  # no more is taken ahead of its reader
        station.setblocking(False)
        await loop.sock_connect(station, (address.host, address.port))
        await loop.sock_sendall(station, f"GET {path} HTTP/1.0\r\n\r\n".encode())

        async def read(count: int) -> None:
            while count > 0:
                count -= len(await loop.sock_recv(station, 2**20))

        yield read


async def _publication(site: Site, page: Page, folder: Path, size: str) -> list[str]:
    """From an origin that stops half-way; the URIs once it is published."""
    file = firmware(32_000_000)
    location = site.origin.script(f"/{file.name}", Reply(file.body, stall_after=16_000_000))
    request_id, _ = await site.publish(location, file.checksum)
    await _tells(page, "firmware", file.name, "Downloading", file.checksum)
    await expect(page.locator("#firmware progress")).to_have_attribute("value", HALF, timeout=PATIENCE)
    await _looks_well(page, folder, f"{size}-downloading")
    site.origin.release()
    await _tells(page, "firmware", "Published")
    await expect(page.locator("#firmware progress")).to_have_count(0)
    uris: list[str] = (await site.csms.wait_status(request_id, "Published"))["location"]
    await page.get_by_text("Addresses", exact=True).first.click()
    await _tells(page, "firmware", *uris)
    return uris


async def test_it_says_when_the_gateway_does_not_answer(open_site: OpenSite, browser: Browser) -> None:
    """A page that is not live any more does not look as if it were."""
    site = await open_site()
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(site.daemon.admin_url)
    await _tells(page, "live", "Live")
    assert await site.daemon.stop() == 0
    await _tells(page, "live", "Not live")
    await context.close()


async def test_without_javascript(open_site: OpenSite, browser: Browser, tmp_path: Path) -> None:
    """The page tells all of the moment at which it was loaded, and says how to get news."""
    site = await open_site()
    file = firmware(1_000_000)
    await site.published(file)
    url = site.daemon.stations_url
    async with (
        Station(url, "CS-1", "2.1"),
        opened(browser, site.daemon.admin_url, viewport=PHONE, java_script_enabled=False) as page,
    ):
        await _tells(page, "state", "LC-0001", "Ready")
        await _tells(page, "uplink", "Connected", "Accepted", "UTC")
        await _tells(page, "firmware", file.name, "Published", file.checksum)
        await _tells(page, "stations", "CS-1", "2.1", "127.0.0.1")
        await _tells(page, "events", "is relayed", "UTC")
        await _tells(page, "disk", "in use")
        await _tells(page, "live", "As of", "UTC", "Reload the page for news")
        await page.screenshot(path=tmp_path / "without-javascript.png", full_page=True)


async def test_a_name_that_would_be_a_script(open_site: OpenSite, browser: Browser) -> None:
    """A station whose identity is markup is shown by that name, and nothing of it is obeyed."""
    site = await open_site()
    async with opened(browser, site.daemon.admin_url, viewport=PHONE) as page:
        await _tells(page, "live", "Live")
        async with Station(site.daemon.stations_url, HOSTILE, "1.6"):
            await _tells(page, "stations", HOSTILE)
        await page.reload()
        await _tells(page, "events", "is relayed")
        assert await page.locator("main img").count() == 0
        assert await fits(page)


async def test_with_a_password(open_site: OpenSite, browser: Browser) -> None:
    """The browser is asked for it once, and the page is live with it."""
    site = await open_site(overrides={"admin": {"password": SECRET}})
    credentials = {"username": "admin", "password": SECRET}
    async with opened(browser, site.daemon.admin_url, http_credentials=credentials) as page:
        await _tells(page, "live", "Live")
        await _tells(page, "state", "LC-0001")
