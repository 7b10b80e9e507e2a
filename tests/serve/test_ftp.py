import ftplib
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import Final

import pytest

from localctl.config import Publish, PublishFtp
from localctl.errors import ListenError
from localctl.serve.ftp import FtpServer, _Loop
from localctl.values import Address
from localctl.wire import tcp
from localctl.wire.binding import Binding
from tests.actors.wire import PATIENCE_SECONDS, Talk, read_all
from tests.serve.conftest import NAME, Shop, no_descriptor_lost, starved, until

WHOLE: Final = {
    "curl": "curl -sS -f -o out URL",
    "curl by one CWD": "curl -sS -f --ftp-method singlecwd -o out URL",
    "curl without CWD": "curl -sS -f --ftp-method nocwd -o out URL",
    "curl by PASV": "curl -sS -f --disable-epsv -o out URL",
    "wget": "wget -q -O out URL",
    "BusyBox wget": "busybox wget -q -O out URL",
    "BusyBox ftpget": "busybox ftpget -P PORT HOST out PATH",
    "lftp": "lftp -c 'set ftp:ssl-allow no; get URL -o out'",
    "lftp in four parts": "lftp -c 'set ftp:ssl-allow no; pget -n 4 URL -o out'",
    "lftp, looking first": "lftp -c 'set ftp:ssl-allow no; open -p PORT HOST; cd firmware/MD5; ls; mget *; !mv * out'",
}
RESUMED: Final = {
    "curl": "curl -sS -f -C - -o out URL",
    "wget": "wget -q -c -O out URL",
    "BusyBox wget": "busybox wget -q -c -O out URL",
    "BusyBox ftpget": "busybox ftpget -c -P PORT HOST out PATH",
    "lftp": "lftp -c 'set ftp:ssl-allow no; get -c URL -o out'",
}


def run(command: str, shop: Shop, address: Address, folder: Path) -> None:
    """Run a client in ``folder``."""
    line = command.replace("URL", shop.url("ftp", address)).replace("PORT", str(address.port))
    line = line.replace("HOST", address.host).replace("PATH", shop.path).replace("MD5", shop.file.checksum)
    done = subprocess.run(
        line, shell=True, cwd=folder, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a client works."""
    folder = tmp_path / "client"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("client", WHOLE)
def test_clients_get_the_file(shop: Shop, folder: Path, client: str) -> None:
    """Every client gets the file byte for byte, whichever commands it sends or leaves out."""
    _, address = shop.ftp()
    run(WHOLE[client], shop, address, folder)
    assert (folder / "out").read_bytes() == shop.content
    shop.until_settled()
    assert shop.results("ftp")["complete"] >= 1
    assert shop.count("firmware_sent_bytes_total", protocol="ftp") >= len(shop.content)


@pytest.mark.parametrize("client", RESUMED)
@pytest.mark.parametrize("at", [1, 5 * 2**20 + 3])
def test_clients_resume(shop: Shop, folder: Path, client: str, at: int) -> None:
    """Every client that broke off goes on where it was, and only the rest is sent again."""
    _, address = shop.ftp()
    (folder / "out").write_bytes(shop.content[:at])
    run(RESUMED[client], shop, address, folder)
    assert (folder / "out").read_bytes() == shop.content
    shop.until_settled()
    assert shop.count("firmware_sent_bytes_total", protocol="ftp") == len(shop.content) - at


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "::1"])
def test_the_standard_client_over_both_families(shop: Shop, host: str) -> None:
    """Python's ftplib: folders, a listing, a bare name, the size, a part; IPv4 and IPv6 alike."""
    _, address = shop.ftp(host=host)
    for near in {"0.0.0.0": ["127.0.0.1"], "::": ["127.0.0.1", "::1"], "::1": ["::1"]}[host]:
        pieces: list[bytes] = []
        with ftplib.FTP(timeout=PATIENCE_SECONDS) as client:
            client.connect(near, address.port)
            client.login()
            client.cwd("firmware")
            assert client.nlst() == [shop.file.checksum]
            client.cwd(shop.file.checksum)
            ((name, facts),) = [entry for entry in client.mlsd() if entry[0] not in {".", ".."}]
            assert (name, facts["type"], facts["size"]) == (NAME, "file", str(shop.file.size))
            assert client.size(NAME) == shop.file.size
            client.retrbinary(f"RETR {NAME}", pieces.append, rest=shop.file.size - 10)
        assert b"".join(pieces) == shop.content[-10:]


@pytest.mark.parametrize("more", ["", "TYPE A"])
def test_a_client_that_sends_the_least(shop: Shop, more: str) -> None:
    """USER, PASS, PASV and RETR of a bare name after CWD: the bytes unchanged, for all that the type is ASCII."""
    talk = Talk(shop.ftp()[1])
    assert not more or talk(more).startswith("200")
    talk("CWD firmware")
    talk(f"CWD {shop.file.checksum}")
    numbers = talk("PASV").partition("(")[2].partition(")")[0].split(",")
    port = int(numbers[4]) * 256 + int(numbers[5])
    with socket.create_connection((".".join(numbers[:4]), port), PATIENCE_SECONDS) as data:
        assert talk(f"RETR {NAME}").startswith("1")
        assert read_all(data) == shop.content
    assert talk.reply().startswith("226")
    talk.close()


def test_refuse_lets_what_runs_go_on(shop: Shop) -> None:
    """After SIGTERM new sessions and transfers get 421; one under way reaches its end, and stop() waits for it."""
    server, address = shop.ftp()
    running, idle = Talk(address), Talk(address)
    with running.data(slow=True) as data:
        assert running(f"RETR {shop.path}").startswith("1")
        server.refuse()
        late = Talk(address, login=False)
        assert late.greeting.startswith("421")
        assert late.reply() == ""
        with idle.data():
            assert idle(f"RETR {shop.path}").startswith("421")
            assert idle.reply() == ""
        data.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**22)
        assert read_all(data) == shop.content
    assert running.reply().startswith("226")
    server.stop(PATIENCE_SECONDS)
    assert running.reply().startswith("421")
    for talk in (running, idle, late):
        talk.close()
    assert shop.results("ftp") == {"complete": 1, "aborted": 0, "idle": 0}
    assert shop.count("firmware_refused_total", protocol="ftp", reason="stopping") == 2


def test_a_lasting_socket_keeps_who_comes_late(shop: Shop) -> None:
    """Who was accepted before a stop is still served; who comes after it waits for the next start."""
    with tcp.listen("kept", Address("127.0.0.1", 0)) as kept:
        server = FtpServer(tcp.bound(kept), None, 60, shop.catalogue, shop.metrics)
        address = server.bind(Binding([kept.dup()]).bind)
        server.serve()
        early = Talk(address)
        server.refuse()
        with early.data() as data:
            assert early(f"RETR {shop.path}").startswith("1")
            assert read_all(data) == shop.content
        assert early.reply().startswith("226")
        with socket.create_connection((address.host, address.port)):
            server.stop(0)
            kept.accept()[0].close()
        assert early.reply().startswith("421")
        early.close()


def test_stop_ends_what_outlasts_the_grace(shop: Shop) -> None:
    """A transfer still running when the grace is over is ended; the loan too; nothing is left; again does nothing."""
    with no_descriptor_lost():
        server, address = shop.ftp()
        talk = Talk(address)
        with talk.data(slow=True) as data:
            assert talk(f"RETR {shop.path}").startswith("1")
            server.stop(0.1)
            assert shop.catalogue.loans() == ()
            assert len(read_all(data)) < shop.file.size
        talk.close()
        server.stop(0)
    assert shop.results("ftp") == {"complete": 0, "aborted": 1, "idle": 0}
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((address.host, address.port))


def test_stop_before_start_does_nothing(shop: Shop) -> None:
    """A daemon that fails half way through its start stops what it has not started."""
    FtpServer(Address("127.0.0.1", 0), None, 1, shop.catalogue, shop.metrics).stop(1)


def test_a_taken_address_is_named(shop: Shop) -> None:
    """The error names the key of the configuration."""
    _, address = shop.ftp()
    with no_descriptor_lost(), pytest.raises(ListenError, match=rf"^publish.ftp.listen: cannot listen on {address}"):
        FtpServer(address, None, 1, shop.catalogue, shop.metrics).bind()


def test_the_pulse_beats(shop: Shop) -> None:
    """The thread's loop shows that it turns."""
    server, _ = shop.ftp()
    until(lambda: server.pulse.silent_for() > 0)
    until(lambda: server.pulse.silent_for() < 0.05)
    assert server.pulse.loop == "ftp"


def test_too_many_sessions_are_turned_away(shop: Shop) -> None:
    """Beyond two for each transfer and some spare: 421."""
    shop.catalogue.max_transfers = 1
    _, address = shop.ftp()
    talks = [Talk(address, login=False)]
    while talks[-1].greeting.startswith("220"):
        talks.append(Talk(address, login=False))
        assert len(talks) < 200
    assert talks[-1].greeting.startswith("421")
    for talk in talks:
        talk.close()
    assert shop.count("firmware_refused_total", protocol="ftp", reason="busy") == 1


def test_without_descriptors_the_listener_pauses(shop: Shop, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Fault 40: nothing spins, the loop turns, one line says why; and it recovers by itself."""
    server, address = shop.ftp()
    with starved(address):
        until(lambda: "takes no connection for want of resources" in caplog.text)
        before = time.process_time()
        until(lambda: server.pulse.silent_for() < 0.05)
        time.sleep(2.5)  # as long as what is measured: two pauses
        assert time.process_time() - before < 1
    run(WHOLE["curl"], shop, address, tmp_path)
    assert (tmp_path / "out").read_bytes() == shop.content
    assert len(caplog.records) == 1


def test_a_number_that_another_thread_has_got_is_forgotten(tmp_path: Path) -> None:
    """A socket closed before it is forgotten: by then its number is a file's. It ended the session at PASV."""
    loop, here = _Loop(), socket.socket()
    with (tmp_path / "file").open("w") as file:
        number = here.detach()
        loop.register(number, None, loop.READ)
        os.dup2(file.fileno(), number)  # closes the socket, and is what it was
        loop.unregister(number)
        os.close(number)
    assert not loop.socket_map
    loop.close()


def test_other_settings_count_while_it_serves(shop: Shop) -> None:
    """Data connections on other ports, more or fewer sessions, another patience for those that come; a transfer that is
    under way gets to its end.
    """
    server, address = shop.ftp()
    early = Talk(address)
    with early.data(slow=True) as data:
        assert early(f"RETR {shop.path}").startswith("1")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        shop.catalogue.max_transfers = 0
        server.reconfigure(Publish(idle_timeout_seconds=0.5, ftp=PublishFtp(passive_ports=range(port, port + 1))))
        assert server._server
        assert server._server.max_cons == 128
        late = Talk(address)
        assert late.port() == port
        assert len(read_all(data)) == shop.file.size
    assert early.reply().startswith("226")
    assert late.reply().startswith("421")  # it has said nothing for too long
    for talk in (early, late):
        talk.close()
