"""What the thread of an HTTP or HTTPS server does while it is stopped, and without descriptors."""

import socket
import time
from pathlib import Path

import psutil
import pytest

from localctl.serve.http import HttpServer
from localctl.values import Address
from localctl.wire import tcp
from localctl.wire.binding import Binding
from tests.actors.wire import PATIENCE_SECONDS, read_all
from tests.serve.conftest import Shop, no_descriptor_lost, starved, until
from tests.serve.test_http import WHOLE, ask, run


def test_refuse_lets_what_runs_go_on(web: Shop) -> None:
    """After SIGTERM new transfers get 503 with Retry-After; one under way reaches its end, and stop() waits for it."""
    server, address = web.http()
    with web.dial(address, slow=True) as station:
        station.sendall(f"GET {web.path} HTTP/1.0\r\n\r\n".encode())
        web.until_running(1)
        server.refuse()
        status, headers, body = ask(web, address, f"GET {web.path} HTTP/1.1\nHost: x\nConnection: close\n\n")
        assert (status, headers["Content-Length"], body) == ("HTTP/1.1 503 Service Unavailable", "0", b"")
        assert int(headers["Retry-After"]) > 0
        station.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**22)
        assert read_all(station).endswith(web.content)
    server.stop(PATIENCE_SECONDS)
    assert web.results(web.scheme) == {"complete": 1, "aborted": 0, "idle": 0}
    assert web.count("firmware_refused_total", protocol=web.scheme, reason="stopping") == 1


def test_a_lasting_socket_keeps_who_comes_late(web: Shop) -> None:
    """Who was accepted before a stop is still served, whenever he asks; who comes after it waits for the next start."""
    with tcp.listen("kept", Address("127.0.0.1", 0)) as kept:
        server = HttpServer(tcp.bound(kept), 60, web.catalogue, web.metrics, web.certificate)
        address, own = server.bind(Binding([kept.dup()]).bind), psutil.Process()
        server.serve()
        server._ready.result()
        before = own.num_fds()
        with web.dial(address) as early:
            until(lambda: own.num_fds() == before + 2)  # it was accepted
            server.refuse()
            early.sendall(f"GET {web.path} HTTP/1.0\r\n\r\n".encode())
            assert read_all(early).endswith(web.content)
        server.stop(PATIENCE_SECONDS)
        with socket.create_connection((address.host, address.port)):
            kept.accept()[0].close()


def test_stop_ends_what_outlasts_the_grace(web: Shop) -> None:
    """A transfer still running when the grace is over is ended; the loan too; nothing is left; again does nothing."""
    with no_descriptor_lost():
        server, address = web.http()
        with web.dial(address, slow=True) as station:
            station.sendall(f"GET {web.path} HTTP/1.0\r\n\r\n".encode())
            web.until_running(1)
            server.stop(0.1)
            assert web.catalogue.loans() == ()
            assert len(read_all(station)) < web.file.size
        server.stop(0)
    assert web.results(web.scheme) == {"complete": 0, "aborted": 1, "idle": 0}
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((address.host, address.port))


def test_without_descriptors_the_listener_pauses(web: Shop, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Fault 40: nothing spins, the loop turns, one line says why; and it recovers by itself."""
    server, address = web.http()
    with starved(address):
        until(lambda: "takes no connection for want of resources" in caplog.text)
        before = time.process_time()
        until(lambda: server.pulse.silent_for() < 0.05)
        time.sleep(2.5)  # as long as what is measured: two pauses
        assert time.process_time() - before < 1
    run(WHOLE["curl"], web, address, tmp_path)
    assert (tmp_path / "out").read_bytes() == web.content
    assert len(caplog.records) == 1
