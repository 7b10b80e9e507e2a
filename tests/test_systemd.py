"""What systemd is told, read from a real socket."""

import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from localctl.systemd import Notifier, handed_over, socket_path
from tests.actors.handover import handing_over

ASK = """
import os, sys
from localctl.systemd import handed_over
for sock in handed_over():
    print(sock.getsockname()[1], os.get_inheritable(sock.fileno()))
print([name for name in os.environ if name.startswith("LISTEN_")])
"""


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A socket as systemd's, and its name as $NOTIFY_SOCKET has it."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@{tmp_path}/notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(name.replace("@", "\0"))
        receiver.settimeout(30)
        yield receiver, name


def test_each_message_is_one_datagram(systemd: tuple[socket.socket, str]) -> None:
    """READY with its status, a status, a sign of life, a reload, the beginning of the end: sd_notify(3)."""
    receiver, name = systemd
    notifier = Notifier({"NOTIFY_SOCKET": name})
    notifier.ready("serving 3 stations")
    assert receiver.recv(1000) == b"READY=1\nSTATUS=serving 3 stations"
    notifier.status("größer")
    assert receiver.recv(1000) == "STATUS=größer".encode()
    notifier.watchdog()
    assert receiver.recv(1000) == b"WATCHDOG=1"
    before = time.monotonic()
    notifier.reloading()
    first, _, at = receiver.recv(1000).decode().partition("\nMONOTONIC_USEC=")
    assert (first, before - 0.001 <= int(at) / 1e6 <= time.monotonic()) == ("RELOADING=1", True)
    notifier.stopping()
    assert receiver.recv(1000) == b"STOPPING=1"


def test_status_cannot_forge_a_field(systemd: tuple[socket.socket, str]) -> None:
    """A line's end within a status would begin another field."""
    receiver, name = systemd
    Notifier({"NOTIFY_SOCKET": name}).status("well\nSTOPPING=1\r\n")
    assert receiver.recv(1000) == b"STATUS=well STOPPING=1"


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1234"}])
def test_silent_without_systemd(environ: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    """On a terminal or in a container nothing is sent, asked or logged."""
    notifier = Notifier({**environ, "WATCHDOG_USEC": "1000000"})
    notifier.ready("x")
    notifier.status("x")
    notifier.watchdog()
    notifier.stopping()
    assert notifier.watchdog_interval is None
    assert not caplog.records


def test_systemd_that_does_not_listen_is_no_failure_of_ours(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A socket that is gone is logged, and we go on."""
    with caplog.at_level(logging.WARNING):
        Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).watchdog()
    assert caplog.messages == ["systemd could not be told WATCHDOG=1: No such file or directory"]


def test_systemd_that_does_not_read_does_not_hold_us(
    systemd: tuple[socket.socket, str], caplog: pytest.LogCaptureFixture
) -> None:
    """With its queue full, messages are dropped and logged: the loop must turn."""
    _, name = systemd
    notifier = Notifier({"NOTIFY_SOCKET": name})
    while not caplog.records:
        notifier.watchdog()
    assert caplog.messages[0].startswith("systemd could not be told WATCHDOG=1: ")


@pytest.mark.parametrize("pid", [{}, {"WATCHDOG_PID": str(os.getpid())}])
def test_watchdog_is_fed_twice_in_its_time(pid: dict[str, str]) -> None:
    """Half of WATCHDOG_USEC, as sd_watchdog_enabled(3) advises."""
    environ = {"NOTIFY_SOCKET": "/run/systemd/notify", "WATCHDOG_USEC": "30000000", **pid}
    assert Notifier(environ).watchdog_interval == 15.0


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"WATCHDOG_USEC": ""},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"},
        {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "x"},
    ],
)
def test_watchdog_of_nobody_or_of_another_is_not_ours(environ: dict[str, str]) -> None:
    """Unset, off, unreadable, or meant for another process."""
    assert Notifier({"NOTIFY_SOCKET": "/run/systemd/notify", **environ}).watchdog_interval is None


def test_where_the_socket_is() -> None:
    """In the runtime folder, the first of several; without one in the state directory."""
    assert socket_path("/state", {"RUNTIME_DIRECTORY": "/run/a:/run/b"}) == Path("/run/a/localctl.sock")
    assert socket_path("/state", {}) == Path("/state/localctl.sock")


def test_sockets_are_handed_over(tmp_path: Path) -> None:
    """The TCP sockets that are bound, for us alone and told to nobody; what else there is, is named and left."""
    with ExitStack() as stack:
        first = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        second = stack.enter_context(socket.create_server(("::1", 0), family=socket.AF_INET6))
        near = stack.enter_context(socket.create_connection(first.getsockname()))
        datagrams = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        unbound = stack.enter_context(socket.socket())
        file = stack.enter_context((tmp_path / "file").open("w"))
        passed = [each.fileno() for each in (first, near, datagrams, unbound, file, second)]
        done = subprocess.run(
            [*handing_over(passed), sys.executable, "-c", ASK],
            pass_fds=passed,
            capture_output=True,
            text=True,
            check=True,
        )
        ports = [sock.getsockname()[1] for sock in (first, second)]
    assert done.stdout.splitlines() == [*(f"{port} False" for port in ports), "[]"]
    assert [line.partition(" is of no use")[0] for line in done.stderr.splitlines()] == [
        f"descriptor {number} (test)" for number in (4, 5, 6, 7)
    ]


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"LISTEN_FDS": "1"},
        {"LISTEN_FDS": "1", "LISTEN_PID": "1"},
        {"LISTEN_FDS": "many", "LISTEN_PID": str(os.getpid())},
        {"LISTEN_FDS": "0", "LISTEN_PID": str(os.getpid())},
    ],
)
def test_sockets_of_nobody_or_of_another_are_not_ours(environ: dict[str, str]) -> None:
    """None handed over, to another process, or unreadably; the variables are gone in any case."""
    environ = {**environ, "LISTEN_FDNAMES": "x", "HOME": "/"}
    assert handed_over(environ) == ()
    assert environ == {"HOME": "/"}
