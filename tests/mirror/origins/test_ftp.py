"""Fetching from FTP origins: vsftpd with and without TLS, pyftpdlib as one that misbehaves, and bare sockets."""

import asyncio
import contextlib
import logging
import socket
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import trustme

from localctl.config import Firmware
from localctl.errors import FetchError, OriginFailed, OriginRefused
from localctl.mirror.origins.ftp import FtpOrigin, place_of
from localctl.store.records import Resume
from localctl.tls import origins_context
from tests.actors.ports import HeldPort
from tests.actors.vsftpd import Vsftpd
from tests.mirror.origins.bucket import Bucket
from tests.mirror.workshop import image

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it brings asyncore, or a copy of it
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.handlers import FTPHandler
    from pyftpdlib.ioloop import IOLoop
    from pyftpdlib.servers import FTPServer

BODY: Final = image(700_000)
START: Final = Resume()
SECRET: Final = "p@ss-w0rd"


@asynccontextmanager
async def client(ca_file: str = "", **keys: Any) -> AsyncIterator[FtpOrigin]:
    """A client that may ask 127.0.0.1; keyword arguments are keys of [firmware]."""
    settings = Firmware(**{"allowed_origins": ("127.0.0.1",), **keys})
    made = FtpOrigin(settings, origins_context(ca_file))
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


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with a file."""
    made = tmp_path / "root"
    made.mkdir()
    (made / "fw.bin").write_bytes(BODY)
    return made


@contextmanager
def pyftpd(root: Path, **more: Any) -> Iterator[str]:
    """The address of pyftpdlib's server; keyword arguments are attributes of its handler."""
    authorizer = DummyAuthorizer()
    authorizer.add_anonymous(str(root))
    authorizer.add_user("user", SECRET, str(root))
    handler = type("Handler", (FTPHandler,), {"authorizer": authorizer, "auth_failed_timeout": 0.01, **more})
    logging.getLogger("pyftpdlib").setLevel(logging.CRITICAL)
    loop = IOLoop()
    server = FTPServer(("127.0.0.1", 0), handler, ioloop=loop)
    stop = threading.Event()

    def serve() -> None:
        while not stop.is_set():
            loop.loop(timeout=0.02, blocking=False)
        server.close_all()

    thread = threading.Thread(target=serve, name="pyftpd")
    thread.start()
    try:
        yield f"127.0.0.1:{server.address[1]}"
    finally:
        stop.set()
        thread.join()


async def test_vsftpd(root: Path, tmp_path: Path) -> None:
    """A whole file, anonymous and passive, and then the rest of it by REST."""
    async with Vsftpd(tmp_path / "vsftpd", root) as server:
        whole = await fetched(f"{server.url}/fw.bin")
        assert whole.data == BODY
        (begun,) = whole.begun
        assert (begun.offset, begun.total, begun.validator[:5]) == (0, len(BODY), "MDTM ")
        assert whole.delimited
        rest = await fetched(f"{server.url}/fw.bin", Resume(300_000, begun.total, begun.validator))
        assert rest.data == BODY[300_000:]
        assert rest.begun[0].offset == 300_000


async def test_vsftpd_over_tls(root: Path, tmp_path: Path) -> None:
    """AUTH TLS, PROT P, and the data connection in the TLS session of the control connection; ``ca_file`` decides."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    made = ca.issue_cert("127.0.0.1")
    made.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    made.private_key_pem.write_to_path(tmp_path / "key.pem")
    async with Vsftpd(tmp_path / "v", root, certificate=(tmp_path / "cert.pem", tmp_path / "key.pem")) as server:
        got = await fetched(f"{server.url}/fw.bin", ca_file=str(tmp_path / "ca.pem"))
        assert got.data == BODY
        error, _ = await failed(f"{server.url}/fw.bin")
        assert isinstance(error, OriginFailed)
        assert "no root that we trust" in str(error)
        error, _ = await failed(server.url.replace("ftps", "ftp") + "/fw.bin")
        assert isinstance(error, OriginRefused)


async def test_a_file_that_changed_is_fetched_from_its_start(root: Path) -> None:
    """Faults, row 14: another size or time than before: not continued, no byte of the old one is kept."""
    with pyftpd(root) as address:
        for resume in (Resume(9, len(BODY), "MDTM 20200101000000"), Resume(9, 10, "MDTM 20200101000000")):
            got = await fetched(f"ftp://{address}/fw.bin", resume)
            assert (got.begun[0].offset, bytes(got.data)) == (0, BODY)


@pytest.mark.parametrize(("lacks", "total"), [("REST", len(BODY)), ("SIZE", None), ("MDTM", len(BODY))])
async def test_old_servers(root: Path, lacks: str, total: int | None) -> None:
    """Without REST, SIZE or MDTM a file is fetched whole."""
    with pyftpd(root) as address:
        (known,) = (await fetched(f"ftp://{address}/fw.bin")).begun
    commands = {key: value for key, value in FTPHandler.proto_cmds.items() if key != lacks}
    with pyftpd(root, proto_cmds=commands) as address:
        got = await fetched(f"ftp://{address}/fw.bin", Resume(5, known.total, known.validator))
    assert (got.begun[0].offset, got.begun[0].total, bytes(got.data)) == (0, total, BODY)
    assert got.delimited is (total is not None)


async def test_credentials(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    """User and password of the URL, percent-decoded; a wrong one is final and never repeated."""
    with pyftpd(root) as address:
        assert (await fetched(f"ftp://user:p%40ss-w0rd@{address}/fw.bin")).data == BODY
        error, _ = await failed(f"ftp://user:{SECRET}wrong@{address}/fw.bin")
    assert isinstance(error, OriginRefused)
    assert SECRET not in str(error) + repr(error) + caplog.text
    assert SECRET not in repr(place_of(f"ftp://user:{SECRET}@h/fw.bin"))


async def test_what_is_not_there(root: Path) -> None:
    """Faults, row 10: 550 is final."""
    with pyftpd(root) as address:
        error, bucket = await failed(f"ftp://{address}/missing.bin")
    assert isinstance(error, OriginRefused)
    assert "550" in str(error)
    assert bucket.begun == []


@pytest.mark.parametrize("code", ["421", "425", "426", "450", "451"])
async def test_what_may_be_better_later(root: Path, code: str) -> None:
    """A 4xx is asked again."""

    def ftp_RETR(self: Any, _file: str) -> None:  # noqa: N802  pyftpdlib's name
        self.respond(f"{code} later")

    with pyftpd(root, ftp_RETR=ftp_RETR) as address:
        error, _ = await failed(f"ftp://{address}/fw.bin")
    assert isinstance(error, OriginFailed)
    assert code in str(error)


async def test_the_address_of_a_pasv_answer_is_not_trusted(root: Path) -> None:
    """A server cannot lead us to another machine."""
    with pyftpd(root, masquerade_address="192.0.2.1") as address:
        assert (await fetched(f"ftp://{address}/fw.bin", connect_timeout_seconds=20)).data == BODY


async def test_a_file_that_is_cut(root: Path) -> None:
    """Faults, row 13: fewer bytes than SIZE told is a failure; what came is there to build on."""

    def ftp_SIZE(self: Any, _path: str) -> None:  # noqa: N802
        self.respond(f"213 {len(BODY) + 1}")

    with pyftpd(root, ftp_SIZE=ftp_SIZE) as address:
        error, bucket = await failed(f"ftp://{address}/fw.bin")
    assert isinstance(error, OriginFailed)
    assert (bytes(bucket.data), bucket.dropped) == (BODY, 0)


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]


@asynccontextmanager
async def raw(talk: Talk) -> AsyncIterator[str]:
    """The address of a server that does ``talk``."""

    async def attend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await talk(reader, writer)
        writer.close()

    server = await asyncio.start_server(attend, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    "greeting", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", b"220-x\r\n" * 2000, b"x" * 9000, b"\xff\r\n"]
)
async def test_what_does_not_speak_ftp(greeting: bytes) -> None:
    """Another protocol, nothing, an answer without end: a failure in words, never a fault of ours."""

    async def talk(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        await writer.drain()

    async with raw(talk) as address:
        error, _ = await failed(f"ftp://{address}/fw.bin")
    assert isinstance(error, OriginFailed)


async def test_a_silent_origin() -> None:
    """Faults, row 12: the idle timeout ends it; a stop does not wait for that."""

    async def talk(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with raw(talk) as address:
        error, _ = await failed(f"ftp://{address}/fw.bin", idle_timeout_seconds=0.05)
        assert isinstance(error, OriginFailed)
        assert "silent" in str(error)
        async with client(idle_timeout_seconds=3600) as made:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await made.fetch(f"ftp://{address}/fw.bin", START, Bucket())


async def test_a_refused_connection() -> None:
    """Faults, row 11: nobody listens."""
    held = HeldPort()
    error, _ = await failed(f"ftp://127.0.0.1:{held.number}/fw.bin")
    held.close()
    assert isinstance(error, OriginFailed)
    assert "cannot be reached" in str(error)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "169.254.169.254"])
async def test_only_allowed_origins(host: str) -> None:
    """The name is checked before it is resolved."""
    for globs in ((), ("*.example.com",)):
        error, _ = await failed(f"ftp://{host}:1/fw.bin", allowed_origins=globs)
        assert isinstance(error, OriginRefused)
        assert "allowed origins" in str(error)


async def test_a_name_that_leads_inward(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each address that an allowed name resolves to is checked before it is connected to."""
    entry = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 21))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_keys: [entry])
    error, _ = await failed("ftp://files.example.com/fw.bin", allowed_origins=("*.example.com",))
    assert isinstance(error, OriginRefused)
    assert "resolves to 127.0.0.1" in str(error)


@pytest.mark.parametrize("path", ["", "folder/", "fw%0D%0ADELE%20x", "%00", ";type=i"])
async def test_a_path_that_is_none(path: str) -> None:
    """No file, or a line of its own: refused before anybody is asked."""
    error, _ = await failed(f"ftp://127.0.0.1:1/{path}")
    assert isinstance(error, OriginRefused)


def test_where_a_location_leads() -> None:
    """RFC 1738: below the login's folder; %2F is the root; a type at the end is none of the name."""
    place = place_of("ftps://us%3Aer:pass@files.example.com/a%20b/fw.bin;type=i")
    assert (place.host, place.port, place.tls, place.path) == ("files.example.com", 21, True, "a b/fw.bin")
    assert (place.user, place.password) == ("us:er", "pass")
    assert place_of("ftp://h:2121/%2Fetc/fw?1").path == "/etc/fw?1"


async def test_more_at_once_while_one_is_under_way(tmp_path: Path, root: Path) -> None:
    """It goes on in another pool of threads; those of the first end."""
    async with (
        Vsftpd(tmp_path / "vsftpd", root) as vsftpd,
        client(max_concurrent_downloads=1, max_rate=400_000) as made,
    ):
        bucket = Bucket()
        async with asyncio.TaskGroup() as tasks:
            fetch = tasks.create_task(made.fetch(f"{vsftpd.url}/fw.bin", START, bucket), name="fetch")
            while not bucket.begun:  # noqa: ASYNC110  nobody tells
                await asyncio.sleep(0)
            first = made._threads
            made.reconfigure(Firmware(allowed_origins=("127.0.0.1",), max_concurrent_downloads=2), made._tls)
            await fetch
        assert bucket.data == BODY
        assert first._shutdown
        assert not made._threads._shutdown
