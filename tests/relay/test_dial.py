"""The CSMS is asked in the station's own words, and its answers are told apart."""

import asyncio
import errno
import socket
import ssl
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.uri import parse_uri

from localctl.relay.deflate import towards_csms
from localctl.relay.dial import Target, Upstream, _unreachable
from localctl.relay.dial import dial as dial_it
from localctl.relay.policy import Headers as Fields
from localctl.relay.policy import Refusal
from tests.relay.conftest import PATIENCE, Peer, csms_peer, raw_csms, until

OFFER = ("ocpp2.0.1", "ocpp1.6")
WRONG_ACCEPT = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: AAAA\r\n\r\n"
)
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def target(url: str, tls: ssl.SSLContext | None = None, timeout: float = PATIENCE) -> Target:
    """A CSMS without pings."""
    uri = parse_uri(url)
    return Target(uri, tls or (ssl.create_default_context() if uri.secure else None), timeout, 0, compress=True)


async def dial(to: Target, path: str, offer: tuple[str, ...], headers: Fields) -> Upstream | Refusal:
    """Dial for a station that asks for that."""
    spoken = ("Sec-WebSocket-Protocol", ", ".join(offer))
    return await dial_it(to, Request(path, Headers([*headers, spoken])), offer, towards_csms([], compress=True))


def answering(answer: bytes) -> Talk:
    """A CSMS that answers any request with these bytes, and ends."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()

    return talk


async def refusal_by(answer: bytes) -> Refusal:
    """What a station gets when the CSMS answers so."""
    async with raw_csms(answering(answer)) as url:
        outcome = await dial(target(url), "/ocpp/CS-1", OFFER, ())
    assert isinstance(outcome, Refusal)
    return outcome


@pytest.mark.parametrize(
    "path",
    [
        "/ocpp/CS-1",
        "/",
        "/CS-1?",
        "/CS-1?a=b%20c&d=/e",
        "/a;p=1/CS-1;q=2?x;y",
        "/ocpp//CS-1",
        "/ocpp/./a/../CS-1",
        "//host/CS-1",
        "/ocpp/a%2Fb%2f%41",
        "/ocpp/[x]|{y}\\z",
        "/ocpp/CS-1??x?",
        "/" + "x" * 2000,
    ],
)
async def test_path_and_query_byte_for_byte(peer: Peer, path: str) -> None:
    """Part 4 §6.2: no parser, normaliser or quoter touches the station's request target."""
    leg = await dial(target(peer.url), path, OFFER, ())
    assert isinstance(leg, Upstream)
    assert peer.requests[0].path == path
    leg.transport.abort()


async def test_the_request_is_the_station_s() -> None:
    """Part 4 §6.1: nothing in it betrays the controller, and the host is the CSMS's own."""
    heads: list[str] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode("latin-1"))
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

    headers = (("Authorization", "Basic eA=="), ("X-Serial", "1"), ("x-serial", "2"))
    async with raw_csms(talk) as url:
        await dial(target(url), "/ocpp/CS-1", OFFER, headers)
        host = url.split("/")[2]
    lines = heads[0].split("\r\n")
    assert lines[0] == "GET /ocpp/CS-1 HTTP/1.1"
    assert {line.split(":")[0].lower() for line in lines[1:] if line} == {
        "host", "upgrade", "connection", "sec-websocket-key", "sec-websocket-version", "sec-websocket-extensions",
        "sec-websocket-protocol", "authorization", "x-serial",
    }  # fmt: skip
    assert {f"Host: {host}", "Sec-WebSocket-Protocol: ocpp2.0.1, ocpp1.6"} <= set(lines)
    assert [line for line in lines if line.lower().startswith(("auth", "x-"))] == [": ".join(item) for item in headers]


@pytest.mark.parametrize(("chosen", "seen"), [("ocpp1.6", "ocpp1.6"), (None, None)])
async def test_the_csms_chooses(peer: Peer, chosen: str | None, seen: str | None) -> None:
    """A CSMS that chooses none has accepted all the same: it will close (OCPP-J 3.2)."""
    peer.choose = lambda _offer: chosen
    leg = await dial(target(peer.url), "/ocpp/CS-1", OFFER, ())
    assert isinstance(leg, Upstream)
    assert leg.subprotocol == seen
    leg.transport.abort()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (OSError(errno.ECONNREFUSED, "Connect call failed ('192.0.2.1', 443)"), "Connection refused"),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "Name or service not known"),
        (OSError("Multiple exceptions: …"), "Multiple exceptions: …"),
    ],
)
def test_why_nobody_is_reached(fault: OSError, words: str) -> None:
    """In the kernel's or the resolver's words, without what only a programmer reads."""
    assert _unreachable(fault, 1.0).why == f"the CSMS cannot be reached: {words}"


async def test_a_refusal_with_all_that_belongs_to_it() -> None:
    """Part 4 §6.1: status, words, headers and body reach the station, whole though they came in chunks."""
    refusal = await refusal_by(
        b"HTTP/1.1 401 Who are you\r\nWWW-Authenticate: Basic realm=x\r\nServer: CSMS/1\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    )
    assert (refusal.status, refusal.phrase, refusal.body) == (401, "Who are you", b"abc")
    assert refusal.headers == (("WWW-Authenticate", "Basic realm=x"), ("Server", "CSMS/1"))
    assert refusal.result == "refused_by_csms"


async def test_a_redirect_is_not_followed(peer: Peer) -> None:
    """Following it would take the station's credentials to a host that nobody named: it is the station's to follow."""
    refusal = await refusal_by(f"HTTP/1.1 302 Found\r\nLocation: {peer.url}/x\r\nContent-Length: 0\r\n\r\n".encode())
    assert (refusal.status, dict(refusal.headers)["Location"]) == (302, f"{peer.url}/x")
    assert not peer.requests


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        WRONG_ACCEPT,
        b"220 mail.example.com ESMTP\r\n",
        b"\x00\x01\x02\x1b[31m\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 99999999\r\n\r\n",
        b"x" * 20000,
    ],
)
async def test_nonsense_is_502(answer: bytes) -> None:
    """What is no WebSocket handshake and no refusal cannot be passed on, and no byte of it reaches the log raw."""
    refusal = await refusal_by(answer)
    assert (refusal.status, refusal.result) == (502, "csms_invalid")
    assert refusal.why.isprintable()
    assert len(refusal.why) < 300


async def test_a_subprotocol_that_nobody_offered_is_502(peer: Peer) -> None:
    """A CSMS that chooses what was not offered breaks RFC 6455 §4.1."""

    async def choose(connection: ServerConnection, request: Request) -> Response:
        response = connection.protocol.accept(request)
        del response.headers["Sec-WebSocket-Protocol"]
        response.headers["Sec-WebSocket-Protocol"] = "ocpp1.5"
        return response

    peer.answer = choose
    outcome = await dial(target(peer.url), "/ocpp/CS-1", OFFER, ())
    assert isinstance(outcome, Refusal)
    assert outcome.status == 502


async def test_no_answer_is_503() -> None:
    """Refused, ended without a word, silent, or a name that nobody knows: the station is to come again."""
    async with raw_csms(answering(b"")) as url:
        ended = await dial(target(url), "/", OFFER, ())
    refused = await dial(target(url), "/", OFFER, ())  # its listener is closed now
    unnamed = await dial(target("ws://" + "x" * 64 + ".invalid/"), "/", OFFER, ())
    done = asyncio.Event()

    async def silent(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await done.wait()

    async with raw_csms(silent) as url:
        mute = await dial(target(url, timeout=0.05), "/", OFFER, ())
        done.set()
    for outcome in (ended, refused, unnamed, mute):
        assert isinstance(outcome, Refusal)
        assert outcome.status == 503
        assert dict(outcome.headers)["Retry-After"]


async def test_no_tls_there_is_502() -> None:
    """TLS that fails is the installer's to mend: the reason is named."""

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read()

    async with raw_csms(plain) as url:
        outcome = await dial(target(url.replace("ws:", "wss:")), "/", OFFER, ())
    assert isinstance(outcome, Refusal)
    assert outcome.status == 502


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for 127.0.0.1 and its key in one file, signed by itself."""
    pem = tmp_path / "csms.pem"
    options = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=csms".split()
    subprocess.run(
        ["openssl", *options, "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", pem, "-out", tmp_path / "cert.pem"],
        check=True,
        capture_output=True,
    )
    pem.write_bytes(pem.read_bytes() + (tmp_path / "cert.pem").read_bytes())
    return pem


async def test_tls_towards_the_csms(certificate: Path) -> None:
    """Part 4 §6.5: the leg to the CSMS has the TLS of its own; a certificate that nobody trusts is 502."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    trusting = ssl.create_default_context(cafile=str(certificate))
    async with csms_peer(server) as peer:
        leg = await dial(target(peer.url, trusting), "/ocpp/CS-1", OFFER, ())
        assert isinstance(leg, Upstream)
        leg.transport.abort()
        outcome = await dial(target(peer.url), "/ocpp/CS-1", OFFER, ())
    assert isinstance(outcome, Refusal)
    assert outcome.status == 502
    assert "certificate" in outcome.why


async def test_no_proxy_of_the_environment(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell's proxy settings do not send stations elsewhere."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    leg = await dial(target(peer.url), "/ocpp/CS-1", OFFER, ())
    assert isinstance(leg, Upstream)
    leg.transport.abort()


async def test_a_dial_for_nobody_is_given_up() -> None:
    """When the station has gone the CSMS is not kept waiting."""
    asked, left = asyncio.Event(), asyncio.Event()

    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read()
        left.set()

    async with raw_csms(silent) as url:
        async with asyncio.TaskGroup() as group:
            dialling = group.create_task(dial(target(url), "/", OFFER, ()))
            await until(asked.is_set)
            dialling.cancel()
        await until(left.is_set)
