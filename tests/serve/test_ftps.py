import ftplib
import logging
import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from localctl.errors import ConfigurationError
from localctl.renewal import Files
from localctl.serve import ftp
from localctl.store.catalogue import Withdrawal
from localctl.values import Address
from tests.actors.wire import PATIENCE_SECONDS, SecureTalk, Talk, read_all, reset
from tests.serve.conftest import NAME, Shop, no_descriptor_lost, until

CLIENTS: Final = {
    "curl": "curl -sS -f --ssl-reqd --cacert CA -o out URL",
    "curl over TLS 1.2": "curl -sS -f --ssl-reqd --tls-max 1.2 --cacert CA -o out URL",
    "curl, only commands": "curl -sS -f --ssl-reqd --ftp-ssl-control --cacert CA -o out URL",
    "curl without TLS": "curl -sS -f -o out URL",
    "lftp": "lftp -c 'set ssl:ca-file CA; set ftp:ssl-force yes; set ftp:ssl-protect-data yes; get URL -o out'",
    "lftp, looking first": "lftp -c 'set ssl:ca-file CA; set ftp:ssl-force yes; open -p PORT HOST; "
    "cd firmware/MD5; ls; mget *; !mv * out'",
}


@pytest.fixture
def address(shop: Shop) -> Address:
    """A server that offers TLS."""
    return shop.ftps()


@pytest.fixture
def talk(shop: Shop, address: Address) -> Iterator[SecureTalk]:
    talk = SecureTalk(address, shop.trust)
    yield talk
    talk.close()


@pytest.mark.parametrize("client", CLIENTS)
def test_clients_get_the_file(shop: Shop, address: Address, tmp_path: Path, client: str) -> None:
    """Every client gets the file byte for byte, with TLS on both connections, on one or on none."""
    line = CLIENTS[client].replace("CA", str(shop.ca_file)).replace("URL", shop.url("ftp", address))
    line = line.replace("PORT", str(address.port)).replace("HOST", address.host).replace("MD5", shop.file.checksum)
    folder = tmp_path / "client"
    folder.mkdir()
    done = subprocess.run(
        line, shell=True, cwd=folder, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (folder / "out").read_bytes() == shop.content
    shop.until_settled()
    assert shop.results("ftp") == {"complete": 1, "aborted": 0, "idle": 0}
    assert shop.count("firmware_sent_bytes_total", protocol="ftp") == shop.file.size


def test_the_standard_client(shop: Shop, address: Address) -> None:
    """Python's ftplib.FTP_TLS: a listing, the size, a part."""
    pieces: list[bytes] = []
    context = shop.trust
    with ftplib.FTP_TLS(timeout=PATIENCE_SECONDS, context=context) as client:
        client.connect("127.0.0.1", address.port)
        client.login()
        client.prot_p()
        client.cwd(f"/firmware/{shop.file.checksum}")
        assert client.nlst() == [NAME]
        assert client.size(NAME) == shop.file.size
        client.retrbinary(f"RETR {NAME}", pieces.append, rest=shop.file.size - 10)
    assert b"".join(pieces) == shop.content[-10:]


def test_pbsz_prot_and_pasv_in_one_segment(talk: SecureTalk) -> None:
    """What old stations send at once after the handshake is answered in order."""
    talk.sock.sendall(b"PBSZ 0\r\nPROT P\r\nPASV\r\n")
    assert [talk.reply()[:3] for _ in range(3)] == ["200", "200", "227"]


def test_commands_right_behind_the_handshake(shop: Shop, address: Address) -> None:
    """They may even come in one segment with the handshake's end."""
    talk = Talk(address, login=False)
    talk("AUTH TLS")
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = shop.trust
    client = context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    while True:
        try:
            client.do_handshake()
        except ssl.SSLWantReadError:
            talk.sock.sendall(outgoing.read())
            incoming.write(talk.sock.recv(2**16))
        else:
            break
    for line in (b"PBSZ 0\r\n", b"PROT P\r\n", b"USER ftp\r\nPASS x\r\nPASV\r\n"):
        client.write(line)  # a record each
    talk.sock.sendall(outgoing.read())
    got = b""
    while b"\n227 " not in got:
        try:
            got += client.read()
        except ssl.SSLWantReadError:
            incoming.write(talk.sock.recv(2**16))
    assert [line[:3] for line in got.splitlines()] == [b"200", b"200", b"331", b"230", b"227"]
    talk.close()


def test_plain_text_behind_auth_tls_is_thrown_away(shop: Shop, address: Address) -> None:
    """Nobody in the middle can put commands in front of the client's own."""
    talk = Talk(address, login=False)
    talk.sock.sendall(b"AUTH TLS\r\nUSER anonymous\r\nPASS evil\r\n")
    assert talk.reply().startswith("234")
    context = shop.trust
    talk.sock = context.wrap_socket(talk.sock, server_hostname="127.0.0.1")
    talk.file = talk.sock.makefile("rb")
    assert talk("NOOP").startswith("200")  # no reply of an earlier command stands before it
    assert talk("PASV").startswith("530")
    talk.close()


def test_without_tls_there_is_no_prot(shop: Shop, address: Address) -> None:
    """PBSZ and PROT want AUTH first; the features are told; a server without a certificate knows none of them."""
    talk = Talk(address)
    assert talk("PROT P").startswith("503")
    assert "AUTH TLS" in talk("FEAT")
    talk.close()
    plain = Talk(shop.ftp()[1])
    assert plain("AUTH TLS").startswith("5")
    assert "AUTH" not in plain("FEAT")
    plain.close()


def test_the_loan_is_the_transfer(shop: Shop, talk: SecureTalk) -> None:
    """L04.FR.04, row 30: DownloadOngoing while a station downloads; by the time it reads 226, Unpublished."""
    with talk.begin(shop.path) as data:
        assert shop.catalogue.withdraw(shop.file.checksum) == (Withdrawal.LENT, None)
        assert read_all(data) == shop.content
    assert talk.reply().startswith("226")
    assert shop.catalogue.withdraw(shop.file.checksum)[0] is Withdrawal.WITHDRAWN
    assert shop.results("ftp") == {"complete": 1, "aborted": 0, "idle": 0}


def test_what_waits_in_our_kernel_is_still_lent(shop: Shop, talk: SecureTalk) -> None:
    """L04.FR.04: a file that fits into our send buffer is lent until the station has taken it."""
    small = shop.publish(os.urandom(300_000))
    with talk.begin(f"/firmware/{small.checksum}/{small.name}") as data:
        (loan,) = shop.catalogue.loans()
        until(lambda: loan.sent > 0)
        assert loan.sent < small.size
        read_all(data)
    assert talk.reply().startswith("226")


@pytest.mark.parametrize("how", ["in the middle", "before the handshake"])
def test_a_silent_station_is_ended(shop: Shop, how: str) -> None:
    """A station that reads nothing, or never begins its handshake, costs no CPU, and is ended after the timeout."""
    with no_descriptor_lost():
        talk = SecureTalk(shop.ftps(idle_timeout=1), shop.trust)
        if how == "in the middle":
            data: socket.socket = talk.begin(shop.path)
        else:
            data = talk.data(slow=True)
            talk(f"RETR {shop.path}")
        before = time.process_time()
        shop.until_settled()
        assert time.process_time() - before < 0.5
        assert talk.reply().startswith("421")
        data.close()
        talk.close()
        shop.stack.close()
    assert shop.results("ftp") == {"complete": 0, "aborted": 0, "idle": 1}


@pytest.mark.parametrize("how", ["it closes", "it resets", "it makes no handshake"])
def test_stations_that_vanish_leave_nothing(
    shop: Shop, address: Address, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither loan nor descriptor, and no traceback; the session lives and is told."""
    caplog.set_level(logging.WARNING)
    with no_descriptor_lost(), ExitStack() as stack:
        for _ in range(10):
            talk = SecureTalk(address, shop.trust)
            stack.callback(talk.close)
            data: socket.socket = talk.begin(shop.path) if how != "it makes no handshake" else talk.data()
            if how == "it makes no handshake":
                talk(f"RETR {shop.path}")
                data.sendall(b"this is no TLS\r\n")
                assert talk.reply()[:3] == "522"
            (reset if how == "it resets" else socket.socket.close)(data)
            if how != "it makes no handshake":
                assert talk.reply()[:3] == "426"
            assert talk("NOOP").startswith("200")
        shop.until_settled()
    assert shop.results("ftp") == {"complete": 0, "aborted": 10, "idle": 0}
    assert caplog.records == []


def test_an_abort_before_the_first_byte(shop: Shop, talk: SecureTalk) -> None:
    """Row 33: each command gets its reply, RETR the 426, also where the handshake of its data has not begun."""
    for _ in range(10):
        with talk.data():
            assert talk(f"RETR {shop.path}")[:3] in {"125", "150"}
            assert talk("ABOR").startswith("426")
            assert talk.reply()[:3] in {"225", "226"}
        assert talk("NOOP").startswith("200")
    assert shop.results("ftp") == {"complete": 0, "aborted": 10, "idle": 0}


def test_a_renewed_certificate_is_shown(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes after both files were replaced sees the new one."""
    monkeypatch.setattr(ftp, "LOOK_SECONDS", 0.02)
    address = shop.ftps()
    shop.issue()

    def is_shown() -> bool:
        try:
            SecureTalk(address, shop.trust).close()
        except ssl.SSLCertVerificationError:
            return False
        return True

    until(is_shown)


def test_a_bad_certificate_is_named(shop: Shop, tmp_path: Path) -> None:
    """By the keys of [publish.ftp]."""
    gone = str(tmp_path / "gone.pem")
    with pytest.raises(ConfigurationError, match=r"publish\.ftp\.cert_file"):
        shop.ftp(certificate=Files("publish.ftp", gone, gone, shop.metrics))


@pytest.mark.parametrize("missing", ["OpenSSL", "_cffi_backend"])
def test_a_machine_without_pyopenssl_is_told_so(shop: Shop, missing: str) -> None:
    """An interpreter without pyOpenSSL, or without what that needs, names the key and what to do."""
    shop.issue()
    program = f"""
import sys
sys.modules["{missing}"] = None
from prometheus_client import CollectorRegistry
from localctl.errors import ConfigurationError
from localctl.metrics import Metrics
from localctl.renewal import Files
from localctl.serve.ftp_session import session_class
files = Files("publish.ftp", "{shop.cert_file}", "{shop.key_file}", Metrics(CollectorRegistry(), "0"))
try:
    session_class(None, 60, None, files)
except ConfigurationError as fault:
    [line] = fault.faults
    print(line)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("publish.ftp.cert_file: there is no FTPS on this machine")
    assert "python3-cffi-backend" in done.stdout
