"""Stations are old and odd: what they do and leave out, against the real daemon, over HTTP, HTTPS, FTP and FTPS."""

import asyncio
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from localctl.values import Address
from tests.actors.fetch import WAYS, Download, place
from tests.actors.process import Process
from tests.actors.site import OpenSite, Site, firmware
from tests.actors.wire import SecureTalk, Talk, ask, fast_socket, read_all, secured

WEB: Final = ("http", "https")
FILE = firmware(300_000)
LARGE = firmware(8_000_000)  # more than the buffers of both kernels take
Answer = tuple[str, dict[str, str], bytes]


class Place:
    """Where FILE is published, for blocking stations that ``trust`` the daemon."""

    def __init__(self, uris: Sequence[str], trust: ssl.SSLContext) -> None:
        self.uris = uris
        self.trust = trust
        self.path = place(uris, "http")[1]

    def address(self, scheme: str) -> Address:
        """The listener of ``scheme``."""
        return place(self.uris, scheme)[0]

    def ask(self, scheme: str, request: str, source: str = "") -> Answer:
        """The answer to a raw request, until the daemon closes; HOST and PATH stand for what they are."""
        address = self.address(scheme)
        request = request.replace("HOST", str(address)).replace("PATH", self.path)
        with fast_socket(address, source) as plain, secured(plain, scheme, self.trust) as station:
            return ask(station, request)

    @contextmanager
    def talking(self) -> Iterator[Talk]:
        """An FTP session, logged in."""
        talk = Talk(self.address("ftp"))
        yield talk
        talk.close()


async def serving(open_serving: OpenSite, trust: ssl.SSLContext, **publish: Any) -> tuple[Site, Place]:
    """A site, and FILE on it."""
    site = await open_serving(**publish)
    _, uris = await site.published(FILE)
    return site, Place(uris, trust)


async def blocking(*calls: Callable[[], None]) -> None:
    """Run what stations do beside the CSMS's loop."""
    for call in calls:
        await asyncio.to_thread(call)


async def test_http_1_0_without_host(open_serving: OpenSite, trust: ssl.SSLContext) -> None:
    """The oldest request there is, without Host and Range: the whole file, its length, and the connection closed."""
    _, place = await serving(open_serving, trust)

    def station() -> None:
        for scheme in WEB:
            status, headers, body = place.ask(scheme, "GET PATH HTTP/1.0\n\n")
            assert status == "HTTP/1.0 200 OK"
            assert headers["Content-Length"] == str(len(FILE.body))
            assert "Transfer-Encoding" not in headers
            assert body == FILE.body

    await blocking(station)


async def test_requests_as_to_a_proxy(open_serving: OpenSite, trust: ssl.SSLContext) -> None:
    """The whole URI in the request line, ours or that of a name that we never heard of."""
    _, place = await serving(open_serving, trust)

    def station() -> None:
        for scheme in WEB:
            for uri in (f"{scheme}://HOSTPATH", "http://controller.examplePATH", "HTTPS://10.0.0.1:1PATH"):
                status, _, body = place.ask(scheme, f"GET {uri} HTTP/1.1\nHost: x\nConnection: close\n\n")
                assert (status, body) == ("HTTP/1.1 200 OK", FILE.body)

    await blocking(station)


async def test_head_first_or_never(open_serving: OpenSite, trust: ssl.SSLContext) -> None:
    """HEAD tells the length and lends nothing; GET behind it on the same connection, or without it, is the same."""
    site, place = await serving(open_serving, trust)

    def station() -> None:
        for scheme in WEB:
            head = place.ask(scheme, "HEAD PATH HTTP/1.0\n\n")
            assert head[1]["Content-Length"] == str(len(FILE.body))
            assert head[2] == b""
            asked = "HEAD PATH HTTP/1.1\nHost: x\n\nGET PATH HTTP/1.1\nHost: x\nConnection: close\n\n"
            both = place.ask(scheme, asked)[2]
            assert both.startswith(b"HTTP/1.1 200 OK\r\n")
            assert both.endswith(b"\r\n\r\n" + FILE.body)
            assert place.ask(scheme, "GET PATH HTTP/1.0\n\n")[2] == FILE.body

    await blocking(station)
    for scheme in WEB:
        assert await site.daemon.metric("localctl_firmware_downloads_total", protocol=scheme, result="complete") == 2


ANSWERS: Final = {  # by what is sent: the status
    "GET PATH HTTP/1.1": 200,
    "HEAD PATH HTTP/1.1": 200,
    "GET PATH HTTP/1.1\nRange: bytes=5-9": 206,
    "GET PATH HTTP/1.1\nRange: bytes=0-1,5-9": 200,
    "GET PATH HTTP/1.1\nIf-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT": 304,
    'GET PATH HTTP/1.1\nIf-Match: "other"': 412,
    "GET PATH HTTP/1.1\nRange: bytes=999999999-": 416,
    "POST PATH HTTP/1.1\nContent-Length: 3": 405,
    "GET PATH/ HTTP/1.1": 404,
    "GET /firmware HTTP/1.1": 404,
    "GET / HTTP/1.1": 404,
    "HEAD / HTTP/1.1": 404,
    "GET / HTTP/1.1\nContent-Length: x": 400,
}


async def test_every_answer_is_plain(open_serving: OpenSite, trust: ssl.SSLContext) -> None:
    """Always a Content-Length that is true, never chunked, never a redirect; and what is no file has no body."""
    _, place = await serving(open_serving, trust)

    def station() -> None:
        for scheme in WEB:
            for asked, expected in ANSWERS.items():
                line, *more = asked.split("\n")
                rest = "abc" if "POST" in asked else ""
                request = "\n".join([line, "Host: x", "Connection: close", *more, "", rest])
                status, headers, body = place.ask(scheme, request)
                assert int(status.split()[1]) == expected, asked
                assert "Transfer-Encoding" not in headers
                assert "Location" not in headers
                length = int(headers["Content-Length"] if expected != 304 else 0)
                assert len(body) == (0 if line.startswith("HEAD") else length)
                assert (length > 0) == (expected in {200, 206})

    await blocking(station)


async def test_uris_are_short_and_work_as_they_are(open_serving: OpenSite, trust: ssl.SSLContext) -> None:
    """IP literals, and 80 characters for a usual name: stations have been seen that keep no more of a URI."""
    site, place = await serving(open_serving, trust)
    assert max(len(uri) for uri in place.uris) <= 80
    for uri in place.uris:
        tls = ("--cacert", str(site.daemon.state_dir.parent / "ca.pem"))
        got = site.daemon.state_dir.parent / "got"
        assert "127.0.0.1" in uri
        assert await run("curl", "-sS", "-f", "--max-redirs", "0", *tls, "-o", str(got), uri) == 0
        assert got.read_bytes() == FILE.body


async def test_uris_of_ipv6_literals(open_serving: OpenSite, trust: ssl.SSLContext) -> None:
    """An address of IPv6 stands in brackets, and is as good: over HTTP, and FTP by EPSV."""
    listen = {"listen": "[::1]:0"}
    site, place = await serving(open_serving, trust, host="::1", http=listen, ftp=listen, https=None)
    assert len(place.uris) == 2
    for uri in place.uris:
        assert "://[::1]:" in uri
        got = site.daemon.state_dir.parent / "got"
        assert await run("curl", "-sS", "-f", "-g", "-o", str(got), uri) == 0
        assert got.read_bytes() == FILE.body


async def test_busybox(open_serving: OpenSite, trust: ssl.SSLContext, tmp_path: Path) -> None:
    """BusyBox wget over HTTP and FTP, and ftpget, from the start and going on in the middle."""
    _, place = await serving(open_serving, trust)
    http, _, ftp = place.uris
    address = place.address("ftp")
    got = str(tmp_path / "got")
    ftpget = ("ftpget", "-P", str(address.port), address.host, got, place.path)
    for command in (("wget", "-q", "-O", got, http), ("wget", "-q", "-O", got, ftp), ftpget):
        assert await run("busybox", *command) == 0
        assert Path(got).read_bytes() == FILE.body
        Path(got).write_bytes(FILE.body[:100_003])
        assert await run("busybox", command[0], "-c", *command[1:]) == 0
        assert Path(got).read_bytes() == FILE.body
        Path(got).unlink()


def fetched(talk: Talk, name: str, connect: str = "PASV") -> bytes:
    """What RETR brings, by a data connection of PASV or EPSV."""
    if connect == "EPSV":
        data = talk.data()
    else:
        numbers = talk("PASV").partition("(")[2].partition(")")[0].split(",")
        data = fast_socket(Address(".".join(numbers[:4]), int(numbers[4]) * 256 + int(numbers[5])))
    with data:
        assert talk(f"RETR {name}").startswith("1")
        body = read_all(data)
    assert talk.reply().startswith("226")
    return body


async def test_ftp_with_the_least_and_with_all(open_serving: OpenSite, trust: ssl.SSLContext) -> None:
    """No TYPE, EPSV, SIZE or REST; CWD into each folder and RETR of a bare name; LIST before it; or all there is."""
    _, place = await serving(open_serving, trust)

    def least() -> None:
        with place.talking() as talk:
            assert fetched(talk, place.path) == FILE.body
            for folder in place.path.split("/")[1:-1]:
                assert talk(f"CWD {folder}").startswith("250")
            assert fetched(talk, FILE.name) == FILE.body

    def listing() -> None:
        with place.talking() as talk:
            assert talk(f"CWD {place.path.rpartition('/')[0]}").startswith("250")
            for command in ("LIST", "LIST -la", "NLST"):
                with talk.data() as data:
                    assert talk(command).startswith("1")
                    assert read_all(data).split()[-1] == FILE.name.encode()
                assert talk.reply().startswith("226")
            assert fetched(talk, FILE.name) == FILE.body

    def everything() -> None:
        with place.talking() as talk:
            for line in ("SYST", "FEAT", "OPTS UTF8 ON", "PWD", "CWD /", "TYPE I", "MODE S", "STRU F", "NOOP"):
                assert talk(line)[0] == "2", line
            assert talk(f"SIZE {place.path}") == f"213 {len(FILE.body)}"
            assert talk(f"MDTM {place.path}").startswith("213 2")
            assert talk("REST 100003").startswith("350")
            assert fetched(talk, place.path, "EPSV") == FILE.body[100_003:]
            assert talk("TYPE A").startswith("200")
            assert fetched(talk, place.path, "EPSV") == FILE.body
            assert talk("QUIT").startswith("221")

    await blocking(least, listing, everything)


async def test_ftps_in_one_segment(open_serving: OpenSite, trust: ssl.SSLContext) -> None:
    """Behind the handshake PBSZ, PROT and PASV at once; what stood in plain text behind AUTH TLS is thrown away."""
    _, place = await serving(open_serving, trust)

    def hasty() -> None:
        talk = SecureTalk(place.address("ftp"), trust)
        talk.sock.sendall(b"PBSZ 0\r\nPROT P\r\nPASV\r\n")
        assert [talk.reply()[:3] for _ in range(3)] == ["200", "200", "227"]
        with talk.begin(place.path) as data:
            assert read_all(data) == FILE.body
        assert talk.reply().startswith("226")
        talk.close()

    def in_the_middle() -> None:
        talk = Talk(place.address("ftp"), login=False)
        talk.sock.sendall(b"AUTH TLS\r\nUSER anonymous\r\nPASS evil\r\n")
        assert talk.reply().startswith("234")
        talk.sock = trust.wrap_socket(talk.sock, server_hostname="127.0.0.1")
        talk.file = talk.sock.makefile("rb")
        assert talk("NOOP").startswith("200")  # no reply of an earlier command stands before it
        assert talk("PASV").startswith("530")
        talk.close()

    await blocking(hasty, in_the_middle)


async def test_silent_stations_are_ended(open_serving: OpenSite, trust: ssl.SSLContext) -> None:
    """publish.idle_timeout_seconds, over every protocol: a station that takes nothing holds its file no longer."""
    site = await open_serving(idle_timeout_seconds=2)
    _, uris = await site.published(LARGE)
    before = site.daemon.descriptors()
    stations = [await asyncio.to_thread(Download, way, uris, trust) for way in WAYS]
    await site.daemon.down_to(before)
    assert await site.unpublish(LARGE.checksum) == "Unpublished"
    for protocol, ended in {"http": 1, "https": 1, "ftp": 2}.items():
        assert await site.daemon.metric("localctl_firmware_downloads_total", protocol=protocol, result="idle") == ended
    for station in stations:
        station.close()


@pytest.mark.parametrize("limit", ["max_transfers", "max_transfers_per_address"])
async def test_too_many_transfers(open_serving: OpenSite, trust: ssl.SSLContext, limit: str) -> None:
    """503 with Retry-After and no body, FTP 421 and closed; for other addresses, and afterwards, all is well."""
    site, place = await serving(open_serving, trust, **{limit: 1})
    _, uris = await site.published(LARGE)
    reason = {"max_transfers": "busy", "max_transfers_per_address": "busy_address"}[limit]

    def refused() -> None:
        for scheme in WEB:
            asked = "GET PATH HTTP/1.1\nHost: x\nConnection: close\n\n"
            status, headers, body = place.ask(scheme, asked)
            assert status == "HTTP/1.1 503 Service Unavailable"
            assert int(headers["Retry-After"]) > 0
            assert (headers["Content-Length"], body) == ("0", b"")
            elsewhere = place.ask(scheme, asked, "127.0.0.2")
            assert elsewhere[0].split()[1] == ("503" if limit == "max_transfers" else "200")
        for _ in range(2):
            with place.talking() as talk, talk.data():
                assert talk(f"RETR {place.path}").startswith("421")
                assert talk.reply() == ""

    for way in WAYS:
        running = await asyncio.to_thread(Download, way, uris, trust)
        await blocking(refused)
        assert await asyncio.to_thread(running.rest) == LARGE.body
        await settled(site)
    for way in WAYS:
        again = await asyncio.to_thread(Download, way, place.uris, trust)
        assert await asyncio.to_thread(again.rest) == FILE.body
        await settled(site)
    for protocol in ("http", "https", "ftp"):
        assert await site.daemon.metric("localctl_firmware_refused_total", protocol=protocol, reason=reason) >= 4


async def settled(site: Site) -> None:
    """Wait until no transfer is counted any more: a station may have its last byte before the daemon knows."""
    async with asyncio.timeout(30):
        while (await site.daemon.status())["transfers"]:  # noqa: ASYNC110  nothing tells of it
            await asyncio.sleep(0.02)


async def run(*command: str) -> int:
    """A client's exit status."""
    return await (await Process.start(command)).over()
