import errno
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from localctl.errors import NotAdmitted, NotPublished, TransfersExhausted
from localctl.networks import parse_network
from localctl.serve import transfer
from localctl.serve.transfer import Lending, Transfer
from localctl.store.catalogue import Withdrawal
from localctl.values import Address
from localctl.wire import tcp
from tests.serve.conftest import NAME, Shop, no_descriptor_lost, until

PEER: Final = "192.0.2.7"


class Clock:
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lending(shop: Shop, clock: Clock) -> Iterator[Lending]:
    lending = Lending("http", shop.catalogue, shop.metrics, 10.0, lambda: 1234.5, clock)
    yield lending
    for running in tuple(lending.running):
        running.end("aborted")


@pytest.fixture
def pair() -> tuple[socket.socket, socket.socket]:
    """A station's end of a connection, and ours."""
    with tcp.listen("key", Address("127.0.0.1", 0)) as listener:
        far = socket.create_connection(listener.getsockname())
        near, _ = listener.accept()
    return far, near


def begin(lending: Lending, shop: Shop, peer: str = PEER) -> Transfer:
    return lending.begin(shop.file, peer, 0, shop.file.size)


def refusals(shop: Shop) -> dict[str, int]:
    reasons = ("not_found", "busy", "busy_address", "network", "stopping")
    counts = {each: shop.count("firmware_refused_total", protocol="http", reason=each) for each in reasons}
    return {reason: count for reason, count in counts.items() if count}


def test_a_transfer_is_a_loan_and_is_counted(shop: Shop, lending: Lending) -> None:
    """L04.FR.04: while it runs the file cannot be withdrawn; ended, once or twice, it can."""
    with no_descriptor_lost():
        running = begin(lending, shop)
        assert shop.catalogue.loans() == (running.loan,)
        assert (running.loan.protocol, running.loan.peer, running.loan.started_at) == ("http", PEER, 1234.5)
        assert shop.count("firmware_downloads_in_progress", protocol="http") == 1
        assert shop.catalogue.withdraw(shop.file.checksum)[0] is Withdrawal.LENT
        running.end("aborted")
        running.end("complete")
    assert shop.results("http") == {"complete": 0, "aborted": 1, "idle": 0}
    assert shop.count("firmware_downloads_in_progress", protocol="http") == 0
    assert shop.catalogue.withdraw(shop.file.checksum)[0] is Withdrawal.WITHDRAWN


def test_what_is_not_published_is_not_found(shop: Shop, lending: Lending) -> None:
    """Another path, and a file withdrawn since it was found: NotPublished, counted."""
    with pytest.raises(NotPublished):
        lending.find("/firmware")
    file = lending.find(shop.path)
    shop.catalogue.withdraw(file.checksum)
    with pytest.raises(NotPublished):
        begin(lending, shop)
    assert refusals(shop) == {"not_found": 2}


def test_too_many_transfers_are_told_apart(shop: Shop, lending: Lending) -> None:
    """All places taken is `busy`, all of one address is `busy_address`; an IPv4 address is one however it comes."""
    shop.catalogue.max_transfers = 2
    shop.catalogue.max_per_address = 1
    begin(lending, shop, PEER)
    with pytest.raises(TransfersExhausted):
        begin(lending, shop, f"::ffff:{PEER}")
    begin(lending, shop, "192.0.2.8")
    with pytest.raises(TransfersExhausted):
        begin(lending, shop, "192.0.2.9")
    assert refusals(shop) == {"busy": 1, "busy_address": 1}


def test_who_is_in_no_network_is_not_admitted(
    shop: Shop, lending: Lending, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Each refusal is counted, and one a minute is a warning that names the key; without networks all are admitted."""
    lending.admit("203.0.113.9")
    shop.catalogue.networks = (parse_network("192.0.2.0/24"),)
    lending.admit(PEER)
    lending.admit(f"::ffff:{PEER}")
    for second in range(0, 120, 10):
        clock.seconds = float(second)
        with pytest.raises(NotAdmitted):
            lending.admit("::ffff:203.0.113.9")
    assert refusals(shop) == {"network": 12}
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "http: 203.0.113.9 is served nothing: it is in none of publish.allowed_networks")
    ] * 2


def test_nothing_new_is_lent_while_stopping(shop: Shop, lending: Lending) -> None:
    """After refuse() what runs goes on, and nothing else begins."""
    running = begin(lending, shop)
    lending.refuse()
    with pytest.raises(TransfersExhausted):
        begin(lending, shop)
    assert refusals(shop) == {"stopping": 1}
    assert lending.running == {running}


def test_a_planted_link_is_not_served(shop: Shop, lending: Lending, caplog: pytest.LogCaptureFixture) -> None:
    """A symbolic link in the store is as if there was nothing, with a warning; no loan stays."""
    path = Path(shop.file.path)
    path.unlink()
    path.symlink_to("/etc/passwd")
    with pytest.raises(NotPublished):
        begin(lending, shop)
    assert refusals(shop) == {"not_found": 1}
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert f"{path} is published and cannot be served" in caplog.text
    assert shop.catalogue.loans() == ()


@pytest.mark.parametrize(
    ("number", "error", "reason", "errors"),
    [
        (errno.EMFILE, TransfersExhausted, "busy", 0),
        (errno.EIO, NotPublished, "not_found", 1),
        (errno.ENOENT, NotPublished, "not_found", 0),
    ],
)
def test_a_file_that_does_not_open_leaves_no_loan(
    shop: Shop,
    lending: Lending,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    error: type[Exception],
    reason: str,
    errors: int,
) -> None:
    """Without descriptors we are busy; a disk that fails is counted; either way nothing is lent."""

    def fail(_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(transfer, "open_published", fail)
    with pytest.raises(error):
        begin(lending, shop)
    assert refusals(shop) == {reason: 1}
    assert shop.count("storage_errors_total", operation="read") == errors
    assert shop.catalogue.loans() == ()


def test_progress_is_what_the_station_acknowledged(
    shop: Shop, lending: Lending, pair: tuple[socket.socket, socket.socket]
) -> None:
    """What went before on the connection is not counted; what the station has is, also when it ends early."""
    far, near = pair
    with far, near:
        near.sendall(b"an answer before")
        running = begin(lending, shop)
        running.attach(near, buffered=4, stall=lambda: None)
        near.sendall(b"head")
        near.sendall(bytes(1000))
        until(lambda: tcp.unacknowledged(near) == 0)
        lending.sweep()
        assert running.loan.sent == 1000
        near.sendall(bytes(500))
        until(lambda: tcp.unacknowledged(near) == 0)
        running.end("aborted")
    assert running.loan.sent == 1500
    assert shop.count("firmware_sent_bytes_total", protocol="http") == 1500


def test_what_tls_adds_is_not_counted(shop: Shop, lending: Lending, pair: tuple[socket.socket, socket.socket]) -> None:
    """Of sealed bytes only what they hold of the file is progress, and all of it is noted before the socket closes."""
    far, near = pair
    with far, near:
        running = begin(lending, shop)
        running.attach(near, buffered=0, stall=lambda: None, sealed=True)
        near.sendall(bytes(2 * (16384 + 21) + 21 + 5))
        until(lambda: tcp.unacknowledged(near) == 0)
        running.note()
    running.end("aborted")
    assert running.loan.sent == 2 * 16384 + 5


def test_a_silent_station_is_interrupted_once(
    shop: Shop, lending: Lending, clock: Clock, pair: tuple[socket.socket, socket.socket]
) -> None:
    """Nothing acknowledged for the idle timeout: stall() is called, and not again; any progress starts it anew."""
    far, near = pair
    stalls: list[float] = []
    with far, near:
        running = begin(lending, shop)
        running.attach(near, buffered=0, stall=lambda: stalls.append(clock.seconds))
        for clock.seconds in (4.0, 9.9):
            lending.sweep()
        near.sendall(b"x")
        until(lambda: tcp.acknowledged(near) == 1)
        for clock.seconds in (10.5, 20.4):
            lending.sweep()
        assert stalls == []
        for clock.seconds in (20.5, 21.0, 40.0):
            lending.sweep()
        assert stalls == [20.5]
        running.end("idle")
    assert shop.results("http") == {"complete": 0, "aborted": 0, "idle": 1}


def test_a_connection_that_is_closed_breaks_no_sweep(
    shop: Shop, lending: Lending, pair: tuple[socket.socket, socket.socket]
) -> None:
    """The sweep may come between the close of a socket and the end of its transfer."""
    far, near = pair
    running = begin(lending, shop)
    running.attach(near, buffered=0, stall=lambda: None)
    far.close()
    near.close()
    lending.sweep()
    assert running.loan.sent == 0
    running.end("aborted")


def test_the_log_has_a_line_for_each_end(shop: Shop, lending: Lending, caplog: pytest.LogCaptureFixture) -> None:
    """A station that has the end of a file, one that broke off, one that went silent; a middle range is detail."""
    caplog.set_level(logging.INFO, "localctl.serve")
    begin(lending, shop).end("complete")
    lending.begin(shop.file, PEER, 0, 10).end("complete")
    begin(lending, shop).end("aborted")
    begin(lending, shop).end("idle")
    assert [record.getMessage() for record in caplog.records] == [
        f"The station at {PEER} has {NAME} up to byte {shop.file.size}",
        f"The transfer of {NAME} to the station at {PEER} broke off after 0 bytes",
        f"Ended the transfer of {NAME} to the station at {PEER}: it took nothing any more",
    ]


def test_another_patience_counts_for_transfers_under_way(
    shop: Shop, lending: Lending, clock: Clock, pair: tuple[socket.socket, socket.socket]
) -> None:
    """What has stood still for longer than is allowed now is interrupted at the next sweep."""
    far, near = pair
    stalled: list[bool] = []
    running = begin(lending, shop)
    running.attach(near, 0, lambda: stalled.append(True))
    clock.seconds = 5
    lending.sweep()
    assert not stalled
    lending.idle_timeout = 2
    assert lending.sweep_interval == 0.5
    lending.sweep()
    assert stalled == [True]
    far.close()
    near.close()
