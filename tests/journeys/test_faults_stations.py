"""Faults on the stations' side of serving, each test named by its row: the real daemon, and stations on raw sockets."""

import asyncio
import ssl
from collections.abc import Callable

import psutil
import pytest

from tests.actors.aborts import ABORTS, VANISHING, abor, close_data, reset_data
from tests.actors.fetch import WAYS, Download, place
from tests.actors.site import OpenSite, Site, firmware
from tests.actors.wire import SecureTalk, Talk, read_all

LARGE = 8_000_000  # more than the buffers of both kernels take


async def no_more_descriptors(site: Site, than: int) -> None:
    """Wait until the daemon has no more descriptors than that."""
    process = psutil.Process(site.daemon.pid)
    async with asyncio.timeout(30):
        while process.num_fds() > than:  # noqa: ASYNC110  nothing tells of it
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("way", WAYS)
async def test_row_30_unpublish_while_stations_download(
    way: str, open_serving: OpenSite, trust: ssl.SSLContext
) -> None:
    """Row 30, L04.FR.04, TC_L_23: DownloadOngoing until the last of two stations has it all; then Unpublished."""
    site = await open_serving()
    file = firmware(LARGE)
    _, uris = await site.published(file)
    stations = [await asyncio.to_thread(Download, way, uris, trust) for _ in range(2)]
    for station in stations:
        assert await site.unpublish(file.checksum) == "DownloadOngoing"
        assert await asyncio.to_thread(station.rest) == file.body
    assert await site.withdrawn(file.checksum) == "Unpublished"
    assert await site.unpublish(file.checksum) == "NoFirmware"
    protocol = way.removesuffix("s") if way == "ftps" else way
    assert await site.daemon.metric("localctl_firmware_downloads_total", protocol=protocol, result="complete") == 2


async def test_row_33_aborts_lose_no_descriptor(
    open_serving: OpenSite, trust: ssl.SSLContext, rounds: Callable[[int, int], int]
) -> None:
    """Row 33: every way to abort gets its right reply, over FTP and FTPS, and nothing stays of any of them."""
    site = await open_serving()
    file = firmware(LARGE)
    _, uris = await site.published(file)
    address, path = place(uris, "ftp")
    times = rounds(10, 1000)

    def abort_all(talk: Talk, aborts: tuple[Callable[[Talk, str], None], ...]) -> None:
        for abort in aborts:
            for _ in range(times):
                abort(talk, path)
        talk.close()

    def vanish_all() -> None:
        for vanish in VANISHING:
            for _ in range(times):
                vanish(Talk(address), path)

    before = psutil.Process(site.daemon.pid).num_fds()
    await asyncio.to_thread(abort_all, Talk(address), ABORTS)
    await asyncio.to_thread(abort_all, SecureTalk(address, trust), (abor, close_data, reset_data))
    await asyncio.to_thread(vanish_all)
    await no_more_descriptors(site, before)
    ended = times * (len(ABORTS) + 3 + len(VANISHING))
    assert await site.daemon.metric("localctl_firmware_downloads_total", protocol="ftp", result="aborted") == ended
    assert await site.withdrawn(file.checksum) == "Unpublished"


async def test_row_33_replies(open_serving: OpenSite) -> None:
    """Row 33: ABOR with nothing to abort is 225; REST beyond the end 554, at the end an empty 226; then all is well."""
    site = await open_serving()
    file = firmware(300_000)
    _, uris = await site.published(file)
    address, path = place(uris, "ftp")

    def session() -> list[str]:
        talk = Talk(address)
        said = [talk("ABOR"), talk(f"REST {len(file.body) + 1}")]
        with talk.data():
            said.append(talk(f"RETR {path}"))
        said.append(talk(f"REST {len(file.body)}"))
        for body in (b"", file.body):
            with talk.data() as data:
                said.append(talk(f"RETR {path}"))
                assert read_all(data) == body
                said.append(talk.reply())
        talk.close()
        return [reply[:3] for reply in said]

    said = await asyncio.to_thread(session)
    assert [reply if reply != "150" else "125" for reply in said] == ["225", "350", "554", "350", *2 * ["125", "226"]]


async def test_row_33_the_data_connection_never_comes(open_serving: OpenSite) -> None:
    """Row 33: 150, and 425 when the time is over; until then DownloadOngoing, then Unpublished, and nothing stays."""
    site = await open_serving(idle_timeout_seconds=2)
    file = firmware(300_000)
    _, uris = await site.published(file)
    address, path = place(uris, "ftp")
    before = psutil.Process(site.daemon.pid).num_fds()
    talk = await asyncio.to_thread(Talk, address)
    assert (await asyncio.to_thread(talk, "EPSV")).startswith("229")
    assert (await asyncio.to_thread(talk, f"RETR {path}")).startswith("150")
    assert await site.unpublish(file.checksum) == "DownloadOngoing"
    assert (await asyncio.to_thread(talk.reply)).startswith("425")
    assert await site.unpublish(file.checksum) == "Unpublished"
    talk.close()
    await no_more_descriptors(site, before)
