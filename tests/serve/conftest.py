"""A published file of a few MiB, and servers on free ports that hand it out."""

import errno
import hashlib
import os
import random
import resource
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import psutil
import pytest
import trustme
from prometheus_client import CollectorRegistry

from localctl.metrics import Metrics
from localctl.renewal import Certificate, Files
from localctl.serve.ftp import FtpServer
from localctl.serve.http import HttpServer
from localctl.store.catalogue import Catalogue, PublishedFile
from localctl.store.names import published_path
from localctl.tls import server_context
from localctl.values import Address
from tests.actors.wire import PATIENCE_SECONDS, fast_socket, slow_socket

NAME: Final = "Station_2.0.1.bin"
PUBLISHED_AT: Final = 1_700_000_000.75


def until(condition: Callable[[], bool]) -> None:
    """Return once ``condition`` holds."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end, "what was waited for did not come"
        time.sleep(0.002)


@dataclass
class Shop:
    """What is published, who hands it out, and what was counted."""

    folder: Path
    source: Path
    content: bytes
    max_transfers: int = 100
    max_per_address: int = 0
    scheme: Literal["http", "https"] = "http"
    catalogue: Catalogue = field(init=False)
    metrics: Metrics = field(init=False)
    file: PublishedFile = field(init=False)
    stack: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        self.catalogue = Catalogue(self.max_transfers, self.max_per_address)
        self.metrics = Metrics(CollectorRegistry(), "0")
        checksum = hashlib.md5(self.content).hexdigest()
        (self.folder / checksum).mkdir(parents=True)
        (self.folder / checksum / NAME).hardlink_to(self.source)
        self.file = self._added(checksum, self.content)

    @property
    def path(self) -> str:
        return published_path(self.file.checksum, self.file.name)

    def publish(self, content: bytes) -> PublishedFile:
        """Store and publish ``content``."""
        checksum = hashlib.md5(content).hexdigest()
        (self.folder / checksum).mkdir(parents=True)
        (self.folder / checksum / NAME).write_bytes(content)
        return self._added(checksum, content)

    def _added(self, checksum: str, content: bytes) -> PublishedFile:
        sha256 = hashlib.sha256(content).hexdigest()
        path = self.folder / checksum / NAME
        file = PublishedFile(checksum, NAME, path, len(content), sha256, PUBLISHED_AT)
        self.catalogue.add(file)
        return file

    def http(self, idle_timeout: float = 60, host: str = "127.0.0.1") -> tuple[HttpServer, Address]:
        """A running server of ``scheme``."""
        server = HttpServer(Address(host, 0), idle_timeout, self.catalogue, self.metrics, self.certificate)
        address = server.bind()
        server.serve()
        server._ready.result()  # its descriptors are there
        self.stack.callback(server.stop, 0)
        return server, address

    @property
    def certificate(self) -> Certificate | None:
        """What an HTTPS server shows: of a new authority each time."""
        if self.scheme == "http":
            return None
        self.issue()
        files = Files("publish.https", str(self.cert_file), str(self.key_file), self.metrics)
        return Certificate(files, lambda: server_context(files.section, files.cert_file, files.key_file))

    def issue(self) -> None:
        """Write a certificate for loopback, with the authority that clients have to trust."""
        authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
        own = authority.issue_cert("127.0.0.1", "::1", key_type=trustme.KeyType.ECDSA)
        authority.cert_pem.write_to_path(str(self.ca_file))
        own.cert_chain_pems[0].write_to_path(str(self.cert_file))
        own.private_key_pem.write_to_path(str(self.key_file))

    @property
    def ca_file(self) -> Path:
        return self.folder.with_name("ca.pem")

    @property
    def cert_file(self) -> Path:
        return self.folder.with_name("own.pem")

    @property
    def key_file(self) -> Path:
        return self.folder.with_name("own.key")

    def dial(self, address: Address, *, slow: bool = False) -> socket.socket:
        """A connection to a server of ``scheme``; a slow one takes little ahead of its reader."""
        sock = slow_socket(address) if slow else fast_socket(address)
        if self.scheme == "http":
            return sock
        return self.trust.wrap_socket(sock, server_hostname="127.0.0.1", suppress_ragged_eofs=True)

    @property
    def trust(self) -> ssl.SSLContext:
        """What clients trust: the authority of the last certificate."""
        return ssl.create_default_context(cafile=str(self.ca_file))

    def ftp(
        self,
        idle_timeout: float = 60,
        host: str = "127.0.0.1",
        passive_ports: range | None = None,
        certificate: Files | None = None,
    ) -> tuple[FtpServer, Address]:
        """A running FTP server."""
        server = FtpServer(Address(host, 0), passive_ports, idle_timeout, self.catalogue, self.metrics, certificate)
        address = server.bind()
        server.serve()
        self.stack.callback(server.stop, 0)
        return server, address

    def ftps(self, idle_timeout: float = 60) -> Address:
        """A running FTP server that offers TLS."""
        self.issue()
        files = Files("publish.ftp", str(self.cert_file), str(self.key_file), self.metrics)
        return self.ftp(idle_timeout, certificate=files)[1]

    def url(self, scheme: str, address: Address) -> str:
        """The URL of the published file."""
        return f"{scheme}://{address}{self.path}"

    def count(self, name: str, **labels: str) -> int:
        """The value of a metric, without its prefix."""
        value = self.metrics.registry.get_sample_value(f"localctl_{name}", labels)
        assert value is not None, name
        return int(value)

    def results(self, protocol: str) -> dict[str, int]:
        """How the ended transfers went."""
        return {
            result: self.count("firmware_downloads_total", protocol=protocol, result=result)
            for result in ("complete", "aborted", "idle")
        }

    def until_running(self, transfers: int) -> None:
        """Wait until so many transfers are under way, over all protocols."""
        each = ("http", "https", "ftp")
        until(lambda: sum(self.count("firmware_downloads_in_progress", protocol=one) for one in each) == transfers)

    def until_settled(self) -> None:
        """Wait until nothing is lent."""
        until(lambda: not self.catalogue.loans())


@contextmanager
def no_descriptor_lost() -> Iterator[None]:
    """What is done inside leaves no descriptor behind."""
    process = psutil.Process()
    before = process.num_fds()
    yield
    until(lambda: process.num_fds() <= before)


@contextmanager
def starved(address: Address, spare: int = 8, crowd: int = 40) -> Iterator[None]:
    """Inside, this process has ``spare`` descriptors left and a crowd of connections from another one to accept."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    dial = "import socket, sys\n"
    dial += f"crowd = [socket.create_connection(('{address.host}', {address.port})) for _ in range({crowd})]\n"
    dial += "print(len(crowd), flush=True)\nsys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", dial], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as dialler:
        assert dialler.stdin is not None
        assert dialler.stdout is not None
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (psutil.Process().num_fds() + spare, hard))
            dialler.stdout.readline()
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            dialler.stdin.close()


@pytest.fixture
def failing_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading fails once a MiB has been sent, as a worn card does."""
    whole = os.sendfile

    def sendfile(out: int, file: int, offset: int, count: int) -> int:
        if offset >= 2**20:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return whole(out, file, offset, min(count, 2**20))

    whole_read = os.preadv

    def preadv(file: int, buffers: list[memoryview], offset: int) -> int:
        if offset >= 2**20:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return whole_read(file, buffers, offset)

    monkeypatch.setattr(os, "sendfile", sendfile)
    monkeypatch.setattr(os, "preadv", preadv)


@pytest.fixture(scope="session")
def content() -> bytes:
    """Random bytes with every line end in them: enough to outgrow the buffers of both kernels."""
    return random.Random(7).randbytes(12 * 2**20) + b"\r\n\n\r\x00"


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> Path:
    """The content in a file that every shop links to."""
    path = tmp_path_factory.mktemp("source") / "content"
    path.write_bytes(content)
    return path


@pytest.fixture(params=["http", "https"])
def web(shop: Shop, request: pytest.FixtureRequest) -> Shop:
    """The shop, whose web server speaks HTTP in one run of the test and HTTPS in the other."""
    shop.scheme = request.param
    return shop


@pytest.fixture
def shop(tmp_path: Path, source: Path, content: bytes) -> Iterator[Shop]:
    """A file published; the servers that a test starts are stopped behind it."""
    opened = Shop(tmp_path / "firmware", source, content)
    with opened.stack:
        yield opened
