"""Opening the controller's own connection, against servers that accept, refuse, and are none at all."""

import asyncio
import base64
import logging
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import trustme
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from localctl.errors import LinkFailed
from localctl.metrics import CONNECTION_FAILURES
from localctl.tls import client_context
from localctl.uplink.dial import Dialler
from tests.actors.csms import Csms
from tests.actors.greeter import Answer, greeting, listening, plain
from tests.actors.ports import HeldPort
from tests.uplink.controller import LC, dialler

PASSWORD: Final = "correct horse battery"


async def failure(dials: Dialler) -> LinkFailed:
    """How a dial fails; the reason is one of the metric's, and no words hold a password."""
    with pytest.raises(LinkFailed) as caught:
        await dials.dial()
    assert caught.value.reason in CONNECTION_FAILURES
    assert PASSWORD not in str(caught.value)
    return caught.value


@asynccontextmanager
async def saying(answer: bytes) -> AsyncIterator[str]:
    """The URL of a server that reads a request and says this, and no more."""

    async def attend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await (reader.read() if answer == b"" else writer.drain())
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(attend, "127.0.0.1", 0)
    async with server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ocpp"


@pytest.mark.parametrize(
    ("offered", "spoken", "version"),
    [
        (("2.1", "2.0.1"), ("ocpp2.1", "ocpp2.0.1"), "2.1"),
        (("2.1", "2.0.1"), ("ocpp2.0.1",), "2.0.1"),
        (("2.0.1", "2.1"), ("ocpp2.1", "ocpp2.0.1"), "2.0.1"),
        (("2.0.1",), ("ocpp2.1", "ocpp2.0.1"), "2.0.1"),
    ],
)
async def test_the_version_is_negotiated(offered: tuple[str, ...], spoken: tuple[str, ...], version: str) -> None:
    """Part 4, 3.2: ours are offered best first, the CSMS chooses."""
    async with Csms(subprotocols=spoken) as csms:
        link = await dialler(csms.url, ocpp_versions=offered).dial()
        assert (link.version, link.since) == (version, 1e9)
        assert csms.handshakes[0].offered == tuple(f"ocpp{each}" for each in offered)
        await link.socket.close()


@pytest.mark.parametrize(("identity", "path"), [(LC, "LC-0001"), ("é#?%2F", "%C3%A9%23%3F%252F"), ("a@b", "a%40b")])
async def test_the_identity_is_the_last_segment(identity: str, path: str) -> None:
    """Part 4, 3.1: appended to the URL, percent-encoded once."""
    async with Csms() as csms:
        link = await dialler(csms.url, identity=identity).dial()
        assert csms.handshakes[0].path == f"/ocpp/{path}"
        assert csms.handshakes[0].identity == identity
        await link.socket.close()


async def test_basic_authentication(caplog: pytest.LogCaptureFixture) -> None:
    """A00.FR.204: the user name is the identity; the password is in no log, however much is logged."""
    caplog.set_level(logging.DEBUG)
    async with Csms(passwords={LC: PASSWORD}) as csms:
        link = await dialler(csms.url, basic_auth_password=PASSWORD).dial()
        token = base64.b64encode(f"{LC}:{PASSWORD}".encode()).decode()
        assert csms.handshakes[0].headers["Authorization"] == f"Basic {token}"
        assert csms.handshakes[0].headers["User-Agent"] == "localctl/test"
        await link.socket.close()
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("localctl")]
    assert not [line for line in ours if PASSWORD in line or token in line]


async def test_no_password_no_header() -> None:
    """Security profile 0 and 3 send no credentials."""
    async with Csms() as csms:
        link = await dialler(csms.url).dial()
        assert "Authorization" not in csms.handshakes[0].headers
        await link.socket.close()


async def test_a_wrong_password() -> None:
    """A 401 is ``auth``."""
    async with Csms(passwords={LC: PASSWORD}) as csms:
        fault = await failure(dialler(csms.url, basic_auth_password=PASSWORD + "!"))
    assert fault.reason == "auth"
    assert "401" in str(fault)


@pytest.mark.parametrize(("status", "reason"), [(401, "auth"), (403, "auth"), (404, "protocol"), (503, "protocol")])
async def test_a_refusal(status: int, reason: str) -> None:
    """The CSMS's refusals, by their status."""
    async with Csms() as csms:
        csms.refusals[LC] = status
        fault = await failure(dialler(csms.url))
    assert (fault.reason, str(status) in str(fault)) == (reason, True)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(status: int) -> None:
    """Our credentials go nowhere but to the URL that the installer gave."""
    async with Csms() as csms:
        answer = f"HTTP/1.1 {status} Moved\r\nLocation: {csms.url}/{LC}\r\nContent-Length: 0\r\n\r\n"
        async with saying(answer.encode()) as url:
            fault = await failure(dialler(url, basic_auth_password=PASSWORD))
        assert csms.handshakes == []
    assert (fault.reason, str(fault)) == ("protocol", f"the CSMS answered HTTP {status}")


async def test_no_common_version() -> None:
    """Part 4, 3.2: the handshake completes without a subprotocol: we close, and say what we offered."""
    async with Csms(subprotocols=("ocpp1.6",)) as csms:
        fault = await failure(dialler(csms.url))
        await csms.until(lambda: csms.links[0].closed)
    assert (fault.reason, str(fault)) == ("protocol", "the CSMS chose none of OCPP 2.1, 2.0.1")


async def test_a_version_that_was_not_offered() -> None:
    """A CSMS that chooses what we do not speak breaks RFC 6455, 4.2.2."""

    async def attend(connection: ServerConnection) -> None:
        await connection.wait_closed()

    server = await serve(attend, "127.0.0.1", 0, select_subprotocol=lambda *_: Subprotocol("ocpp1.6"))
    async with server:
        fault = await failure(dialler(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ocpp"))
    assert fault.reason == "protocol"


async def test_nobody_listens() -> None:
    """A refused connection is ``refused``."""
    held = HeldPort()
    fault = await failure(dialler(f"ws://127.0.0.1:{held.number}/ocpp"))
    held.close()
    assert fault.reason == "refused"


@pytest.mark.parametrize("host", ["csms.invalid", "a..b", "x" * 64 + ".example"])
async def test_a_name_that_cannot_be_resolved(host: str) -> None:
    """RFC 2606: .invalid is known to no DNS; a label that cannot be is no reason to stop the daemon either."""
    assert (await failure(dialler(f"ws://{host}/ocpp"))).reason == "dns"


async def test_a_csms_that_never_answers() -> None:
    """Given up after ``connect_timeout_seconds``."""
    async with saying(b"") as url:
        fault = await failure(dialler(url, connect_timeout_seconds=0.2))
    assert (fault.reason, str(fault)) == ("timeout", "the CSMS did not answer in time")


@pytest.mark.parametrize(
    "said",
    [b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 101 Switching\r\n\r\n"],
)
async def test_what_is_no_csms(said: bytes) -> None:
    """Whatever answers something else is ``protocol``."""
    async with saying(said) as url:
        assert (await failure(dialler(url))).reason == "protocol"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """An authority that is no root of this system."""
    return trustme.CA()


def served(authority: trustme.CA, name: str = "127.0.0.1") -> ssl.SSLContext:
    """A CSMS's side."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


async def test_tls(authority: trustme.CA, tmp_path: Path) -> None:
    """Security profile 2: the CSMS's certificate is verified against ``ca_file``."""
    (tmp_path / "ca.pem").write_bytes(authority.cert_pem.bytes())
    ours = client_context("csms", ca_file=str(tmp_path / "ca.pem"))
    async with Csms(tls=served(authority)) as csms:
        link = await dialler(csms.url, tls=ours).dial()
        await link.socket.close()
    async with Csms(tls=served(authority, "csms.example")) as csms:
        fault = await failure(dialler(csms.url, tls=ours))
    assert (fault.reason, "another name" in str(fault)) == ("tls", True)


async def test_tls_with_an_unknown_authority(authority: trustme.CA) -> None:
    """Faults, row 36: no connection, and the log says which key mends it."""
    async with Csms(tls=served(authority)) as csms:
        fault = await failure(dialler(csms.url, tls=client_context("csms")))
        assert csms.handshakes == []
    assert (fault.reason, "ca_file" in str(fault)) == ("tls", True)


async def test_tls_where_there_is_none() -> None:
    """A plain port is named as one."""
    with listening(plain) as (host, port):
        fault = await failure(dialler(f"wss://{host}:{port}/ocpp", tls=client_context("csms")))
    assert (fault.reason, "does not speak TLS" in str(fault)) == ("tls", True)


async def test_tls_that_ends_after_the_handshake(authority: trustme.CA, tmp_path: Path) -> None:
    """A server that speaks TLS but no WebSocket is not a fault of TLS."""
    (tmp_path / "ca.pem").write_bytes(authority.cert_pem.bytes())
    ours = client_context("csms", ca_file=str(tmp_path / "ca.pem"))
    with listening(greeting(served(authority))) as (host, port):
        fault = await failure(dialler(f"wss://{host}:{port}/ocpp", tls=ours))
    assert fault.reason == "protocol"


def strict(context: ssl.SSLContext) -> Answer:
    """Tell who shows no good certificate, and read what he says to its end: a reset would take the word away."""

    def answer(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False) as tls:
            with pytest.raises(ssl.SSLError):
                tls.do_handshake()
            socket.socket.shutdown(tls, socket.SHUT_WR)
            while socket.socket.recv(tls, 10_000):
                pass

    return answer


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_certificate_of_ours_that_has_ended(
    authority: trustme.CA, tmp_path: Path, newest: ssl.TLSVersion
) -> None:
    """Faults, row 36: the CSMS's refusal is told, also in TLS 1.3, where it comes behind the handshake."""
    (tmp_path / "ca.pem").write_bytes(authority.cert_pem.bytes())
    own = authority.issue_cert("LC", not_after=datetime.now(UTC) - timedelta(days=1))
    (tmp_path / "own.pem").write_bytes(own.private_key_and_cert_chain_pem.bytes())
    files = {"cert_file": str(tmp_path / "own.pem"), "key_file": str(tmp_path / "own.pem")}
    ours = client_context("csms", ca_file=str(tmp_path / "ca.pem"), **files)
    context = served(authority)
    context.maximum_version = newest
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    with listening(strict(context)) as (host, port):
        fault = await failure(dialler(f"wss://{host}:{port}/ocpp", tls=ours, **files))
    assert (fault.reason, str(fault)) == ("tls", "it refuses our certificate: cert_file must name one that it accepts")


async def test_a_csms_that_ends_without_a_word(authority: trustme.CA, tmp_path: Path) -> None:
    """Faults, row 36: behind TLS our certificate is suspected, where we show one; within it the handshake failed."""
    (tmp_path / "ca.pem").write_bytes(authority.cert_pem.bytes())
    ours = client_context("csms", ca_file=str(tmp_path / "ca.pem"))
    files = {"cert_file": "/own.pem", "key_file": "/own.pem"}

    def silent(connection: socket.socket) -> None:
        with served(authority).wrap_socket(connection, server_side=True) as tls:
            tls.recv(10_000)

    with listening(silent) as (host, port):
        fault = await failure(dialler(f"wss://{host}:{port}/ocpp", tls=ours, **files))
        assert (fault.reason, "refuse our certificate (csms.cert_file)" in str(fault)) == ("tls", True)
        fault = await failure(dialler(f"wss://{host}:{port}/ocpp", tls=ours))
        assert fault.reason == "protocol"

    def rude(connection: socket.socket) -> None:
        connection.recv(10_000)

    with listening(rude) as (host, port):
        fault = await failure(dialler(f"wss://{host}:{port}/ocpp", tls=ours))
        assert fault.reason == "tls"


async def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway is the way out; an environment variable must not reroute credentials."""
    held = HeldPort()
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{held.number}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    async with Csms() as csms:
        link = await dialler(csms.url).dial()
        await link.socket.close()
    held.close()


def test_nothing_secret_is_shown() -> None:
    """The repr of what holds the password."""
    options: dict[str, Any] = {"basic_auth_password": PASSWORD}
    assert PASSWORD not in repr(dialler("ws://127.0.0.1:1/ocpp", **options))
