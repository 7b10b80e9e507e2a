import logging
import os
import socket
import struct
import time
from pathlib import Path

import pytest

from localctl.store.catalogue import Withdrawal
from localctl.values import Address
from tests.serve.conftest import PATIENCE_SECONDS, Shop, no_descriptor_lost, read_all, slow_socket, until


def begin(shop: Shop, address: Address, extra: str = "", path: str | None = None) -> socket.socket:
    """A station that has asked for the file and reads nothing yet; the loan lives."""
    before = len(shop.catalogue.loans())
    station = slow_socket(address)
    station.sendall(f"GET {path or shop.path} HTTP/1.1\r\nHost: x\r\n{extra}\r\n".encode())
    shop.until_running(before + 1)
    return station


def test_the_loan_is_the_transfer(shop: Shop) -> None:
    """L04.FR.04: DownloadOngoing while a station downloads; right after the last one has ended, Unpublished."""
    _, address = shop.http()
    with begin(shop, address, "Connection: close\r\n") as first, begin(shop, address, "Connection: close\r\n") as last:
        assert shop.count("firmware_downloads_in_progress", protocol="http") == 2
        assert shop.catalogue.withdraw(shop.file.checksum) == (Withdrawal.LENT, None)
        assert read_all(first).endswith(shop.content)
        until(lambda: len(shop.catalogue.loans()) == 1)
        assert shop.catalogue.withdraw(shop.file.checksum) == (Withdrawal.LENT, None)
        assert read_all(last).endswith(shop.content)
    shop.until_settled()
    assert shop.catalogue.withdraw(shop.file.checksum) == (Withdrawal.WITHDRAWN, shop.file)
    assert shop.results("http") == {"complete": 2, "aborted": 0, "idle": 0}
    assert shop.count("firmware_sent_bytes_total", protocol="http") == 2 * shop.file.size
    assert shop.count("firmware_downloads_in_progress", protocol="http") == 0


def test_what_waits_in_our_kernel_is_still_lent(shop: Shop) -> None:
    """L04.FR.04: a file that fits into our send buffer is lent until the station has taken it."""
    _, address = shop.http()
    small = shop.publish(os.urandom(300_000))
    with begin(shop, address, "Connection: close\r\n", f"/firmware/{small.checksum}/{small.name}") as station:
        (loan,) = shop.catalogue.loans()
        until(lambda: loan.sent > 0)
        assert loan.sent < small.size
        assert shop.catalogue.withdraw(small.checksum) == (Withdrawal.LENT, None)
        read_all(station)
    shop.until_settled()
    assert shop.results("http") == {"complete": 1, "aborted": 0, "idle": 0}


def test_the_gap_between_two_ranges_is_no_download(shop: Shop) -> None:
    """L04: a loan lives as long as one transfer, not as long as the connection."""
    _, address = shop.http()
    with socket.create_connection((address.host, address.port), PATIENCE_SECONDS) as station:
        for start in (0, 1000):
            asked = f"GET {shop.path} HTTP/1.1\r\nHost: x\r\nRange: bytes={start}-{start + 999}\r\n\r\n"
            station.sendall(asked.encode())
            got = b""
            while not got.endswith(shop.content[start : start + 1000]):
                got += station.recv(2**16)
            shop.until_settled()
        assert shop.catalogue.withdraw(shop.file.checksum)[0] is Withdrawal.WITHDRAWN
    assert shop.results("http") == {"complete": 2, "aborted": 0, "idle": 0}


def test_a_silent_station_is_ended(shop: Shop) -> None:
    """A station that stopped reading does not hold the file: ended after the idle timeout, and its connection reset."""
    _, address = shop.http(idle_timeout=0.3)
    with no_descriptor_lost(), begin(shop, address) as station:
        shop.until_settled()
        assert shop.results("http") == {"complete": 0, "aborted": 0, "idle": 1}
        with pytest.raises(ConnectionResetError):
            read_all(station)


def test_a_station_that_went_silent_at_the_end_is_ended(shop: Shop) -> None:
    """So is one for which everything waits in our kernel already."""
    _, address = shop.http(idle_timeout=0.3)
    small = shop.publish(os.urandom(300_000))
    with begin(shop, address, path=f"/firmware/{small.checksum}/{small.name}"):
        shop.until_settled()
    assert shop.results("http") == {"complete": 0, "aborted": 0, "idle": 1}


def test_a_slow_station_is_not_ended(shop: Shop) -> None:
    """A few KiB a second for longer than the idle timeout: it lives, and shows progress."""
    _, address = shop.http(idle_timeout=2)
    with begin(shop, address) as station:
        (loan,) = shop.catalogue.loans()
        end = time.monotonic() + 5
        while time.monotonic() < end:
            assert station.recv(500)
            time.sleep(0.05)
        assert shop.catalogue.loans() == (loan,)
        assert loan.sent > 0


@pytest.mark.parametrize("how", ["it closes", "it resets"])
def test_a_station_that_vanishes_is_noticed_at_once(shop: Shop, how: str, caplog: pytest.LogCaptureFixture) -> None:
    """The loan ends with the connection, counted as aborted, with a line in the log and no traceback."""
    caplog.set_level(logging.INFO)
    _, address = shop.http()
    with no_descriptor_lost():
        station = begin(shop, address)
        if how == "it resets":
            station.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        station.close()
        shop.until_settled()
    assert shop.results("http") == {"complete": 0, "aborted": 1, "idle": 0}
    assert [record.exc_info for record in caplog.records] == [None]
    assert "broke off" in caplog.text


def test_too_many_transfers_are_503(shop: Shop) -> None:
    """Beyond max_transfers: 503 with Retry-After and no body; the connection stays good for another try."""
    shop.catalogue.max_transfers = 1
    _, address = shop.http()
    running = begin(shop, address)
    with socket.create_connection((address.host, address.port), PATIENCE_SECONDS) as second:
        asked = f"GET {shop.path} HTTP/1.1\r\nHost: x\r\nRange: bytes=0-9\r\n\r\n".encode()
        second.sendall(asked)
        got = second.recv(2**16)
        assert got.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert b"\r\nRetry-After: 30\r\n" in got
        assert b"\r\nContent-Length: 0\r\n" in got
        assert b"ETag" not in got
        running.close()
        shop.until_settled()
        second.sendall(asked)
        assert second.recv(2**16).startswith(b"HTTP/1.1 206")
    assert shop.count("firmware_refused_total", protocol="http", reason="busy") == 1


def test_a_planted_link_is_404(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """A symbolic link in the store is not followed: an empty 404, and a warning."""
    _, address = shop.http()
    path = Path(shop.file.path)
    path.unlink()
    path.symlink_to("/etc/passwd")
    with socket.create_connection((address.host, address.port), PATIENCE_SECONDS) as station:
        station.sendall(f"GET {shop.path} HTTP/1.0\r\n\r\n".encode())
        got = read_all(station)
    assert got.startswith(b"HTTP/1.0 404 Not Found\r\n")
    assert got.endswith(b"\r\n\r\n")
    assert b"Content-Length: 0\r\n" in got
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_file_cut_under_way_ends_the_connection(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """A station is never left to take a part for the whole: the connection closes short of Content-Length."""
    _, address = shop.http()
    other = shop.publish(os.urandom(12 * 2**20))
    with begin(shop, address, path=f"/firmware/{other.checksum}/{other.name}") as station:
        os.truncate(other.path, 11 * 2**20)
        assert len(read_all(station)) < other.size
    shop.until_settled()
    assert shop.results("http") == {"complete": 0, "aborted": 1, "idle": 0}
    assert shop.count("storage_errors_total", operation="read") == 1
    assert "cannot be read to its end" in caplog.text


@pytest.mark.usefixtures("failing_disk")
def test_a_disk_that_fails_under_way_ends_the_connection(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """An unreadable page: the connection closes short of Content-Length, one line for the operator, no traceback."""
    _, address = shop.http()
    with socket.create_connection((address.host, address.port), PATIENCE_SECONDS) as station:
        station.sendall(f"GET {shop.path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert 2**20 < len(read_all(station)) < shop.file.size
    shop.until_settled()
    assert shop.results("http") == {"complete": 0, "aborted": 1, "idle": 0}
    assert shop.count("storage_errors_total", operation="read") == 1
    assert [(record.levelname, record.exc_info) for record in caplog.records] == [("ERROR", None)]


def test_a_withdrawn_file_is_sent_to_its_end(shop: Shop) -> None:
    """Unlinking a file does not disturb a download under way."""
    _, address = shop.http()
    with begin(shop, address, "Connection: close\r\n") as station:
        shop.catalogue.drop(shop.file.checksum)
        Path(shop.file.path).unlink()
        assert read_all(station).endswith(shop.content)


def test_many_vanish_and_no_descriptor_is_lost(shop: Shop) -> None:
    """A hundred stations that vanish leave neither loans nor descriptors."""
    _, address = shop.http()
    with no_descriptor_lost():
        stations = [begin(shop, address) for _ in range(100)]
        for station in stations:
            station.close()
        shop.until_settled()
    assert shop.results("http") == {"complete": 0, "aborted": 100, "idle": 0}
