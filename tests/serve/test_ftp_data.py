import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from localctl.store.catalogue import Withdrawal
from localctl.values import Address
from localctl.wire import tcp
from tests.actors.aborts import ABORTS, VANISHING
from tests.actors.wire import PATIENCE_SECONDS, Talk, read_all
from tests.serve.conftest import Shop, no_descriptor_lost, until


@pytest.fixture
def talk(shop: Shop) -> Iterator[Talk]:
    talk = Talk(shop.ftp()[1])
    yield talk
    talk.close()


def test_the_loan_is_the_transfer(talk: Talk, shop: Shop) -> None:
    """L04.FR.04: DownloadOngoing while a station downloads; by the time it reads 226, Unpublished."""
    with talk.begin(shop.path) as data:
        assert shop.catalogue.withdraw(shop.file.checksum) == (Withdrawal.LENT, None)
        assert shop.count("firmware_downloads_in_progress", protocol="ftp") == 1
        assert read_all(data) == shop.content
    assert talk.reply().startswith("226")
    assert shop.catalogue.withdraw(shop.file.checksum) == (Withdrawal.WITHDRAWN, shop.file)
    assert shop.results("ftp") == {"complete": 1, "aborted": 0, "idle": 0}
    assert shop.count("firmware_sent_bytes_total", protocol="ftp") == shop.file.size


def test_what_waits_in_our_kernel_is_still_lent(talk: Talk, shop: Shop) -> None:
    """L04.FR.04: a file that fits into our send buffer is lent, and 226 not said, until the station has taken it."""
    small = shop.publish(os.urandom(300_000))
    with talk.begin(f"/firmware/{small.checksum}/{small.name}") as data:
        (loan,) = shop.catalogue.loans()
        until(lambda: loan.sent > 0)
        assert loan.sent < small.size
        assert shop.catalogue.withdraw(small.checksum) == (Withdrawal.LENT, None)
        read_all(data)
    assert talk.reply().startswith("226")
    assert shop.results("ftp") == {"complete": 1, "aborted": 0, "idle": 0}


def test_a_silent_station_is_ended(shop: Shop) -> None:
    """A station that stopped reading does not hold the file: 421, and both connections closed."""
    with no_descriptor_lost():
        talk = Talk(shop.ftp(idle_timeout=0.3)[1])
        with talk.begin(shop.path) as data:
            shop.until_settled()
            assert talk.reply().startswith("421")
            assert talk.reply() == ""
            with pytest.raises(ConnectionResetError):
                read_all(data)
        talk.close()
        shop.stack.close()
    assert shop.results("ftp") == {"complete": 0, "aborted": 0, "idle": 1}


def test_a_station_that_went_silent_at_the_end_is_ended(shop: Shop) -> None:
    """So is one for which everything waits in our kernel already."""
    talk = Talk(shop.ftp(idle_timeout=0.3)[1])
    small = shop.publish(os.urandom(300_000))
    with talk.begin(f"/firmware/{small.checksum}/{small.name}"):
        shop.until_settled()
    assert shop.results("ftp") == {"complete": 0, "aborted": 0, "idle": 1}
    talk.close()


def test_a_slow_station_is_not_ended(shop: Shop) -> None:
    """A few KiB a second for longer than the idle timeout: it lives, and its silent control connection too."""
    talk = Talk(shop.ftp(idle_timeout=2)[1])
    with talk.begin(shop.path) as data:
        (loan,) = shop.catalogue.loans()
        end = time.monotonic() + 5
        while time.monotonic() < end:
            assert data.recv(500)
            time.sleep(0.05)
        assert shop.catalogue.loans() == (loan,)
        assert loan.sent > 0
    talk.close()


@pytest.mark.parametrize("abort", ABORTS)
def test_an_abort_ends_the_loan_and_not_the_session(
    talk: Talk, shop: Shop, rounds: Callable[[int, int], int], abort: Callable[[Talk, str], None]
) -> None:
    """Fault 33: the right reply each time, no loan, no descriptor lost, and the next transfer is whole."""
    times = rounds(50, 1000)
    with no_descriptor_lost():
        for _ in range(times):
            abort(talk, shop.path)
        shop.until_settled()
    assert shop.results("ftp") == {"complete": 0, "aborted": times, "idle": 0}
    with talk.data() as data:
        assert talk(f"RETR {shop.path}").startswith("1")
        assert read_all(data) == shop.content
    assert talk.reply().startswith("226")


@pytest.mark.parametrize("vanish", VANISHING)
def test_a_client_that_vanishes_leaves_nothing(
    shop: Shop,
    rounds: Callable[[int, int], int],
    vanish: Callable[[Talk, str], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Fault 33: loan and descriptors go with the client, and there is a line in the log, no traceback."""
    caplog.set_level(logging.INFO)
    _, address = shop.ftp()
    times = rounds(50, 1000)
    with no_descriptor_lost():
        for _ in range(times):
            vanish(Talk(address), shop.path)
        shop.until_settled()
    assert shop.results("ftp") == {"complete": 0, "aborted": times, "idle": 0}
    assert {record.levelname for record in caplog.records} == {"INFO"}
    assert not any(record.exc_info for record in caplog.records)


def test_a_data_connection_that_never_comes(shop: Shop) -> None:
    """RETR is answered 150, then 425 when nobody connected; the loan is gone, the session goes on."""
    talk = Talk(shop.ftp(idle_timeout=0.5)[1])
    talk("NOOP")
    with no_descriptor_lost():
        assert talk("EPSV").startswith("229")
        assert talk(f"RETR {shop.path}").startswith("150")
        assert talk.reply().startswith(("425", "421"))
        shop.until_settled()
    talk.close()
    assert sum(shop.results("ftp").values()) == 1


def test_the_data_connection_may_come_late(talk: Talk, shop: Shop) -> None:
    """A client may connect after the reply to RETR."""
    port = talk.port()
    assert talk(f"RETR {shop.path}").startswith("150")
    assert len(shop.catalogue.loans()) == 1
    with socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS) as data:
        assert read_all(data) == shop.content
    assert talk.reply().startswith("226")


def test_a_stranger_on_the_data_port_is_not_told_about(talk: Talk, shop: Shop) -> None:
    """A connection from another address is closed, and disturbs neither the replies nor the client's own."""
    port = talk.port()
    with socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS, ("127.0.0.2", 0)) as stranger:
        assert stranger.recv(1) == b""
    with socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS) as data:
        assert talk(f"RETR {shop.path}").startswith("1")
        assert read_all(data) == shop.content
    assert talk.reply().startswith("226")


def test_passive_ports_are_kept_to(shop: Shop) -> None:
    """Data connections use the configured ports."""
    ports = range(20000, 21000)  # below those that the kernel hands out, so some are free
    talk = Talk(shop.ftp(passive_ports=ports)[1])
    assert talk.port() in ports
    talk.close()


def test_passive_ports_that_are_all_taken(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """Where none is free another port is used, with a warning: a firewall may stand before it."""
    with tcp.listen("key", Address("127.0.0.1", 0)) as taken:
        port = tcp.bound(taken).port
        talk = Talk(shop.ftp(passive_ports=range(port, port + 1))[1])
        assert talk.port() != port
        until(lambda: "All of passive_ports are in use" in caplog.text)
        talk.close()


def test_a_file_cut_under_way_is_426(talk: Talk, shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """A station is never told 226 for a part of the file."""
    other = shop.publish(os.urandom(12 * 2**20))
    with talk.begin(f"/firmware/{other.checksum}/{other.name}") as data:
        os.truncate(other.path, 11 * 2**20)
        assert len(read_all(data)) < other.size
    assert talk.reply().startswith("426")
    assert shop.results("ftp") == {"complete": 0, "aborted": 1, "idle": 0}
    assert "cannot be read to its end" in caplog.text


@pytest.mark.usefixtures("failing_disk")
def test_a_disk_that_fails_under_way_is_426(talk: Talk, shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """An unreadable page: 426, one line for the operator, no traceback; the session goes on."""
    with talk.data() as data:
        assert talk(f"RETR {shop.path}").startswith("1")
        assert len(read_all(data)) == 2**20
    assert talk.reply().startswith("426")
    assert talk("NOOP").startswith("200")
    assert shop.results("ftp") == {"complete": 0, "aborted": 1, "idle": 0}
    assert shop.count("storage_errors_total", operation="read") == 1
    assert [(record.levelname, record.exc_info) for record in caplog.records] == [("ERROR", None)]


def test_a_planted_link_is_550(talk: Talk, shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """A symbolic link in the store is not followed: 550, and a warning."""
    path = Path(shop.file.path)
    path.unlink()
    path.symlink_to("/etc/passwd")
    with talk.data():
        assert talk(f"RETR {shop.path}").startswith("550")
    assert [record.levelname for record in caplog.records] == ["WARNING"]
