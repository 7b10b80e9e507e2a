"""What HTTPS adds; that it does what HTTP does is proved in ``test_http`` and ``test_http_body``, over both."""

import logging
import os
import socket
import ssl
import struct
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest
import trustme

from localctl import renewal
from localctl.serve.http import HttpServer
from localctl.serve.https_body import PIECE
from localctl.store.catalogue import Withdrawal
from localctl.values import Address
from tests.actors.wire import PATIENCE_SECONDS, read_all, slow_socket
from tests.serve.conftest import Shop, no_descriptor_lost, until

CROWD = 100


@pytest.fixture
def shop(shop: Shop) -> Shop:
    """A shop whose web server speaks HTTPS."""
    shop.scheme = "https"
    return shop


@pytest.fixture
def serving(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> tuple[HttpServer, Address]:
    """An HTTPS server that looks often."""
    monkeypatch.setattr(renewal, "LOOK_SECONDS", 0.02)
    return shop.http()


def shown(address: Address) -> str:
    """The certificate that a new connection is shown."""
    return ssl.get_server_certificate((address.host, address.port), timeout=PATIENCE_SECONDS)


def begin(shop: Shop, address: Address) -> ssl.SSLSocket:
    """A station that has asked for the file and reads nothing yet."""
    station = shop.dial(address, slow=True)
    assert isinstance(station, ssl.SSLSocket)
    station.sendall(f"GET {shop.path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return station


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_of_tls(shop: Shop, version: ssl.TLSVersion) -> None:
    """TLS 1.2 and 1.3, whichever the station speaks: the file byte for byte."""
    _, address = shop.http()
    context = ssl.create_default_context(cafile=str(shop.ca_file))
    context.minimum_version = context.maximum_version = version
    with (
        socket.create_connection((address.host, address.port)) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as station,
    ):
        station.sendall(f"GET {shop.path} HTTP/1.0\r\n\r\n".encode())
        assert read_all(station).endswith(b"\r\n\r\n" + shop.content)
    shop.until_settled()
    assert shop.results("https") == {"complete": 1, "aborted": 0, "idle": 0}
    assert shop.count("firmware_sent_bytes_total", protocol="https") == shop.file.size


@pytest.mark.parametrize("how", ["they close", "they reset", "they say goodbye"])
def test_a_crowd_that_vanishes_costs_nothing(shop: Shop, how: str, caplog: pytest.LogCaptureFixture) -> None:
    """100 stations that vanish in mid-transfer: less than a second of CPU in all, no descriptor, nothing in the log."""
    caplog.set_level(logging.WARNING)
    _, address = shop.http()
    with no_descriptor_lost(), ExitStack() as stack:
        stations = [stack.enter_context(begin(shop, address)) for _ in range(CROWD)]
        shop.until_running(CROWD)
        before = time.process_time()
        for station in stations:
            if how == "they reset":
                station.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if how == "they say goodbye":
                station.settimeout(0)
                with pytest.raises(ssl.SSLError):  # it would wait for ours
                    station.unwrap()
            station.close()
        shop.until_settled()
        assert time.process_time() - before < 1
    assert shop.results("https") == {"complete": 0, "aborted": CROWD, "idle": 0}
    assert caplog.records == []


@pytest.mark.parametrize("how", ["they read nothing", "they shut their side"])
def test_a_crowd_that_stalls_costs_nothing(shop: Shop, how: str) -> None:
    """100 stations that stop reading are waited for without work, then ended, each by its idle timeout."""
    _, address = shop.http(idle_timeout=2)
    with no_descriptor_lost(), ExitStack() as stack:
        stations = [stack.enter_context(begin(shop, address)) for _ in range(CROWD)]
        until(lambda: len(shop.catalogue.loans()) + sum(shop.results("https").values()) == CROWD)
        before = time.process_time()
        if how == "they shut their side":
            for station in stations:
                with suppress(OSError):  # on a busy machine the first of them have been ended by now
                    socket.socket.shutdown(station, socket.SHUT_WR)
        shop.until_settled()
        assert time.process_time() - before < 1
    assert shop.results("https")["complete"] == 0
    assert sum(shop.results("https").values()) == CROWD


def test_stalled_stations_hold_little_memory(shop: Shop) -> None:
    """Two pieces a station, and what TLS itself takes, wait in this process, however long the file."""
    _, address = shop.http()
    process = psutil.Process()
    with ExitStack() as stack:
        stations = [stack.enter_context(begin(shop, address)) for _ in range(5)]  # what is taken only once
        shop.until_running(len(stations))
        before = process.memory_info().rss
        stations += [stack.enter_context(begin(shop, address)) for _ in range(CROWD - len(stations))]
        shop.until_running(CROWD)
        until(lambda: all(loan.sent > 0 for loan in shop.catalogue.loans()))
        print((process.memory_info().rss - before) / 2**20, "MiB")
        assert process.memory_info().rss - before < CROWD * 5 * PIECE


def test_bytes_are_never_mixed_up(shop: Shop) -> None:
    """Stations that take their files at odd paces, through one buffer, each get their own."""
    _, address = shop.http()
    files = [shop.publish(os.urandom(3 * 2**20 + number)) for number in range(5)]
    with ExitStack() as stack:
        stations = [stack.enter_context(shop.dial(address, slow=True)) for _ in files]
        got = [b""] * len(files)
        for station, file in zip(stations, files, strict=True):
            station.sendall(f"GET /firmware/{file.checksum}/{file.name} HTTP/1.0\r\n\r\n".encode())
        taking = set(range(len(files)))
        while taking:
            for number in tuple(taking):
                piece = stations[number].recv(5_000 * (number + 1))
                got[number] += piece
                taking -= set() if piece else {number}
    for each, file in zip(got, files, strict=True):
        assert each.partition(b"\r\n\r\n")[2] == Path(file.path).read_bytes()


def test_a_client_without_tls_is_let_go(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """Plain HTTP to the port of HTTPS ends the connection, and tells the operator nothing."""
    _, address = shop.http()
    with no_descriptor_lost(), slow_socket(address) as station:
        station.sendall(f"GET {shop.path} HTTP/1.0\r\n\r\n".encode())
        assert b"HTTP" not in _until_closed(station)
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []


def test_what_is_lent_cannot_be_withdrawn(shop: Shop) -> None:
    """L04.FR.04, row 30: DownloadOngoing over HTTPS; once the station has it all, Unpublished."""
    _, address = shop.http()
    with begin(shop, address) as station:
        shop.until_running(1)
        assert shop.catalogue.withdraw(shop.file.checksum)[0] is Withdrawal.LENT
        left = shop.file.size
        while left > 0:
            left -= len(station.recv(2**16))
        shop.until_settled()
        assert shop.catalogue.withdraw(shop.file.checksum)[0] is Withdrawal.WITHDRAWN


def test_new_connections_get_the_new_one(shop: Shop, serving: tuple[HttpServer, Address]) -> None:
    """A transfer under way goes on under the old certificate; who comes then sees the new one."""
    address = serving[1]
    before = shown(address)
    with shop.dial(address, slow=True) as running:
        running.sendall(f"GET {shop.path} HTTP/1.0\r\n\r\n".encode())
        shop.until_running(1)
        shop.issue()
        until(lambda: shown(address) != before)
        with shop.dial(address) as fresh:  # it trusts the new authority only
            fresh.sendall(f"GET {shop.path} HTTP/1.0\r\nRange: bytes=0-9\r\n\r\n".encode())
            assert read_all(fresh).endswith(shop.content[:10])
        assert read_all(running).endswith(shop.content)


def test_a_broken_pair_keeps_the_old_one(
    shop: Shop, serving: tuple[HttpServer, Address], caplog: pytest.LogCaptureFixture
) -> None:
    """A key of another certificate: a warning, and everything is served as before."""
    caplog.set_level(logging.WARNING)
    address = serving[1]
    before = shown(address)
    other = trustme.CA().issue_cert("127.0.0.1", key_type=trustme.KeyType.ECDSA)
    other.private_key_pem.write_to_path(str(shop.key_file))
    until(lambda: "publish.https.key_file" in caplog.text)
    assert shown(address) == before
    with shop.dial(address) as station:
        station.sendall(f"GET {shop.path} HTTP/1.0\r\n\r\n".encode())
        assert read_all(station).endswith(shop.content)
    assert len(caplog.records) == 1


def _until_closed(sock: socket.socket) -> bytes:
    try:
        return read_all(sock)
    except ConnectionError:
        return b""
