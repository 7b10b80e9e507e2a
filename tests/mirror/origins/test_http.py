"""Fetching from HTTP origins: one that misbehaves on purpose, nginx, and bare sockets where neither will do."""

import asyncio
import base64
import gzip
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any, Final

import pytest
import trustme
from multidict import CIMultiDict, CIMultiDictProxy

from localctl.config import Firmware
from localctl.errors import FetchError, OriginFailed, OriginRefused
from localctl.mirror.origins.http import MAX_REDIRECTS, HttpOrigin, _validator
from localctl.store.records import Resume
from localctl.tls import origins_context
from tests.actors.greeter import listening, plain
from tests.actors.nginx import Nginx
from tests.actors.origin import Origin, Reply
from tests.actors.ports import HeldPort
from tests.mirror.origins.bucket import Bucket

BODY: Final = random.Random(1).randbytes(700_000)
START: Final = Resume()
HALF: Final = Resume(300_000, len(BODY), '"1"')
DATE: Final = "Sat, 31 Jan 2026 12:00:00 GMT"
SECRET: Final = "p@ss-w0rd"


@asynccontextmanager
async def client(ca_file: str = "", **keys: Any) -> AsyncIterator[HttpOrigin]:
    """A client that may ask 127.0.0.1; keyword arguments are keys of [firmware]."""
    settings = Firmware(**{"allowed_origins": ("127.0.0.1",), **keys})
    made = HttpOrigin(settings, origins_context(ca_file), "localctl/test")
    try:
        yield made
    finally:
        await made.close()


async def fetched(location: str, resume: Resume = START, **keys: Any) -> Bucket:
    """What a fetch brings; raises what it raises."""
    bucket = Bucket()
    async with client(**keys) as made:
        await made.fetch(location, resume, bucket)
    return bucket


async def failed(location: str, resume: Resume = START, **keys: Any) -> tuple[FetchError, Bucket]:
    """How a fetch fails, and what it has brought until then."""
    bucket = Bucket()
    async with client(**keys) as made:
        with pytest.raises(FetchError) as caught:
            await made.fetch(location, resume, bucket)
    return caught.value, bucket


@asynccontextmanager
async def raw(talk: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[str]:
    """The address of a server that reads a request's head and then does ``talk``."""

    async def attend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await talk(writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(attend, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    """An origin that does as it is told."""
    async with Origin() as made:
        yield made


@pytest.mark.parametrize(("framing", "total"), [("length", len(BODY)), ("chunked", None), ("close", None)])
async def test_a_whole_file(origin: Origin, framing: Any, total: int | None) -> None:
    """Every framing brings all bytes; only an end that nothing marks is told as such."""
    got = await fetched(origin.script("/fw.bin", Reply(BODY, framing=framing)))
    assert got.data == BODY
    assert got.begun == [Resume(0, total, '"1"')]
    assert got.delimited is (framing != "close")


async def test_what_is_asked(origin: Origin) -> None:
    """The request says who asks, wants nothing encoded, and no range where there is nothing to continue."""
    await fetched(origin.script("/a%20b/fw.bin", Reply(BODY)) + "?sig=a%2Bb%20c", Resume(0, len(BODY), '"1"'))
    request = origin.requests[0]
    assert request.target == "/a%20b/fw.bin?sig=a%2Bb%20c"
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["user-agent"] == "localctl/test"
    assert not {"range", "if-range", "authorization", "cookie"} & set(request.headers)


@pytest.mark.parametrize(
    ("reply", "validator"),
    [
        (Reply(BODY), '"1"'),
        (Reply(BODY, etag="", modified=DATE), DATE),
        (Reply(BODY, etag='W/"1"', modified=DATE), DATE),
    ],
)
async def test_a_partial_file_is_continued(origin: Origin, reply: Reply, validator: str) -> None:
    """Range with If-Range: a strong ETag, else Last-Modified; no byte comes twice."""
    first = await fetched(origin.script("/fw.bin", reply))
    assert first.begun == [Resume(0, len(BODY), validator)]
    got = await fetched(origin.url + "/fw.bin", Resume(HALF.offset, HALF.total, validator))
    assert got.data == BODY[HALF.offset :]
    assert got.begun == [Resume(HALF.offset, len(BODY), validator)]
    assert (origin.requests[1].headers["range"], origin.requests[1].headers["if-range"]) == ("bytes=300000-", validator)


async def test_what_is_left_of_a_file_of_unknown_length(origin: Origin) -> None:
    """A 206 tells the length that a chunked 200 had not."""
    got = await fetched(origin.script("/fw.bin", Reply(BODY)), Resume(300_000, None, '"1"'))
    assert got.begun == [HALF]
    assert got.data == BODY[300_000:]


async def test_nothing_is_continued_without_a_validator(origin: Origin) -> None:
    """A weak ETag alone, or a date without a length, cannot tell two files apart."""
    for reply in (Reply(BODY, etag='W/"1"'), Reply(BODY, etag="", modified=DATE, framing="chunked")):
        first = await fetched(origin.script("/fw.bin", reply))
        assert first.begun[0].validator == ""
    got = await fetched(origin.url + "/fw.bin", Resume(300_000, len(BODY)))
    assert got.data == BODY
    assert "range" not in origin.requests[-1].headers


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(BODY, ranges=False), id="the range is ignored"),
        pytest.param(Reply(BODY, etag='"2"'), id="the file has changed"),
    ],
)
async def test_a_200_to_a_range_starts_at_0(origin: Origin, reply: Reply) -> None:
    """Faults, rows 14 and 15: what follows is the whole file from its first byte, and the sink is told so."""
    got = await fetched(origin.script("/fw.bin", reply), HALF)
    assert got.begun == [Resume(0, len(BODY), reply.etag)]
    assert got.data == BODY


@pytest.mark.parametrize(
    ("status", "etag", "content_range"),
    [
        pytest.param(206, '"1"', "bytes 299999-699999/700000", id="wrong start"),
        pytest.param(206, '"1"', "bytes 0-699999/700000", id="from the beginning"),
        pytest.param(206, '"1"', "bytes 300000-699999/700001", id="wrong end"),
        pytest.param(206, '"1"', "bytes 300000-700000/700001", id="wrong total"),
        pytest.param(206, '"1"', "bytes 300000-699999/*", id="no total"),
        pytest.param(206, '"2"', "bytes 300000-699999/700000", id="another ETag"),
        pytest.param(206, '"1"', "300000-699999/700000", id="no unit"),
        pytest.param(206, '"1"', "bytes -300000-699999/700000", id="garbage"),
        pytest.param(206, '"1"', "", id="none"),
        pytest.param(416, '"1"', "bytes */700000", id="416"),
    ],
)
async def test_a_206_that_does_not_fit_is_dropped(origin: Origin, status: int, etag: str, content_range: str) -> None:
    """Faults, row 14: what was collected is dropped, nothing of the answer is taken, and another try may help."""
    headers = [("Content-Range", content_range)] if content_range else []
    location = origin.script("/fw.bin", Reply(BODY[300_000:], status=status, etag=etag, headers=headers))
    fault, bucket = await failed(location, HALF)
    assert isinstance(fault, OriginFailed)
    assert str(fault) == "the file has changed at the origin"
    assert (bucket.dropped, len(bucket.data), len(bucket.begun)) == (1, 0, 0)


@pytest.mark.parametrize(("resume", "etag"), [(HALF, ""), (Resume(300_000, len(BODY), DATE), '"2"')])
async def test_a_206_need_not_repeat_the_validator(origin: Origin, resume: Resume, etag: str) -> None:
    """RFC 9110 §15.3.7: with If-Range a 206 may leave out what we know already."""
    headers = [("Content-Range", "bytes 300000-699999/700000")]
    location = origin.script("/fw.bin", Reply(BODY[300_000:], status=206, etag=etag, headers=headers))
    got = await fetched(location, resume)
    assert (got.begun, bytes(got.data), got.dropped) == ([resume], BODY[300_000:], 0)


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_body_that_is_cut_short(origin: Origin, framing: Any) -> None:
    """Faults, row 13: noticed, and what came before the cut is kept."""
    fault, bucket = await failed(origin.script("/fw.bin", Reply(BODY, framing=framing, cut_after=400_000)))
    assert isinstance(fault, OriginFailed)
    assert str(fault) == "the origin's answer was cut short"
    assert bucket.data == BODY[:400_000]


async def test_a_cut_that_nobody_can_notice(origin: Origin) -> None:
    """Faults, row 13: with neither length nor chunks the end is just the end, but the sink knows that it may not be."""
    got = await fetched(origin.script("/fw.bin", Reply(BODY, framing="close", cut_after=400_000)))
    assert (bytes(got.data), got.delimited) == (BODY[:400_000], False)


async def test_a_length_smaller_than_the_body(origin: Origin) -> None:
    """Faults, row 17: what exceeds Content-Length is not of the file, and may be told as what it is: no HTTP."""
    bucket = Bucket()
    async with client() as made:
        with suppress(OriginFailed):
            await made.fetch(origin.script("/fw.bin", Reply(BODY, length=1000)), START, bucket)
    assert BODY[:1000].startswith(bucket.data)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 204, 304, 301, 308])
async def test_a_refusal_is_final(origin: Origin, status: int) -> None:
    """Faults, row 10: asking again is in vain; so it is where a redirect leads nowhere."""
    fault, _ = await failed(origin.script("/fw.bin", Reply(status=status)))
    assert isinstance(fault, OriginRefused)
    assert str(fault).startswith(f"the origin answered {status} ")


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_a_passing_trouble_is_not(origin: Origin, status: int) -> None:
    """Faults, rows 10 and 11: another try may help, after Retry-After."""
    fault, _ = await failed(origin.script("/fw.bin", Reply(status=status, headers=[("Retry-After", "7")])))
    assert isinstance(fault, OriginFailed)
    assert fault.retry_after == 7


async def test_retry_after_may_be_a_date(origin: Origin) -> None:
    """RFC 9110 §10.2.3: a date is turned into seconds by our clock."""
    later = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    fault, _ = await failed(origin.script("/fw.bin", Reply(status=503, headers=[("Retry-After", later)])))
    assert isinstance(fault, OriginFailed)
    assert fault.retry_after is not None
    assert 3000 < fault.retry_after <= 3600


async def test_nobody_listens() -> None:
    """Faults, row 11: refused, and said so."""
    held = HeldPort()
    fault, _ = await failed(f"http://user:{SECRET}@127.0.0.1:{held.number}/fw.bin")
    held.close()
    assert isinstance(fault, OriginFailed)
    assert str(fault).startswith("the origin cannot be reached: ")
    assert SECRET not in str(fault)


async def test_no_such_name() -> None:
    """Faults, row 11: a name that no DNS knows (RFC 2606) may be known later."""
    fault, _ = await failed("http://origin.invalid/fw.bin", allowed_origins=())
    assert isinstance(fault, OriginFailed)
    assert str(fault).startswith("the origin's name cannot be resolved: ")


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".example"])
async def test_a_name_that_cannot_be(host: str) -> None:
    """A label that is empty or too long is refused in words."""
    fault, _ = await failed(f"http://{host}/fw.bin", allowed_origins=())
    assert isinstance(fault, OriginRefused)
    assert str(fault).endswith("is no name of a host")


@pytest.mark.parametrize("reply", [Reply(BODY, silent=True), Reply(BODY, stall_after=1000)])
async def test_a_silent_origin_is_ended(origin: Origin, reply: Reply) -> None:
    """Faults, row 12: before the answer and in the middle of it, after ``idle_timeout_seconds``."""
    fault, _ = await failed(origin.script("/fw.bin", reply), idle_timeout_seconds=0.3)
    assert isinstance(fault, OriginFailed)
    assert str(fault) == "the origin was silent for too long"


async def test_a_head_that_drips_is_ended() -> None:
    """Faults, row 12: a byte now and then is no silence, but the head has a limit as a whole."""

    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with raw(drip) as address:
        fault, _ = await failed(f"http://{address}/fw.bin", connect_timeout_seconds=0.2, idle_timeout_seconds=0.2)
    assert isinstance(fault, OriginFailed)
    assert str(fault) == "the origin was silent for too long"


@pytest.mark.parametrize("said", [b"SSH-2.0-OpenSSH_9.2\r\n\r\n", b"HTTP/1.1 2000000 OK\r\n\r\n", b"\x00" * 100_000])
async def test_what_is_no_http(said: bytes) -> None:
    """Whatever is no answer is told in words of ours, without what was sent and without the location."""

    async def talk(writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        await writer.drain()

    async with raw(talk) as address:
        fault, _ = await failed(f"http://user:{SECRET}@{address}/fw.bin?{SECRET}")
    assert isinstance(fault, OriginFailed)
    assert str(fault) == "the origin does not speak HTTP"


async def test_a_connection_that_breaks() -> None:
    """A reset in place of an answer may pass."""

    async def reset(writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with raw(reset) as address:
        fault, _ = await failed(f"http://user:{SECRET}@{address}/fw.bin")
    assert isinstance(fault, OriginFailed)
    assert str(fault).startswith("the connection to the origin broke: ")
    assert SECRET not in str(fault)


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 302 Found\r\nLocation: http://x/?sig=p@ss-w0rd\r\nX-Mo"])
async def test_a_head_that_is_cut(head: bytes) -> None:
    """Faults, row 13: it may pass; what came of the head, a signed location say, is told to nobody."""

    async def talk(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        await writer.drain()

    async with raw(talk) as address:
        fault, _ = await failed(f"http://{address}/fw.bin")
    assert isinstance(fault, OriginFailed)
    assert str(fault) == "the connection to the origin broke: it ended before the answer was there"


@pytest.mark.parametrize(("status", "words"), [(404, "404 Not Found"), (503, "503 Service Unavailable"), (799, "799")])
async def test_the_phrase_of_a_status_is_ours(status: int, words: str) -> None:
    """An origin cannot write into our log: neither what steers a terminal nor a password that it repeats."""

    async def talk(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 %d \x1b[31m\xe9 p@ss-w0rd\r\nContent-Length: 0\r\n\r\n" % status)
        await writer.drain()

    async with raw(talk) as address:
        fault, _ = await failed(f"http://{address}/fw.bin")
    assert str(fault) == f"the origin answered {words}"


def chain(origin: Origin, length: int) -> str:
    """The location of a file behind so many redirects."""
    for hop in range(length):
        status = (301, 302, 303, 307, 308)[hop % 5]
        origin.script(f"/{hop}", Reply(status=status, headers=[("Location", f"/{hop + 1}")]))
    origin.script(f"/{length}", Reply(BODY))
    return f"{origin.url}/0"


async def test_five_redirects_are_followed(origin: Origin) -> None:
    """Faults, row 16: each of the five kinds, with Range and If-Range kept on the way."""
    got = await fetched(chain(origin, MAX_REDIRECTS), HALF)
    assert got.data == BODY[300_000:]
    assert [request.headers["range"] for request in origin.requests] == ["bytes=300000-"] * 6
    assert [request.headers["if-range"] for request in origin.requests] == ['"1"'] * 6


async def test_six_redirects_are_refused(origin: Origin) -> None:
    """Faults, row 16: at most five, so that a loop ends; the seventh request is never made."""
    fault, _ = await failed(chain(origin, MAX_REDIRECTS + 1))
    assert isinstance(fault, OriginRefused)
    assert str(fault) == "the origin redirects more than 5 times"
    assert len(origin.requests) == 6


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("file:///etc/passwd", "redirects to a file location"),
        ("ftp://127.0.0.1/fw.bin", "redirects to a ftp location"),
        ("gopher://127.0.0.1/", "redirects to a gopher location"),
        ("http://localhost:1/fw.bin", "localhost is not among the allowed origins"),
        ("http://169.254.169.254/latest/meta-data", "169.254.169.254 is not among the allowed origins"),
        ("//10.0.0.1/fw.bin", "10.0.0.1 is not among the allowed origins"),
        ("http://127.1/fw.bin", "127.1 is not among the allowed origins"),
        ("http://[::1/", "redirects to what is not a URL"),
        ("http://127.0.0.1:99999/", "redirects to what is not a URL"),
    ],
)
async def test_each_redirect_is_checked(origin: Origin, target: str, words: str) -> None:
    """Faults, row 16: to another scheme, or to a host that is not allowed: refused before it is asked."""
    fault, bucket = await failed(origin.script("/fw.bin", Reply(status=302, headers=[("Location", target)])))
    assert isinstance(fault, OriginRefused)
    assert words in str(fault)
    assert bucket.begun == []
    assert len(origin.requests) == 1


@pytest.mark.parametrize("host", ["2130706433", "127.1", "0177.0.0.1", "0x7f000001", "127.0.0.1", "[::ffff:127.0.0.1]"])
async def test_no_spelling_of_loopback_is_connected_to(origin: Origin, host: str) -> None:
    """Whatever the operating system would make of it, no request arrives."""
    fault, _ = await failed(f"http://{host}:{origin.port}/fw.bin", allowed_origins=())
    assert isinstance(fault, OriginRefused)
    assert origin.requests == []


async def test_a_name_that_resolves_to_a_refused_address(origin: Origin) -> None:
    """A name that is allowed does not make an inward address so: refused, not tried again, nobody asked."""
    location = f"http://localhost:{origin.port}/fw.bin"
    fault, _ = await failed(location, allowed_origins=("local*",))
    assert isinstance(fault, OriginRefused)
    assert str(fault).startswith("localhost resolves to ")
    assert origin.requests == []
    origin.script("/fw.bin", Reply(BODY))
    assert (await fetched(location, allowed_origins=("localhost",))).data == BODY


async def test_nothing_is_decoded(origin: Origin) -> None:
    """Faults, row 18: Content-Encoding is the file's business; its bytes are published as they came."""
    packed = gzip.compress(bytes(10_000_000))
    got = await fetched(origin.script("/fw.gz", Reply(packed, headers=[("Content-Encoding", "gzip")])))
    assert got.data == packed
    assert got.begun[0].total == len(packed)


async def test_user_and_password_of_the_location(origin: Origin, caplog: pytest.LogCaptureFixture) -> None:
    """They go to that origin as basic authentication, to no other that it redirects to, and into no log."""
    caplog.set_level(logging.DEBUG)
    async with Origin() as other:
        target = other.script("/fw.bin", Reply(BODY))
        origin.script("/fw.bin", Reply(status=302, headers=[("Location", target)]))
        location = f"http://user:p%40ss-w0rd@127.0.0.1:{origin.port}/fw.bin"
        assert (await fetched(location)).data == BODY
        told = base64.b64encode(f"user:{SECRET}".encode()).decode()
        assert origin.requests[0].headers["authorization"] == f"Basic {told}"
        assert "authorization" not in other.requests[0].headers
    assert not [text for text in (SECRET, "p%40ss-w0rd", told) if text in caplog.text]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """An authority that is no root of this system."""
    return trustme.CA()


@pytest.fixture
async def shop(authority: trustme.CA, tmp_path: Path) -> AsyncIterator[Nginx]:
    """Nginx with TLS, and a certificate from that authority."""
    leaf = authority.issue_cert("127.0.0.1")
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    key.write_bytes(leaf.private_key_pem.bytes())
    root = tmp_path / "root"
    root.mkdir()
    (root / "fw.bin").write_bytes(BODY)
    async with Nginx(tmp_path / "nginx", root, certificate=(certificate, key)) as made:
        yield made


async def test_tls_with_the_authority_that_is_named(shop: Nginx, authority: trustme.CA, tmp_path: Path) -> None:
    """``[firmware] ca_file``: the origin's certificate is verified, and nginx serves whole and continued."""
    (tmp_path / "ca.pem").write_bytes(authority.cert_pem.bytes())
    ca_file = str(tmp_path / "ca.pem")
    whole = await fetched(f"{shop.url}/fw.bin", ca_file=ca_file)
    assert whole.data == BODY
    rest = await fetched(f"{shop.url}/fw.bin", Resume(300_000, len(BODY), whole.begun[0].validator), ca_file=ca_file)
    assert rest.data == BODY[300_000:]
    assert [served.status for served in shop.requests()] == [200, 206]


async def test_tls_with_an_unknown_authority(shop: Nginx) -> None:
    """The log says what is wrong and which key mends it; it may be mended before the next try."""
    fault, _ = await failed(f"{shop.url}/fw.bin")
    assert isinstance(fault, OriginFailed)
    assert str(fault).startswith(
        "TLS with the origin failed: its certificate comes from no root that we trust: ca_file "
    )


async def test_tls_where_there_is_none() -> None:
    """A plain port is named as one."""
    with listening(plain) as (host, port):
        fault, _ = await failed(f"https://{host}:{port}/fw.bin")
    assert isinstance(fault, OriginFailed)
    assert "does not speak TLS" in str(fault)


async def test_tls_that_never_comes_about() -> None:
    """``connect_timeout_seconds`` limits the handshake as well."""
    held = HeldPort()
    with held.listening():  # the kernel accepts, and nobody says a word
        fault, _ = await failed(f"https://127.0.0.1:{held.number}/fw.bin", connect_timeout_seconds=0.2)
    held.close()
    assert isinstance(fault, OriginFailed)
    assert str(fault) == "the origin cannot be reached: it took too long to connect"


@pytest.mark.parametrize("location", ["http://[::1/fw.bin", "http://127.0.0.1:99999/", "http://user:p@:80/", "/fw.bin"])
async def test_a_location_that_is_no_url(location: str) -> None:
    """What got past the door, from an old database say, is refused in words and without a traceback."""
    fault, _ = await failed(location)
    assert isinstance(fault, OriginRefused)


async def test_what_the_sink_raises_ends_the_fetch(origin: Origin) -> None:
    """A sink that has had enough is not taken for an origin that failed."""

    class Full(Bucket):
        async def take(self, data: bytes) -> None:
            raise OriginRefused(f"{len(data)} are too many")

    async with client() as made:
        with pytest.raises(OriginRefused, match="too many"):
            await made.fetch(origin.script("/fw.bin", Reply(BODY)), START, Full())


@pytest.mark.parametrize("name", ["ETag", "Last-Modified"])
def test_a_validator_that_could_not_be_kept(name: str) -> None:
    """RFC 9110 §8.8.3 allows bytes above ASCII in an ETag: such a file is fetched, and never resumed."""
    value = '"caf\udce9"' if name == "ETag" else "Lundi\udce9"
    assert _validator(CIMultiDictProxy(CIMultiDict({name: value, "Content-Length": "1"}))) == ""


async def test_other_settings_count_for_what_is_asked_then(origin: Origin, shop: Nginx, authority: trustme.CA) -> None:
    """Whom we may ask and whom we trust; a fetch that is under way keeps its own."""
    trusting = origins_context("")
    authority.configure_trust(trusting())
    location = origin.script("/fw.bin", Reply(BODY))
    async with client(max_rate=500_000) as made:
        bucket = Bucket()
        with pytest.raises(OriginFailed):
            await made.fetch(f"{shop.url}/fw.bin", START, Bucket())
        async with asyncio.TaskGroup() as tasks:
            fetch = tasks.create_task(made.fetch(location, START, bucket), name="fetch")
            while not bucket.begun:  # noqa: ASYNC110  nobody tells
                await asyncio.sleep(0)
            made.reconfigure(Firmware(allowed_origins=("10.*",)), trusting)
            with pytest.raises(OriginRefused):
                await made.fetch(location, START, Bucket())
            await fetch
        assert bucket.data == BODY
        made.reconfigure(Firmware(allowed_origins=("127.0.0.1",)), trusting)
        sealed = Bucket()
        await made.fetch(f"{shop.url}/fw.bin", START, sealed)
        assert sealed.data == BODY
