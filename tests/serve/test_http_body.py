import errno
import logging
import os
import socket
import struct
import time
from asyncio.trsock import TransportSocket
from pathlib import Path
from typing import NoReturn

import pytest

from localctl.store.catalogue import Withdrawal
from localctl.values import Address
from tests.actors.wire import read_all
from tests.serve.conftest import Shop, no_descriptor_lost, until


def begin(web: Shop, address: Address, extra: str = "", path: str | None = None) -> socket.socket:
    """A station that has asked for the file and reads nothing yet; the loan lives."""
    before = len(web.catalogue.loans())
    station = web.dial(address, slow=True)
    station.sendall(f"GET {path or web.path} HTTP/1.1\r\nHost: x\r\n{extra}\r\n".encode())
    web.until_running(before + 1)
    return station


def test_the_loan_is_the_transfer(web: Shop) -> None:
    """L04.FR.04: DownloadOngoing while a station downloads; right after the last one has ended, Unpublished."""
    _, address = web.http()
    with begin(web, address, "Connection: close\r\n") as first, begin(web, address, "Connection: close\r\n") as last:
        assert web.count("firmware_downloads_in_progress", protocol=web.scheme) == 2
        assert web.catalogue.withdraw(web.file.checksum) == (Withdrawal.LENT, None)
        assert read_all(first).endswith(web.content)
        until(lambda: len(web.catalogue.loans()) == 1)
        assert web.catalogue.withdraw(web.file.checksum) == (Withdrawal.LENT, None)
        assert read_all(last).endswith(web.content)
    web.until_settled()
    assert web.catalogue.withdraw(web.file.checksum) == (Withdrawal.WITHDRAWN, web.file)
    assert web.results(web.scheme) == {"complete": 2, "aborted": 0, "idle": 0}
    assert web.count("firmware_sent_bytes_total", protocol=web.scheme) == 2 * web.file.size
    assert web.count("firmware_downloads_in_progress", protocol=web.scheme) == 0


def test_what_waits_in_our_kernel_is_still_lent(web: Shop) -> None:
    """L04.FR.04: a file that fits into our send buffer is lent until the station has taken it."""
    _, address = web.http()
    small = web.publish(os.urandom(300_000))
    with begin(web, address, "Connection: close\r\n", f"/firmware/{small.checksum}/{small.name}") as station:
        (loan,) = web.catalogue.loans()
        until(lambda: loan.sent > 0)
        assert loan.sent < small.size
        assert web.catalogue.withdraw(small.checksum) == (Withdrawal.LENT, None)
        read_all(station)
    web.until_settled()
    assert web.results(web.scheme) == {"complete": 1, "aborted": 0, "idle": 0}


def test_the_gap_between_two_ranges_is_no_download(web: Shop) -> None:
    """L04: a loan lives as long as one transfer, not as long as the connection."""
    _, address = web.http()
    with web.dial(address) as station:
        for start in (0, 1000):
            asked = f"GET {web.path} HTTP/1.1\r\nHost: x\r\nRange: bytes={start}-{start + 999}\r\n\r\n"
            station.sendall(asked.encode())
            got = b""
            while not got.endswith(web.content[start : start + 1000]):
                got += station.recv(2**16)
            web.until_settled()
        assert web.catalogue.withdraw(web.file.checksum)[0] is Withdrawal.WITHDRAWN
    assert web.results(web.scheme) == {"complete": 2, "aborted": 0, "idle": 0}


def test_a_silent_station_is_ended(web: Shop) -> None:
    """A station that stopped reading does not hold the file: ended after the idle timeout, and its connection reset."""
    _, address = web.http(idle_timeout=0.3)
    with no_descriptor_lost(), begin(web, address) as station:
        web.until_settled()
        assert web.results(web.scheme) == {"complete": 0, "aborted": 0, "idle": 1}
        with socket.socket(fileno=os.dup(station.fileno())) as below, pytest.raises(ConnectionResetError):
            read_all(below)


def test_a_station_that_went_silent_at_the_end_is_ended(web: Shop) -> None:
    """So is one for which everything waits in our kernel already."""
    _, address = web.http(idle_timeout=0.3)
    small = web.publish(os.urandom(300_000))
    with begin(web, address, path=f"/firmware/{small.checksum}/{small.name}"):
        web.until_settled()
    assert web.results(web.scheme) == {"complete": 0, "aborted": 0, "idle": 1}


def test_a_slow_station_is_not_ended(web: Shop) -> None:
    """A few KiB a second for longer than the idle timeout: it lives, and shows progress."""
    _, address = web.http(idle_timeout=2)
    with begin(web, address) as station:
        (loan,) = web.catalogue.loans()
        end = time.monotonic() + 5
        while time.monotonic() < end:
            assert station.recv(500)
            time.sleep(0.05)
        assert web.catalogue.loans() == (loan,)
        assert loan.sent > 0


@pytest.mark.parametrize("how", ["it closes", "it resets"])
def test_a_station_that_vanishes_is_noticed_at_once(web: Shop, how: str, caplog: pytest.LogCaptureFixture) -> None:
    """The loan ends with the connection, counted as aborted, with a line in the log and no traceback."""
    caplog.set_level(logging.INFO)
    _, address = web.http()
    with no_descriptor_lost():
        station = begin(web, address)
        if how == "it resets":
            station.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        station.close()
        web.until_settled()
    assert web.results(web.scheme) == {"complete": 0, "aborted": 1, "idle": 0}
    assert [record.exc_info for record in caplog.records] == [None]
    assert "broke off" in caplog.text


def test_too_many_transfers_are_503(web: Shop) -> None:
    """Beyond max_transfers: 503 with Retry-After and no body; the connection stays good for another try."""
    web.catalogue.max_transfers = 1
    _, address = web.http()
    running = begin(web, address)
    with web.dial(address) as second:
        asked = f"GET {web.path} HTTP/1.1\r\nHost: x\r\nRange: bytes=0-9\r\n\r\n".encode()
        second.sendall(asked)
        got = second.recv(2**16)
        assert got.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert b"\r\nRetry-After: 30\r\n" in got
        assert b"\r\nContent-Length: 0\r\n" in got
        assert b"ETag" not in got
        running.close()
        web.until_settled()
        second.sendall(asked)
        assert second.recv(2**16).startswith(b"HTTP/1.1 206")
    assert web.count("firmware_refused_total", protocol=web.scheme, reason="busy") == 1


def test_a_planted_link_is_404(web: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """A symbolic link in the store is not followed: an empty 404, and a warning."""
    _, address = web.http()
    path = Path(web.file.path)
    path.unlink()
    path.symlink_to("/etc/passwd")
    with web.dial(address) as station:
        station.sendall(f"GET {web.path} HTTP/1.0\r\n\r\n".encode())
        got = read_all(station)
    assert got.startswith(b"HTTP/1.0 404 Not Found\r\n")
    assert got.endswith(b"\r\n\r\n")
    assert b"Content-Length: 0\r\n" in got
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_file_cut_under_way_ends_the_connection(web: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """A station is never left to take a part for the whole: the connection closes short of Content-Length."""
    _, address = web.http()
    other = web.publish(os.urandom(12 * 2**20))
    with begin(web, address, path=f"/firmware/{other.checksum}/{other.name}") as station:
        os.truncate(other.path, 11 * 2**20)
        assert len(read_all(station)) < other.size
    web.until_settled()
    assert web.results(web.scheme) == {"complete": 0, "aborted": 1, "idle": 0}
    assert web.count("storage_errors_total", operation="read") == 1
    assert "cannot be read to its end" in caplog.text


@pytest.mark.usefixtures("failing_disk")
def test_a_disk_that_fails_under_way_ends_the_connection(web: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """An unreadable page: the connection closes short of Content-Length, one line for the operator, no traceback."""
    _, address = web.http()
    with web.dial(address) as station:
        station.sendall(f"GET {web.path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert 2**20 < len(read_all(station)) < web.file.size
    web.until_settled()
    assert web.results(web.scheme) == {"complete": 0, "aborted": 1, "idle": 0}
    assert web.count("storage_errors_total", operation="read") == 1
    assert [(record.levelname, record.exc_info) for record in caplog.records] == [("ERROR", None)]


def test_no_descriptor_left_ends_the_connection(
    shop: Shop, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 40: gone between the file and the socket's duplicate; the disk is not blamed, and nothing stays."""

    def dup(_: object) -> NoReturn:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    _, address = shop.http()
    with no_descriptor_lost(), shop.dial(address) as station:
        monkeypatch.setattr(TransportSocket, "dup", dup)
        station.sendall(f"GET {shop.path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert len(read_all(station)) < shop.file.size
    shop.until_settled()
    assert shop.results(shop.scheme) == {"complete": 0, "aborted": 1, "idle": 0}
    assert shop.count("storage_errors_total", operation="read") == 0
    assert caplog.records == []


def test_a_withdrawn_file_is_sent_to_its_end(web: Shop) -> None:
    """Unlinking a file does not disturb a download under way."""
    _, address = web.http()
    with begin(web, address, "Connection: close\r\n") as station:
        web.catalogue.drop(web.file.checksum)
        Path(web.file.path).unlink()
        assert read_all(station).endswith(web.content)


def test_many_vanish_and_no_descriptor_is_lost(web: Shop) -> None:
    """A hundred stations that vanish leave neither loans nor descriptors."""
    _, address = web.http()
    with no_descriptor_lost():
        stations = [begin(web, address) for _ in range(100)]
        for station in stations:
            station.close()
        web.until_settled()
    assert web.results(web.scheme) == {"complete": 0, "aborted": 100, "idle": 0}
