"""Faults on the stations' side of serving, each test named by its row: the real daemon, and stations on raw sockets."""

import asyncio
import re
import ssl
from collections.abc import Callable

import pytest
from yarl import URL

from tests.actors.aborts import ABORTS, VANISHING, abor, close_data, reset_data
from tests.actors.fetch import WAYS, Download, place
from tests.actors.origin import Reply
from tests.actors.site import OpenSite, firmware, get
from tests.actors.wire import SecureTalk, Talk, fast_socket, read_all, secured

LARGE = 8_000_000  # more than the buffers of both kernels take


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

    before = site.daemon.descriptors()
    await asyncio.to_thread(abort_all, Talk(address), ABORTS)
    await asyncio.to_thread(abort_all, SecureTalk(address, trust), (abor, close_data, reset_data))
    await asyncio.to_thread(vanish_all)
    await site.daemon.down_to(before)
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
    site = await open_serving(idle_timeout_seconds=5)
    file = firmware(300_000)
    _, uris = await site.published(file)
    address, path = place(uris, "ftp")
    before = site.daemon.descriptors()
    talk = await asyncio.to_thread(Talk, address)
    assert (await asyncio.to_thread(talk, "EPSV")).startswith("229")
    assert (await asyncio.to_thread(talk, f"RETR {path}")).startswith("150")
    assert await site.unpublish(file.checksum) == "DownloadOngoing"
    assert (await asyncio.to_thread(talk.reply)).startswith("425")
    assert await site.unpublish(file.checksum) == "Unpublished"
    talk.close()
    await site.daemon.down_to(before)


ODD_NAMES = {
    "..": "firmware.bin",
    "%2e%2e": "firmware.bin",
    "..%2f..%2fetc%2fpasswd": "passwd",
    "..%5c..%5cboot.ini": "boot.ini",
    "a%2Fb.bin": "b.bin",
    "%00.bin": "_.bin",
    "fw%0d%0aSet-Cookie:%20x.bin": "fw_Set-Cookie_x.bin",
    "%1b%5b2Jfw.bin": "_2Jfw.bin",
    ".bashrc": "bashrc",
    "...": "firmware.bin",
    "": "firmware.bin",
    "fw%20(1)%20f%C3%BCr%20S%C3%A4ule.bin": "fw_1_f_r_S_ule.bin",
    f"{'a' * 400}.bin": f"{'a' * 96}.bin",
    "a" * 400: "a" * 100,
    "%ff%fe.bin": "_.bin",
    "fw.bin;type=i?token=x#y": "fw.bin_type_i",
}
# What is no published path; MD5 and NAME stand for the file's.
ODD_PATHS = (
    *("/..", "/../../etc/passwd", "/firmware/../../etc/passwd", "/firmware/MD5/..%2f..%2fetc%2fpasswd", "/%2e%2e/"),
    *("/firmware/MD5/%2e%2e", "/firmware/MD5%2fNAME", "/firmware/MD5/NAME%00", "/firmware/MD5/NAME%0d%0aX:y", "/%00"),
    *(
        "/firmware/MD5/.bashrc",
        "/firmware/MD5/.NAME",
        "/.localctl.db",
        "/localctl.db",
        "/firmware/MD5/",
        "//etc/passwd",
    ),
    f"/firmware/MD5/{'a' * 400}",
    f"/{'a' * 400}",
)


async def test_row_37_odd_names_become_safe_ones(open_serving: OpenSite) -> None:
    """Row 37: whatever the last segment of a location, the file is published under a safe name, and served by it."""
    site = await open_serving()
    for number, (segment, name) in enumerate(ODD_NAMES.items()):
        file = firmware(1000, number)
        location = f"{site.origin.url}/odd/{segment}"
        site.origin.script(URL(location).raw_path, Reply(file.body))
        request_id, answer = await site.publish(location, file.checksum)
        assert answer == {"status": "Accepted"}
        uris = (await site.csms.wait_status(request_id, "Published"))["location"]
        assert {uri.rpartition("/")[2] for uri in uris} == {name}, segment
        assert re.fullmatch("[A-Za-z0-9._-]{1,100}", name)
        assert await get(uris[0]) == (200, file.body)
        assert [path.name for path in site.daemon.state_dir.glob(f"firmware/{file.checksum}/*")] == [name]


async def test_row_37_odd_paths_are_not_there(open_serving: OpenSite, trust: ssl.SSLContext) -> None:
    """Row 37: any path but a published one is an empty 404 over HTTP and HTTPS, and 550 over FTP."""
    site = await open_serving()
    file = firmware(1000)
    _, uris = await site.published(file)
    paths = [path.replace("MD5", file.checksum).replace("NAME", file.name) for path in ODD_PATHS]

    def web(scheme: str) -> list[bytes]:
        address, _ = place(uris, scheme)
        answers = []
        for path in paths:
            with fast_socket(address) as plain, secured(plain, scheme, trust) as station:
                station.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
                answers.append(read_all(station))
        return answers

    for scheme in ("http", "https"):
        for path, answer in zip(paths, await asyncio.to_thread(web, scheme), strict=True):
            head, _, body = answer.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 404 "), path
            assert b"\r\nContent-Length: 0\r\n" in head + b"\r\n"
            assert body == b""

    def ftp() -> list[str]:
        talk = Talk(place(uris, "ftp")[0])
        raw = (
            f"/firmware/{file.checksum}/{file.name}\0",
            "/firmware/\x1b[2J",
            "\0",
            "/firmware/../../etc/passwd",
            "..",
        )
        said = []
        with talk.data():
            for path in (*paths, *raw):
                said += [talk(f"{command} {path}") for command in ("RETR", "SIZE", "MDTM")]
        assert talk("NOOP").startswith("200")
        talk.close()
        return said

    assert {reply[:3] for reply in await asyncio.to_thread(ftp)} == {"550"}
