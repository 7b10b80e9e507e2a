"""Sockets that were handed over, made by the test as systemd makes them."""

import errno
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack

import pytest

from localctl.errors import ListenError
from localctl.values import Address
from localctl.wire import tcp
from localctl.wire.binding import Binding, own
from tests.relay.conftest import until


@pytest.fixture
def kept() -> Iterator[socket.socket]:
    """Systemd's copy of a socket for every address, IPv6 and IPv4."""
    with tcp.listen("kept", Address("::", 0)) as sock:
        yield sock


@pytest.fixture
async def binding(kept: socket.socket) -> AsyncIterator[Binding]:
    """With our copy of that socket."""
    made = Binding([kept.dup()])
    yield made
    made.close()


def port(sock: socket.socket) -> int:
    """Where it is bound."""
    return tcp.bound(sock).port


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "127.0.0.1"])
async def test_a_socket_is_found_by_its_port(binding: Binding, kept: socket.socket, host: str) -> None:
    """Whatever the host of the configuration; its real address is told, and IPv4 reaches it."""
    bound = binding.bind("key", Address(host, port(kept)))
    with bound.sock, socket.create_connection(("127.0.0.1", port(kept))):
        assert bound.lasting
        assert bound.address == Address("::", port(kept))


async def test_a_host_that_is_not_obeyed_is_said(
    binding: Binding, kept: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    """Who wrote one address and gets every address must know it."""
    with binding.bind("admin.listen", Address("127.0.0.1", port(kept))).sock:
        [said] = caplog.messages
        place = f"[::]:{port(kept)}"
        assert said.startswith(f"admin.listen names 127.0.0.1:{port(kept)}, but localctl.socket listens on {place}: ")


async def test_every_address_is_obeyed_by_any(
    binding: Binding, kept: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    """0.0.0.0 in the configuration and [::] in the unit mean the same."""
    with binding.bind("key", Address("0.0.0.0", port(kept))).sock:
        assert caplog.messages == []


async def test_of_two_with_one_port_the_right_host_is_taken() -> None:
    """A unit may name two addresses; the other one is for another listener."""
    with ExitStack() as stack:
        first = stack.enter_context(tcp.listen("first", Address("127.0.0.1", 0)))
        second = stack.enter_context(tcp.listen("second", Address("127.0.0.2", port(first))))
        binding = Binding([first, second])
        assert binding.bind("key", tcp.bound(second)).sock is second
        assert binding.bind("key", tcp.bound(first)).sock is first


async def test_other_ports_are_bound_as_ever(binding: Binding) -> None:
    """Any free port is one of our own, which does not last."""
    bound = binding.bind("key", Address("127.0.0.1", 0))
    with bound.sock:
        assert not bound.lasting


async def test_a_socket_is_given_once(binding: Binding, kept: socket.socket) -> None:
    """Two listeners cannot share one."""
    with binding.bind("key", Address("::", port(kept))).sock, pytest.raises(ListenError, match=r"other: .*in use"):
        binding.bind("other", Address("::", port(kept)))


def test_a_socket_that_was_shut_down_listens_again(kept: socket.socket) -> None:
    """Linux keeps its port, and refuses connections until we listen again."""
    kept.shutdown(socket.SHUT_RDWR)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port(kept)))
    with Binding([kept.dup()]).bind("key", Address("::", port(kept))).sock:
        socket.create_connection(("127.0.0.1", port(kept))).close()


async def test_what_nobody_wants_cuts_off(
    binding: Binding, kept: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    """Who connects is reset at once rather than left to wait, and the log says how to mend it."""
    caplog.set_level(logging.INFO)
    binding.shut_out()
    assert caplog.messages == [
        f"no listener is configured for port {port(kept)} of localctl.socket: who connects is cut off"
    ]
    with socket.create_connection(("127.0.0.1", port(kept))) as station:
        station.setblocking(False)
        await until(lambda: is_reset(station))


def is_reset(sock: socket.socket) -> bool:
    """Whether the peer has reset the connection."""
    try:
        return sock.recv(1) == b"" and False
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


async def test_what_is_let_go_of_takes_connections_still(binding: Binding, kept: socket.socket) -> None:
    """Systemd's copy is as it was: who connects waits there for the next start."""
    binding.shut_out()
    binding.close()
    with socket.create_connection(("127.0.0.1", port(kept))):
        far, _ = kept.accept()
        far.close()


def test_a_low_port_without_the_right_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what lets localctl have it."""

    def refused(*_args: object, **_more: object) -> socket.socket:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket, "create_server", refused)
    with pytest.raises(ListenError, match=r"Permission denied; .*systemctl enable localctl\.socket"):
        own("publish.http.listen", Address("0.0.0.0", 80))
