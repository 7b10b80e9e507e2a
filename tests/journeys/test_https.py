"""A file published over HTTPS and FTPS beside HTTP and FTP, by the real daemon."""

import asyncio
import ftplib
import signal
import ssl

import aiohttp
import pytest

from tests.actors.site import OpenSite, Site, firmware

ORDER = ["http", "https", "ftp"]


@pytest.fixture
async def site(open_serving: OpenSite) -> Site:
    """A site that serves over three protocols."""
    return await open_serving()


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
async def test_published_over_https(version: str, open_serving: OpenSite, trust: ssl.SSLContext) -> None:
    """L03.FR.03, FR.04: Published carries http, https and ftp, in this order, and what is behind https is the file."""
    site = await open_serving(version)
    file = firmware(3_000_000)
    _, uris = await site.published(file)
    path = f"/firmware/{file.checksum}/{file.name}"
    assert uris == [f"{scheme}://{site.daemon.listeners[f'publish.{scheme}']}{path}" for scheme in ORDER]
    async with aiohttp.request("GET", uris[1], ssl=trust) as answer:
        assert await answer.read() == file.body
    assert "https" in (await site.daemon.status())["loops"]


async def test_download_ongoing_over_https(site: Site, trust: ssl.SSLContext) -> None:
    """L04.FR.04, TC_L_23, row 30: DownloadOngoing while a station downloads over HTTPS; then Unpublished."""
    file = firmware(12_000_000)
    _, uris = await site.published(file)
    async with aiohttp.ClientSession(read_bufsize=4096) as session, session.get(uris[1], ssl=trust) as answer:
        start = await answer.content.readany()
        assert await site.unpublish(file.checksum) == "DownloadOngoing"
        assert start + await answer.read() == file.body
    told = "DownloadOngoing"
    while told == "DownloadOngoing":  # the last bytes may still be on their way
        told = await site.unpublish(file.checksum)
    assert told == "Unpublished"
    completed = await site.daemon.metric("localctl_firmware_downloads_total", protocol="https", result="complete")
    assert completed == 1


async def test_stop_while_a_station_downloads_over_https(site: Site, trust: ssl.SSLContext) -> None:
    """Row 34: a transfer under way gets to its end, and the exit status is 0."""
    file = firmware(12_000_000)
    _, uris = await site.published(file)
    async with aiohttp.ClientSession(read_bufsize=4096) as session, session.get(uris[1], ssl=trust) as answer:
        start = await answer.content.readany()
        site.daemon.signal(signal.SIGTERM)
        await site.daemon.logged("stopping")
        assert start + await answer.read() == file.body
    assert await site.daemon.runs[-1].over() == 0


async def test_published_over_ftps(site: Site, trust: ssl.SSLContext) -> None:
    """L03.FR.03: the ftp URI serves who asks for TLS as well as who does not."""
    file = firmware(3_000_000)
    _, uris = await site.published(file)
    address, _, path = uris[2].removeprefix("ftp://").partition("/")
    host, _, port = address.partition(":")

    def fetched(client: ftplib.FTP) -> bytes:
        pieces: list[bytes] = []
        with client:
            client.connect(host, int(port), 30)
            client.login()
            if isinstance(client, ftplib.FTP_TLS):
                client.prot_p()
            client.retrbinary(f"RETR /{path}", pieces.append)
        return b"".join(pieces)

    for client in (ftplib.FTP_TLS(context=trust), ftplib.FTP()):
        assert await asyncio.to_thread(fetched, client) == file.body
