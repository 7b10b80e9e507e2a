import socket
from contextlib import suppress

import pytest

from localctl.errors import ListenError
from localctl.values import Address
from localctl.wire import tcp
from tests.serve.conftest import until


@pytest.fixture
def pair() -> tuple[socket.socket, socket.socket]:
    """A connection: the end that dialled, and the end that was accepted."""
    with tcp.listen("key", Address("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    return near, far


def test_a_taken_address_names_its_key() -> None:
    """The error says which key of the configuration cannot be obeyed, where, and why."""
    with tcp.listen("publish.http.listen", Address("127.0.0.1", 0)) as first:
        taken = tcp.bound(first)
        with pytest.raises(ListenError, match=rf"publish.ftp.listen: cannot listen on {taken}: .*in use"):
            tcp.listen("publish.ftp.listen", taken)


def test_an_address_that_is_not_ours_names_its_key() -> None:
    """So does an address that no interface has."""
    with pytest.raises(ListenError, match=r"key: cannot listen on 192\.0\.2\.1:0: Cannot assign"):
        tcp.listen("key", Address("192.0.2.1", 0))


@pytest.mark.parametrize(
    ("host", "clients"),
    [("0.0.0.0", ["127.0.0.1"]), ("::1", ["::1"]), ("::", ["::1", "127.0.0.1"]), ("localhost", ["127.0.0.1"])],
)
def test_every_kind_of_address_listens(host: str, clients: list[str]) -> None:
    """IPv4, IPv6, both at once for ``::``, and a name."""
    with tcp.listen("key", Address(host, 0)) as listener:
        for client in clients:
            socket.create_connection((client, tcp.bound(listener).port)).close()


def test_acknowledged_bytes_are_counted(pair: tuple[socket.socket, socket.socket]) -> None:
    """What the peer's kernel has taken is acknowledged; what it has no room for is not."""
    far, near = pair
    with near, far:
        near.sendall(b"x" * 1000)
        until(lambda: tcp.acknowledged(near) == 1000)
        assert tcp.unacknowledged(near) == 0
        near.setblocking(False)
        written = 1000
        with suppress(BlockingIOError):
            while True:
                written += near.send(bytes(2**16))
        until(lambda: tcp.acknowledged(near) + tcp.unacknowledged(near) == written)
        assert tcp.unacknowledged(near) > 0


def test_a_reset_connection_is_gone(pair: tuple[socket.socket, socket.socket]) -> None:
    """A peer that resets is gone, one that half-closes is not, and a socket of ours that is closed is."""
    near, far = pair
    with near, far:
        assert tcp.is_open(near)
        far.shutdown(socket.SHUT_WR)
        assert near.recv(1) == b""
        assert not tcp.is_gone(near)
        assert not tcp.is_open(near)
        tcp.reset_on_close(far)
        far.close()
        until(lambda: tcp.is_gone(near))
    assert tcp.is_gone(near)
