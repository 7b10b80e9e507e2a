import http.client
import logging
import socket
import subprocess
import time
from pathlib import Path
from typing import Final

import pytest

from localctl.errors import ListenError
from localctl.serve import http as serve_http
from localctl.serve.http import HttpServer
from localctl.values import Address
from tests.serve.conftest import NAME, PATIENCE_SECONDS, Shop, no_descriptor_lost, read_all, slow_socket, starved, until

WHOLE: Final = {
    "curl": "curl -sS -f -o out URL",
    "curl over HTTP/1.0": "curl -sS -f --http1.0 -o out URL",
    "curl by name": "curl -sS -f -O -J URL",
    "curl as to a proxy": "curl -sS -f -x http://HOST -o out http://controller.example/PATH",
    "wget": "wget -q -O out URL",
    "BusyBox wget": "busybox wget -q -O out URL",
    "lftp": "lftp -c 'get URL -o out'",
    "lftp in four parts": "lftp -c 'pget -n 4 URL -o out'",
}
RESUMED: Final = {
    "curl": "curl -sS -f -C - -o out URL",
    "curl over HTTP/1.0": "curl -sS -f --http1.0 -C - -o out URL",
    "wget": "wget -q -c -O out URL",
    "BusyBox wget": "busybox wget -q -c -O out URL",
    "lftp": "lftp -c 'get -c URL -o out'",
}


def run(command: str, shop: Shop, address: Address, folder: Path) -> str:
    """Run a client in ``folder``; what it printed."""
    line = command.replace("URL", shop.url("http", address)).replace("HOST", str(address))
    line = line.replace("/PATH", shop.path)
    done = subprocess.run(
        line, shell=True, cwd=folder, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def ask(address: Address, head: str) -> tuple[str, dict[str, str], bytes]:
    """Send ``head`` over a raw socket and read until the server closes: status line, headers, body."""
    with socket.create_connection((address.host, address.port), PATIENCE_SECONDS) as sock:
        sock.sendall(head.replace("\n", "\r\n").encode("latin-1"))
        first, _, body = read_all(sock).partition(b"\r\n\r\n")
    status, *lines = first.decode().split("\r\n")
    return status, dict(line.split(": ", 1) for line in lines), body


@pytest.mark.parametrize("client", WHOLE)
def test_clients_get_the_file(shop: Shop, tmp_path: Path, client: str) -> None:
    """Every client gets the file byte for byte, and each transfer is counted as complete."""
    _, address = shop.http()
    run(WHOLE[client], shop, address, tmp_path)
    got = tmp_path / (NAME if client == "curl by name" else "out")
    assert got.read_bytes() == shop.content
    shop.until_settled()
    transfers = 4 if client == "lftp in four parts" else 1
    assert shop.results("http")["complete"] in range(1, transfers + 1)
    assert shop.count("firmware_sent_bytes_total", protocol="http") >= len(shop.content)


@pytest.mark.parametrize("client", RESUMED)
@pytest.mark.parametrize("at", [1, 5 * 2**20 + 3])
def test_clients_resume(shop: Shop, tmp_path: Path, client: str, at: int) -> None:
    """Every client that broke off goes on where it was, and only the rest is sent again."""
    _, address = shop.http()
    (tmp_path / "out").write_bytes(shop.content[:at])
    run(RESUMED[client], shop, address, tmp_path)
    assert (tmp_path / "out").read_bytes() == shop.content
    shop.until_settled()
    assert shop.count("firmware_sent_bytes_total", protocol="http") == len(shop.content) - at


def test_curl_gets_one_range_or_the_whole(shop: Shop, tmp_path: Path) -> None:
    """One range is given out; with several, or a validator that does not hold, the whole file is."""
    _, address = shop.http()
    run("curl -sS -f -r 1000-4999 -o one URL", shop, address, tmp_path)
    run("curl -sS -f -r -5000 -o last URL", shop, address, tmp_path)
    run("curl -sS -f -r 0-1,5-6 -o several URL", shop, address, tmp_path)
    run("curl -sS -f -r 5- -H 'If-Range: \"other\"' -o stale URL", shop, address, tmp_path)
    run(f"curl -sS -f -r 5- -H 'If-Range: \"{shop.file.checksum}\"' -o fresh URL", shop, address, tmp_path)
    assert (tmp_path / "one").read_bytes() == shop.content[1000:5000]
    assert (tmp_path / "last").read_bytes() == shop.content[-5000:]
    assert (tmp_path / "several").read_bytes() == shop.content
    assert (tmp_path / "stale").read_bytes() == shop.content
    assert (tmp_path / "fresh").read_bytes() == shop.content[5:]


def test_head_shows_what_get_would_send(shop: Shop, tmp_path: Path) -> None:
    """HEAD: the headers of the interface, the true length, and no loan."""
    _, address = shop.http()
    shown = run("curl -sS -f -I URL", shop, address, tmp_path)
    assert shown.startswith("HTTP/1.1 200 OK")
    for line in (
        f"Content-Length: {shop.file.size}",
        f'ETag: "{shop.file.checksum}"',
        "Last-Modified: Tue, 14 Nov 2023 22:13:20 GMT",
        "Accept-Ranges: bytes",
        f"Content-Disposition: attachment; filename={NAME}",
        "Repr-Digest: sha-256=:",
        "Server: localctl",
    ):
        assert line in shown
    assert "chunked" not in shown
    assert sum(shop.results("http").values()) == 0


@pytest.mark.parametrize("host", ["", "Host: controller\n"])
def test_http_1_0_without_anything_else(shop: Shop, host: str) -> None:
    """The oldest request there is: the file with its length, and the connection closed behind it."""
    _, address = shop.http()
    status, headers, body = ask(address, f"GET {shop.path} HTTP/1.0\n{host}\n")
    assert status == "HTTP/1.0 200 OK"
    assert headers["Content-Length"] == str(shop.file.size)
    assert "Connection" not in headers
    assert "Transfer-Encoding" not in headers
    assert body == shop.content


def test_http_1_0_keeps_the_connection_when_asked(shop: Shop) -> None:
    """Keep-alive over HTTP/1.0 is given to who asks for it."""
    _, address = shop.http()
    asked = f"GET {shop.path} HTTP/1.0\nConnection: keep-alive\nRange: bytes=0-4\n\n"
    last = f"GET {shop.path} HTTP/1.0\nRange: bytes=5-9\n\n"
    status, headers, rest = ask(address, asked + last)
    assert status == "HTTP/1.0 206 Partial Content"
    assert headers["Connection"] == "keep-alive"
    assert rest.startswith(shop.content[:5] + b"HTTP/1.0 206")
    assert rest.endswith(b"\r\n\r\n" + shop.content[5:10])


def test_a_client_that_shuts_its_side_still_gets_its_answer(shop: Shop) -> None:
    """Half-closing behind the request means no more than that there is no other."""
    _, address = shop.http()
    with no_descriptor_lost(), socket.create_connection((address.host, address.port), PATIENCE_SECONDS) as sock:
        sock.sendall(f"GET {shop.path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock).endswith(shop.content)


def test_a_client_that_says_nothing_is_let_go(shop: Shop) -> None:
    """Connecting and half-closing, without a request, ends the connection."""
    _, address = shop.http()
    with no_descriptor_lost(), socket.create_connection((address.host, address.port), PATIENCE_SECONDS) as sock:
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock) == b""


def test_a_request_must_come_in_time(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A head that drips in byte by byte holds a connection for no longer than an idle one."""
    monkeypatch.setattr(serve_http, "_KEEPALIVE_SECONDS", 0.3)
    _, address = shop.http()
    with socket.create_connection((address.host, address.port), PATIENCE_SECONDS) as sock:
        sock.sendall(b"GET /firmware/")
        with pytest.raises(ConnectionError):  # noqa: PT012  which of the bytes is the last, the server says
            while True:
                sock.sendall(b"a")
                time.sleep(0.01)


@pytest.mark.parametrize(
    "target",
    [
        *("/", "/favicon.ico", "/firmware", "/firmware/MD5", "/firmware/MD5/", "/firmware/MD5/" + "a" * 400),
        *("PATH/", "//PATH", "PATH?x=1", "PATH%00", "/firmware/../PATH", "/%66irmware/MD5/x", "/firmware/MD5%2fx"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_anything_else_is_404_with_an_empty_body(shop: Shop, method: str, target: str) -> None:
    """What is not published is not there, and nothing is sent that a station could take for an image."""
    _, address = shop.http()
    target = target.replace("PATH", shop.path).replace("MD5", shop.file.checksum)
    status, headers, body = ask(address, f"{method} {target} HTTP/1.1\nHost: x\nConnection: close\n\n")
    assert (status, headers["Content-Length"], body) == ("HTTP/1.1 404 Not Found", "0", b"")
    assert shop.count("firmware_refused_total", protocol="http", reason="not_found") == 1


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_405_with_an_empty_body(shop: Shop, method: str) -> None:
    """A published path can be read, and nothing else."""
    _, address = shop.http()
    request = f"{method} {shop.path} HTTP/1.1\nHost: x\nConnection: close\nContent-Length: 3\n\nabc"
    status, headers, body = ask(address, request)
    assert (status, headers["Allow"], headers["Content-Length"], body) == (
        "HTTP/1.1 405 Method Not Allowed", "GET, HEAD", "0", b"",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ("If-None-Match: TAG", "304"),
        ("If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT", "304"),
        ('If-Match: "other"', "412"),
        ("Range: bytes=999999999-", "416"),
    ],
)
def test_conditions_are_answered_without_a_loan(shop: Shop, asked: str, status: str) -> None:
    """304, 412 and 416 have no body, and nothing is lent for them."""
    _, address = shop.http()
    asked = asked.replace("TAG", f'"{shop.file.checksum}"')
    line, headers, body = ask(address, f"GET {shop.path} HTTP/1.1\nHost: x\nConnection: close\n{asked}\n\n")
    assert (line.split()[1], body) == (status, b"")
    assert headers.get("Content-Length", "0") == "0"
    assert sum(shop.results("http").values()) == 0


@pytest.mark.parametrize(
    "junk",
    [
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\n",
        "GET\n\n",
        "GET /\x00 HTTP/1.1\n\n",
        "GET * HTTP/1.1\nHost: x\n\n",
        "GET //[ HTTP/1.1\nHost: x\nConnection: close\n\n",
        "GET / HTTP/1.1\nHost: x\nContent-Length: x\n\n",
        "GET / HTTP/1.1\nHost: x\nno header\n\n",
        f"GET /{'a' * 20000} HTTP/1.1\nHost: x\n\n",
    ],
)
def test_what_is_no_http_is_400_without_a_traceback(shop: Shop, junk: str, caplog: pytest.LogCaptureFixture) -> None:
    """A TLS hello, a broken line or an endless one: an empty 400 or 404, and nothing for an operator to read."""
    _, address = shop.http()
    status, headers, body = ask(address, junk)
    assert status.split()[1] in {"400", "404"}
    assert (headers["Content-Length"], body) == ("0", b"")
    assert [record for record in caplog.records if record.levelno > logging.DEBUG or record.exc_info] == []


def test_refuse_lets_what_runs_go_on(shop: Shop) -> None:
    """After SIGTERM new transfers get 503 with Retry-After; one under way reaches its end, and stop() waits for it."""
    server, address = shop.http()
    with slow_socket(address) as station:
        station.sendall(f"GET {shop.path} HTTP/1.0\r\n\r\n".encode())
        shop.until_running(1)
        server.refuse()
        status, headers, body = ask(address, f"GET {shop.path} HTTP/1.1\nHost: x\nConnection: close\n\n")
        assert (status, headers["Content-Length"], body) == ("HTTP/1.1 503 Service Unavailable", "0", b"")
        assert int(headers["Retry-After"]) > 0
        station.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**22)
        assert read_all(station).endswith(shop.content)
    server.stop(PATIENCE_SECONDS)
    assert shop.results("http") == {"complete": 1, "aborted": 0, "idle": 0}
    assert shop.count("firmware_refused_total", protocol="http", reason="stopping") == 1


def test_stop_ends_what_outlasts_the_grace(shop: Shop) -> None:
    """A transfer still running when the grace is over is ended; the loan too; nothing is left; again does nothing."""
    with no_descriptor_lost():
        server, address = shop.http()
        with slow_socket(address) as station:
            station.sendall(f"GET {shop.path} HTTP/1.0\r\n\r\n".encode())
            shop.until_running(1)
            server.stop(0.1)
            assert shop.catalogue.loans() == ()
            assert len(read_all(station)) < shop.file.size
        server.stop(0)
    assert shop.results("http") == {"complete": 0, "aborted": 1, "idle": 0}
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((address.host, address.port))


def test_stop_before_start_does_nothing(shop: Shop) -> None:
    """A daemon that fails half way through its start stops what it has not started."""
    HttpServer(Address("127.0.0.1", 0), 1, shop.catalogue, shop.metrics).stop(1)


def test_a_taken_address_is_named(shop: Shop) -> None:
    """The error names the key of the configuration."""
    _, address = shop.http()
    with no_descriptor_lost(), pytest.raises(ListenError, match=rf"^publish.http.listen: cannot listen on {address}"):
        HttpServer(address, 1, shop.catalogue, shop.metrics).start()


def test_the_pulse_beats(shop: Shop) -> None:
    """The thread's loop shows that it turns."""
    server, _ = shop.http()
    until(lambda: server.pulse.silent_for() > 0)
    until(lambda: server.pulse.silent_for() < 0.05)
    assert server.pulse.loop == "http"


def test_both_families_are_served(shop: Shop) -> None:
    """A listener on ``::`` serves IPv6 and IPv4."""
    _, address = shop.http(host="::")
    for host in ("::1", "127.0.0.1"):
        connection = http.client.HTTPConnection(host, address.port, PATIENCE_SECONDS)
        connection.request("GET", shop.path)
        assert connection.getresponse().read() == shop.content
        connection.close()


def test_without_descriptors_the_listener_pauses(shop: Shop, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Fault 40: nothing spins, the loop turns, one line says why; and it recovers by itself."""
    server, address = shop.http()
    with starved(address):
        until(lambda: "takes no connection for want of resources" in caplog.text)
        before = time.process_time()
        until(lambda: server.pulse.silent_for() < 0.05)
        time.sleep(2.5)  # as long as what is measured: two pauses
        assert time.process_time() - before < 1
    run(WHOLE["curl"], shop, address, tmp_path)
    assert (tmp_path / "out").read_bytes() == shop.content
    assert len(caplog.records) == 1
