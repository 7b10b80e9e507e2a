import logging
import socket
import ssl
import subprocess
import time
from collections.abc import Mapping
from dataclasses import astuple
from pathlib import Path
from typing import Final

import pytest

from localctl.config import Publish
from localctl.errors import ListenError
from localctl.networks import parse_network
from localctl.serve import http_connection
from localctl.serve.http import HttpServer
from localctl.values import Address
from localctl.wire.binding import Bound
from tests.actors import wire
from tests.actors.wire import PATIENCE_SECONDS, read_all
from tests.serve.conftest import NAME, Shop, no_descriptor_lost, until

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
TRUSTING: Final = {
    "curl ": "curl --cacert CA ",
    "wget -": "wget --ca-certificate=CA -",
    "-c '": "-c 'set ssl:ca-file CA; ",
}
WITHOUT_TLS: Final = ("curl as to a proxy", "BusyBox wget")  # the one asks for a tunnel, the other verifies nothing
RESUMED: Final = {
    "curl": "curl -sS -f -C - -o out URL",
    "curl over HTTP/1.0": "curl -sS -f --http1.0 -C - -o out URL",
    "wget": "wget -q -c -O out URL",
    "BusyBox wget": "busybox wget -q -c -O out URL",
    "lftp": "lftp -c 'get -c URL -o out'",
}


def speaking(clients: Mapping[str, str]) -> list[tuple[str, str]]:
    """Each client with each scheme that it speaks as a station would."""
    pairs = [(scheme, client) for scheme in ("http", "https") for client in clients]
    return [(scheme, client) for scheme, client in pairs if scheme == "http" or client not in WITHOUT_TLS]


def run(command: str, web: Shop, address: Address, folder: Path) -> str:
    """Run a client in ``folder``; what it printed."""
    line = command.replace("URL", web.url(web.scheme, address)).replace("HOST", str(address))
    line = line.replace("/PATH", web.path)
    if web.scheme == "https":
        for plain, trusting in TRUSTING.items():
            line = line.replace(plain, trusting.replace("CA", str(web.ca_file), 1))
    done = subprocess.run(
        line, shell=True, cwd=folder, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def ask(web: Shop, address: Address, request: str) -> tuple[str, dict[str, str], bytes]:
    """Send ``request`` over a raw socket and read until the server closes: status line, headers, body."""
    with web.dial(address) as sock:
        return wire.ask(sock, request)


@pytest.mark.parametrize(("web", "client"), speaking(WHOLE), indirect=["web"])
def test_clients_get_the_file(web: Shop, tmp_path: Path, client: str) -> None:
    """Every client gets the file byte for byte, and each transfer is counted as complete."""
    _, address = web.http()
    run(WHOLE[client], web, address, tmp_path)
    got = tmp_path / (NAME if client == "curl by name" else "out")
    assert got.read_bytes() == web.content
    web.until_settled()
    transfers = 4 if client == "lftp in four parts" else 1
    assert web.results(web.scheme)["complete"] in range(1, transfers + 1)
    assert web.count("firmware_sent_bytes_total", protocol=web.scheme) >= len(web.content)


@pytest.mark.parametrize(("web", "client"), speaking(RESUMED), indirect=["web"])
@pytest.mark.parametrize("at", [1, 5 * 2**20 + 3])
def test_clients_resume(web: Shop, tmp_path: Path, client: str, at: int) -> None:
    """Every client that broke off goes on where it was, and only the rest is sent again."""
    _, address = web.http()
    (tmp_path / "out").write_bytes(web.content[:at])
    run(RESUMED[client], web, address, tmp_path)
    assert (tmp_path / "out").read_bytes() == web.content
    web.until_settled()
    assert web.count("firmware_sent_bytes_total", protocol=web.scheme) == len(web.content) - at


def test_curl_gets_one_range_or_the_whole(web: Shop, tmp_path: Path) -> None:
    """One range is given out; with several, or a validator that does not hold, the whole file is."""
    _, address = web.http()
    run("curl -sS -f -r 1000-4999 -o one URL", web, address, tmp_path)
    run("curl -sS -f -r -5000 -o last URL", web, address, tmp_path)
    run("curl -sS -f -r 0-1,5-6 -o several URL", web, address, tmp_path)
    run("curl -sS -f -r 5- -H 'If-Range: \"other\"' -o stale URL", web, address, tmp_path)
    run(f"curl -sS -f -r 5- -H 'If-Range: \"{web.file.checksum}\"' -o fresh URL", web, address, tmp_path)
    assert (tmp_path / "one").read_bytes() == web.content[1000:5000]
    assert (tmp_path / "last").read_bytes() == web.content[-5000:]
    assert (tmp_path / "several").read_bytes() == web.content
    assert (tmp_path / "stale").read_bytes() == web.content
    assert (tmp_path / "fresh").read_bytes() == web.content[5:]


def test_head_shows_what_get_would_send(web: Shop, tmp_path: Path) -> None:
    """HEAD: the headers of the interface, the true length, and no loan."""
    _, address = web.http()
    shown = run("curl -sS -f -I URL", web, address, tmp_path)
    assert shown.startswith("HTTP/1.1 200 OK")
    for line in (
        f"Content-Length: {web.file.size}",
        f'ETag: "{web.file.checksum}"',
        "Last-Modified: Tue, 14 Nov 2023 22:13:20 GMT",
        "Accept-Ranges: bytes",
        f"Content-Disposition: attachment; filename={NAME}",
        "Repr-Digest: sha-256=:",
        "Server: localctl",
    ):
        assert line in shown
    assert "chunked" not in shown
    assert sum(web.results(web.scheme).values()) == 0


@pytest.mark.parametrize("host", ["", "Host: controller\n"])
def test_http_1_0_without_anything_else(web: Shop, host: str) -> None:
    """The oldest request there is: the file with its length, and the connection closed behind it."""
    _, address = web.http()
    status, headers, body = ask(web, address, f"GET {web.path} HTTP/1.0\n{host}\n")
    assert status == "HTTP/1.0 200 OK"
    assert headers["Content-Length"] == str(web.file.size)
    assert "Connection" not in headers
    assert "Transfer-Encoding" not in headers
    assert body == web.content


def test_http_1_0_keeps_the_connection_when_asked(web: Shop) -> None:
    """Keep-alive over HTTP/1.0 is given to who asks for it."""
    _, address = web.http()
    asked = f"GET {web.path} HTTP/1.0\nConnection: keep-alive\nRange: bytes=0-4\n\n"
    last = f"GET {web.path} HTTP/1.0\nRange: bytes=5-9\n\n"
    status, headers, rest = ask(web, address, asked + last)
    assert status == "HTTP/1.0 206 Partial Content"
    assert headers["Connection"] == "keep-alive"
    assert rest.startswith(web.content[:5] + b"HTTP/1.0 206")
    assert rest.endswith(b"\r\n\r\n" + web.content[5:10])


def test_a_client_that_shuts_its_side_still_gets_its_answer(shop: Shop) -> None:
    """Half-closing behind the request means no more than that there is no other."""
    _, address = shop.http()
    with no_descriptor_lost(), shop.dial(address) as sock:
        sock.sendall(f"GET {shop.path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock).endswith(shop.content)


def test_a_client_that_says_nothing_is_let_go(shop: Shop) -> None:
    """Connecting and half-closing, without a request, ends the connection."""
    _, address = shop.http()
    with no_descriptor_lost(), shop.dial(address) as sock:
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock) == b""


def test_a_request_must_come_in_time(web: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A head that drips in byte by byte holds a connection for no longer than an idle one."""
    monkeypatch.setattr(http_connection, "KEEPALIVE_SECONDS", 0.3)
    _, address = web.http()
    with web.dial(address) as sock:
        sock.sendall(b"GET /firmware/")
        with pytest.raises((ConnectionError, ssl.SSLEOFError)):  # noqa: PT012  which of the bytes is the last, the server says
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
def test_anything_else_is_404_with_an_empty_body(web: Shop, method: str, target: str) -> None:
    """What is not published is not there, and nothing is sent that a station could take for an image."""
    _, address = web.http()
    target = target.replace("PATH", web.path).replace("MD5", web.file.checksum)
    status, headers, body = ask(web, address, f"{method} {target} HTTP/1.1\nHost: x\nConnection: close\n\n")
    assert (status, headers["Content-Length"], body) == ("HTTP/1.1 404 Not Found", "0", b"")
    assert web.count("firmware_refused_total", protocol=web.scheme, reason="not_found") == 1


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_405_with_an_empty_body(web: Shop, method: str) -> None:
    """A published path can be read, and nothing else."""
    _, address = web.http()
    request = f"{method} {web.path} HTTP/1.1\nHost: x\nConnection: close\nContent-Length: 3\n\nabc"
    status, headers, body = ask(web, address, request)
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
def test_conditions_are_answered_without_a_loan(web: Shop, asked: str, status: str) -> None:
    """304, 412 and 416 have no body, and nothing is lent for them."""
    _, address = web.http()
    asked = asked.replace("TAG", f'"{web.file.checksum}"')
    line, headers, body = ask(web, address, f"GET {web.path} HTTP/1.1\nHost: x\nConnection: close\n{asked}\n\n")
    assert (line.split()[1], body) == (status, b"")
    assert headers.get("Content-Length", "0") == "0"
    assert sum(web.results(web.scheme).values()) == 0


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
def test_what_is_no_http_is_400_without_a_traceback(web: Shop, junk: str, caplog: pytest.LogCaptureFixture) -> None:
    """A TLS hello, a broken line or an endless one: an empty 400 or 404, and nothing for an operator to read."""
    _, address = web.http()
    status, headers, body = ask(web, address, junk)
    assert status.split()[1] in {"400", "404"}
    assert (headers["Content-Length"], body) == ("0", b"")
    assert [record for record in caplog.records if record.levelno > logging.DEBUG or record.exc_info] == []


@pytest.mark.parametrize(("near", "far"), [("::1", "127.0.0.1"), ("127.0.0.1", "::1")])
def test_who_is_in_no_network_gets_403(web: Shop, near: str, far: str) -> None:
    """An empty 403 and the connection closed, whatever is asked for; nothing is lent; the others are served."""
    web.catalogue.networks = (parse_network(near),)
    port = web.http(host="::")[1].port
    for method, target in (("GET", web.path), ("HEAD", web.path), ("POST", web.path), ("GET", "/")):
        status, headers, body = ask(web, Address(far, port), f"{method} {target} HTTP/1.1\nHost: x\n\n")
        assert (status, headers["Content-Length"], body) == ("HTTP/1.1 403 Forbidden", "0", b"")
        assert headers["Connection"] == "close"
    assert web.count("firmware_refused_total", protocol=web.scheme, reason="network") == 4
    assert sum(web.results(web.scheme).values()) == 0
    assert ask(web, Address(near, port), f"GET {web.path} HTTP/1.0\n\n")[2] == web.content


def test_stop_before_start_does_nothing(web: Shop) -> None:
    """A daemon that fails half way through its start stops what it has not started."""
    HttpServer(Address("127.0.0.1", 0), 1, web.catalogue, web.metrics).stop(1)
    with no_descriptor_lost():
        server = HttpServer(Address("127.0.0.1", 0), 1, web.catalogue, web.metrics)
        server.bind()
        server.stop(1)


def test_who_comes_before_it_serves_waits(web: Shop) -> None:
    """From the moment that it is bound nobody is refused."""
    server = HttpServer(Address("127.0.0.1", 0), 1, web.catalogue, web.metrics)
    with socket.create_connection(astuple(server.bind())) as early:
        early.sendall(f"GET {web.path} HTTP/1.0\r\n\r\n".encode())
        server.serve()
        assert read_all(early).endswith(web.content)
    server.stop(1)


def test_a_thread_that_cannot_begin(web: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """It says so, and a stop waits for nothing."""
    server = HttpServer(Address("127.0.0.1", 0), 1, web.catalogue, web.metrics)
    server.bind(lambda *_: Bound(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), lasting=True))
    server.serve()
    server.refuse()
    server.stop(PATIENCE_SECONDS)
    assert "The HTTP server has ended" in caplog.text


def test_a_taken_address_is_named(web: Shop) -> None:
    """The error names the key of the configuration."""
    _, address = web.http()
    certificate = web.certificate
    with (
        no_descriptor_lost(),
        pytest.raises(ListenError, match=rf"^publish.{web.scheme}.listen: cannot listen on {address}"),
    ):
        HttpServer(address, 1, web.catalogue, web.metrics, certificate).bind()


def test_the_pulse_beats(web: Shop) -> None:
    """The thread's loop shows that it turns."""
    server, _ = web.http()
    until(lambda: server.pulse.silent_for() > 0)
    until(lambda: server.pulse.silent_for() < 0.05)
    assert server.pulse.loop == web.scheme


def test_both_families_are_served(web: Shop) -> None:
    """A listener on ``::`` serves IPv6 and IPv4."""
    _, address = web.http(host="::")
    for host in ("::1", "127.0.0.1"):
        with web.dial(Address(host, address.port)) as station:
            station.sendall(f"GET {web.path} HTTP/1.0\r\n\r\n".encode())
            assert read_all(station).endswith(b"\r\n\r\n" + web.content)


def test_another_patience_counts_for_transfers_under_way(web: Shop) -> None:
    """Who takes nothing is ended after it."""
    server, address = web.http(idle_timeout=3600)
    sock = web.dial(address, slow=True)
    sock.sendall(f"GET {web.path} HTTP/1.0\r\n\r\n".encode())
    web.until_running(1)
    server.reconfigure(Publish(idle_timeout_seconds=0.2))
    web.until_settled()
    sock.close()
    assert web.results(web.scheme)["idle"] == 1
