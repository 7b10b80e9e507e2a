"""What ``check`` finds on the real machine: free and taken ports, good and bad certificates, a CSMS that answers."""

import asyncio
import json
import socket
import ssl
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from localctl.checking import answer, clock, fetching, firewall, holders, published, running, seal, way
from localctl.checks import Check, run_checks
from localctl.config import load, parse
from tests.actors.csms import Csms
from tests.actors.daemon import Daemon
from tests.actors.greeter import greeting, listening, plain

NOW = datetime.now(UTC)
ELSEWHERE = """
import json, sys
from localctl.checks import run_checks
from localctl.config import parse
for found in run_checks(parse(json.loads(sys.argv[1]), "c", {}), offline=True):
    print(found.verdict, found.what, found.advice, sep="|")
"""

Sections = dict[str, dict[str, object]]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """An authority that no system trusts."""
    return trustme.CA()


@pytest.fixture
def minimal(tmp_path: Path) -> Sections:
    """A configuration with which nothing is wrong but that it serves nobody."""
    return {
        "controller": {"identity": "LC-0001", "state_dir": str(tmp_path)},
        "csms": {"url": "ws://127.0.0.1/ocpp"},
        "admin": {"listen": "127.0.0.1:0"},
        "firmware": {"min_free_space": 0},
    }


@pytest.fixture(autouse=True)
def on_ext4(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the tests run on."""
    monkeypatch.setattr("localctl.checking.disk.kind_of", lambda _: "ext4")


def checked(sections: Sections, *, offline: bool = True, now: datetime = NOW) -> list[Check]:
    """Everything that is found."""
    return list(run_checks(parse(sections, "c.toml", {}), offline=offline, clock=now.timestamp))


def about(key: str, found: list[Check]) -> list[Check]:
    """What is found about ``key``."""
    return [check for check in found if check.what.startswith(f"{key}: ")]


def verdicts(found: list[Check]) -> list[str]:
    """The verdicts alone."""
    return [check.verdict for check in found]


def elsewhere(sections: Sections, *unshare: str) -> list[str]:
    """What is found by another user, or on another network, one line a check."""
    arguments = [sys.executable, "-c", ELSEWHERE, json.dumps(sections)]
    return subprocess.run(
        ["unshare", "--user", *unshare, *arguments], capture_output=True, text=True, check=True
    ).stdout.splitlines()


def written(path: Path, *blobs: trustme.Blob) -> str:
    """The path of a PEM file that holds ``blobs``."""
    path.write_bytes(b"".join(blob.bytes() for blob in blobs))
    path.chmod(0o640)
    return str(path)


def test_nothing_wrong_is_all_ok(minimal: Sections) -> None:
    """With every listener on a free port of loopback and a published host, there is nothing to advise."""
    minimal["stations"] = {"ws": {"listen": "127.0.0.1:0"}}
    minimal["publish"] = {"host": "gateway.example", "http": {"listen": "127.0.0.1:0"}, "ftp": {"listen": "[::1]:0"}}
    found = checked(minimal)
    assert set(verdicts(found)) == {"ok"}
    assert not [check for check in found if check.advice]


def test_whatever_is_not_ok_has_advice(minimal: Sections) -> None:
    """Each line that is not ok says what to do about it."""
    minimal["csms"] = {"url": "ws://127.0.0.1/ocpp/LC-0001", "basic_auth_password": "x", "ca_file": "/nonexistent"}
    minimal["controller"]["state_dir"] = "/dev/null/state"
    found = checked(minimal, now=datetime.fromtimestamp(0, UTC))
    assert len([check for check in found if check.verdict != "ok"]) >= 7
    assert not [check for check in found if (check.verdict == "ok") == bool(check.advice)]


def test_clock_of_1970_is_a_warning(minimal: Sections) -> None:
    """Without a battery clock the date is 1970 until somebody sets it (faults, row 9)."""
    [clock] = about("clock", checked(minimal, now=datetime.fromtimestamp(0, UTC)))
    assert clock.verdict == "warn"
    assert clock.what == "clock: 1970-01-01 cannot be right"


def test_state_directory_is_left_as_it_was(minimal: Sections, tmp_path: Path) -> None:
    """That it is writable is tried, and nothing stays in it."""
    state = about("controller.state_dir", checked(minimal))
    assert verdicts(state) == ["ok", "ok"]
    assert state[0].what == f"controller.state_dir: {tmp_path} is writable"
    assert not list(tmp_path.iterdir())


def test_state_directory_that_can_be_made_is_not_made(minimal: Sections, tmp_path: Path) -> None:
    """The daemon makes it; check only looks whether it could."""
    minimal["controller"]["state_dir"] = f"{tmp_path}/a/b"
    state = about("controller.state_dir", checked(minimal))
    assert state[0] == Check("ok", f"controller.state_dir: {tmp_path}/a/b can be made")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("below", ["", "/below"])
def test_file_in_the_place_of_the_state_directory_fails(minimal: Sections, tmp_path: Path, below: str) -> None:
    """A file is no folder, nor can one be made in it."""
    (tmp_path / "file").write_bytes(b"")
    minimal["controller"]["state_dir"] = f"{tmp_path}/file{below}"
    [state] = about("controller.state_dir", checked(minimal))
    assert state.verdict == "FAIL"


@pytest.mark.parametrize("below", ["", "/below"])
def test_state_directory_of_somebody_else_fails(minimal: Sections, tmp_path: Path, below: str) -> None:
    """A folder that this user may not write to is no state directory; the advice is how to make it one."""
    minimal["controller"]["state_dir"] = f"{tmp_path}/theirs{below}"
    (tmp_path / "theirs").mkdir(mode=0o555)
    [line] = [line for line in elsewhere(minimal) if "|controller.state_dir: " in line]
    assert line.startswith("FAIL|")
    assert "install -d -o localctl" in line
    assert line.endswith("only root finds out (sudo).")


def test_full_disk_fails(minimal: Sections) -> None:
    """Less than firmware.min_free_space: every PublishFirmware would be Rejected/OutOfStorage."""
    minimal["firmware"]["min_free_space"] = 2**62
    state = about("controller.state_dir", checked(minimal))
    assert verdicts(state) == ["ok", "FAIL"]
    assert "firmware.min_free_space" in state[1].what


def test_address_in_use_fails_and_names_the_likely_cause(minimal: Sections) -> None:
    """Somebody listens there: most likely localctl itself."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        minimal["admin"]["listen"] = f"127.0.0.1:{port}"
        [listen] = about("admin.listen", checked(minimal))
    assert listen.verdict == "FAIL"
    assert listen.what.startswith(f"admin.listen: 127.0.0.1:{port} is in use by ")
    assert listen.advice.startswith("Stop what listens there")
    assert about("admin.listen", checked(minimal)) == [Check("ok", f"admin.listen: 127.0.0.1:{port} is free")]


def test_address_of_another_machine_fails(minimal: Sections) -> None:
    """A listener binds to an address of this machine (203.0.113.0/24 is nobody's: RFC 5737)."""
    minimal["stations"] = {"ws": {"listen": "203.0.113.9:0"}}
    [listen] = about("stations.ws.listen", checked(minimal))
    assert (listen.verdict, listen.what) == (
        "FAIL",
        "stations.ws.listen: 203.0.113.9:0 is no address of this machine",
    )


def test_host_that_does_not_exist_fails(minimal: Sections) -> None:
    """A listener's host may be a name, but one that resolves (.invalid never does: RFC 2606)."""
    minimal["stations"] = {"ws": {"listen": "gateway.invalid:0"}}
    [listen] = about("stations.ws.listen", checked(minimal))
    assert listen.verdict == "FAIL"
    assert "has no known host" in listen.what


def test_low_port_fails_for_an_ordinary_user(minimal: Sections) -> None:
    """Below 1024 a right is needed, and the advice is how to give it."""
    minimal["stations"] = {"ws": {"listen": "127.0.0.1:1"}}
    [line] = [line for line in elsewhere(minimal) if "|stations.ws.listen: " in line]
    assert line.startswith("FAIL|stations.ws.listen: 127.0.0.1:1 needs a right that this user does not have|")
    assert "systemctl enable --now localctl.socket" in line
    assert "AmbientCapabilities=CAP_NET_BIND_SERVICE" in line


def test_low_port_is_a_warning_for_root(minimal: Sections) -> None:
    """Root may bind it, but the service does not run as root."""
    minimal["stations"] = {"ws": {"listen": "0.0.0.0:1"}}
    [line] = [line for line in elsewhere(minimal, "--map-root-user", "--net") if "|stations.ws.listen: " in line]
    assert line.startswith("warn|")
    assert "AmbientCapabilities=CAP_NET_BIND_SERVICE" in line


def test_admin_on_the_network_is_a_warning(minimal: Sections) -> None:
    """Their password can be read there."""
    minimal["admin"] |= {"listen": "0.0.0.0:0", "password": "geheim-0815"}
    [listen] = about("admin.listen", checked(minimal))
    assert listen.verdict == "warn"
    assert "SSH tunnel" in listen.advice


def test_password_without_tls_is_a_warning(minimal: Sections) -> None:
    """Security profile 1 is for networks that are trusted, or tunnelled."""
    minimal["csms"]["basic_auth_password"] = "geheim-0815"
    [url] = about("csms.url", checked(minimal))
    assert (url.verdict, url.what) == ("warn", "csms.url: the password crosses the network unencrypted")
    minimal["csms"]["url"] = "wss://127.0.0.1/ocpp"
    assert not about("csms.url", checked(minimal))


def test_no_check_tells_the_password(minimal: Sections) -> None:
    """A secret stands in no line."""
    minimal["csms"]["basic_auth_password"] = "geheim-0815"
    assert "geheim" not in str(checked(minimal, offline=False))


def test_password_file_for_everyone_is_a_warning(minimal: Sections, tmp_path: Path) -> None:
    """A password that every user of the machine can read."""
    secret = tmp_path / "password"
    secret.write_text("geheim-0815")
    minimal["csms"] = {"url": "wss://127.0.0.1", "basic_auth_password_file": str(secret)}
    secret.chmod(0o644)
    assert verdicts(about("csms.basic_auth_password_file", checked(minimal))) == ["warn"]
    secret.chmod(0o640)
    assert not about("csms.basic_auth_password_file", checked(minimal))


def test_url_with_the_identity_is_a_warning(minimal: Sections) -> None:
    """The identity is put behind the URL: the newcomer has put it there too."""
    minimal["csms"]["url"] = "ws://127.0.0.1/ocpp/LC-0001"
    [url] = about("csms.url", checked(minimal))
    assert url.verdict == "warn"
    assert "controller.identity" in url.what


def test_certificates_without_tls_are_a_warning(minimal: Sections, authority: trustme.CA, tmp_path: Path) -> None:
    """A ca_file beside ws:// protects nothing."""
    minimal["csms"]["ca_file"] = written(tmp_path / "ca.pem", authority.cert_pem)
    [url] = about("csms.url", checked(minimal))
    assert (url.verdict, url.what) == ("warn", "csms.url: ws:// uses neither ca_file nor cert_file")


@pytest.mark.parametrize(
    ("begins", "ends", "verdict", "words"),
    [
        (-10, -1, "FAIL", "expired on"),
        (-10, 29, "warn", "in 29 days"),
        (-10, 31, "ok", "is valid until"),
        (1, 60, "FAIL", "is not valid before"),
    ],
)
def test_certificate_is_held_against_the_clock(
    minimal: Sections, authority: trustme.CA, tmp_path: Path, begins: int, ends: int, verdict: str, words: str
) -> None:
    """Expired, about to expire within 30 days, in order, or of the future."""
    days = timedelta(days=1)
    own = authority.issue_cert("LC-0001", not_before=NOW + begins * days, not_after=NOW + ends * days)
    minimal["csms"] = {
        "url": "wss://127.0.0.1",
        "cert_file": written(tmp_path / "own.pem", *own.cert_chain_pems, authority.cert_pem),
        "key_file": written(tmp_path / "own.key", own.private_key_pem),
    }
    [certificate] = about("csms.cert_file", checked(minimal))
    assert certificate.verdict == verdict
    assert words in certificate.what


def test_one_valid_root_is_enough(minimal: Sections, authority: trustme.CA, tmp_path: Path) -> None:
    """A bundle of roots is as good as the one that is valid longest."""
    old = trustme.CA().issue_cert("old.example", not_before=NOW - timedelta(9), not_after=NOW - timedelta(1))
    minimal["firmware"]["ca_file"] = written(tmp_path / "roots.pem", old.cert_chain_pems[0], authority.cert_pem)
    assert verdicts(about("firmware.ca_file", checked(minimal))) == ["ok"]
    minimal["firmware"]["ca_file"] = written(tmp_path / "roots.pem", old.cert_chain_pems[0])
    assert verdicts(about("firmware.ca_file", checked(minimal))) == ["FAIL"]


def test_bad_files_of_certificates_fail_by_their_keys(minimal: Sections, authority: trustme.CA, tmp_path: Path) -> None:
    """Missing, unreadable as PEM, or a key of another certificate."""
    own, other = authority.issue_cert("LC-0001"), authority.issue_cert("LC-0002")
    minimal["csms"] = {
        "url": "wss://127.0.0.1",
        "cert_file": written(tmp_path / "own.pem", *own.cert_chain_pems),
        "key_file": written(tmp_path / "other.key", other.private_key_pem),
    }
    minimal["firmware"]["ca_file"] = str(tmp_path / "gone.pem")
    found = checked(minimal)
    assert verdicts(about("csms.key_file", found)) == ["FAIL"]
    assert verdicts(about("firmware.ca_file", found)) == ["FAIL"]


def test_certificate_of_https_is_checked(minimal: Sections, authority: trustme.CA, tmp_path: Path) -> None:
    """Files, their match and their end, by the keys of publish.https."""
    own = authority.issue_cert("192.0.2.1", not_after=NOW + timedelta(days=3))
    cert_file = written(tmp_path / "own.pem", *own.cert_chain_pems)
    https: dict[str, object] = {"listen": "127.0.0.1:0", "cert_file": cert_file}
    https["key_file"] = written(tmp_path / "own.key", own.private_key_pem)
    minimal["publish"] = {"host": "192.0.2.1", "https": https}
    [certificate] = about("publish.https.cert_file", checked(minimal))
    assert (certificate.verdict, "in 3 days" in certificate.what) == ("warn", True)
    https["key_file"] = written(tmp_path / "other.key", authority.issue_cert("x.example").private_key_pem)
    assert verdicts(about("publish.https.key_file", checked(minimal))) == ["FAIL"]
    https["cert_file"] = str(tmp_path / "gone.pem")
    assert verdicts(about("publish.https.cert_file", checked(minimal))) == ["FAIL"]


def test_certificate_of_ftps_is_checked(minimal: Sections, authority: trustme.CA, tmp_path: Path) -> None:
    """By the keys of publish.ftp; without one there is nothing to check."""
    own = authority.issue_cert("192.0.2.1", not_after=NOW + timedelta(days=99))
    ftp: dict[str, object] = {"listen": "127.0.0.1:0"}
    minimal["publish"] = {"ftp": ftp}
    assert not about("publish.ftp.cert_file", checked(minimal))
    ftp["cert_file"] = written(tmp_path / "own.pem", *own.cert_chain_pems)
    ftp["key_file"] = written(tmp_path / "own.key", own.private_key_pem)
    assert verdicts(about("publish.ftp.cert_file", checked(minimal))) == ["ok"]
    ftp["key_file"] = str(tmp_path / "gone.pem")
    assert verdicts(about("publish.ftp.key_file", checked(minimal))) == ["FAIL"]


def test_files_of_stations_are_checked(minimal: Sections, authority: trustme.CA, tmp_path: Path) -> None:
    """[stations.wss] is a listener as [stations.ws] is; its files and the passwords are looked at by their keys."""
    own = authority.issue_cert("gateway.lan")
    wss: dict[str, object] = {"listen": "127.0.0.1:0", "cert_file": written(tmp_path / "own.pem", *own.cert_chain_pems)}
    wss["key_file"] = written(tmp_path / "own.key", own.private_key_pem)
    minimal["stations"] = {"wss": wss, "authentication": "local", "password_file": f"{tmp_path}/none"}
    found = checked(minimal)
    assert verdicts(about("stations.wss.cert_file", found)) == ["ok"]
    assert verdicts(about("stations.password_file", found)) == ["FAIL"]
    assert verdicts(about("stations.wss.listen", found)) == ["ok"]
    assert not about("stations", found)


def test_serving_nobody_is_a_warning(minimal: Sections) -> None:
    """Without a listener nothing can be published (L03.FR.08), and no station can connect."""
    found = checked(minimal)
    assert verdicts(about("publish", found)) == ["warn"]
    assert verdicts(about("stations", found)) == ["warn"]
    assert not about("publish.host", found)


def test_published_host_is_told(minimal: Sections) -> None:
    """Stations are told what publish.host says, else the address that the listener has alone."""
    minimal["publish"] = {"http": {"listen": "127.0.0.1:0"}}
    [host] = about("publish.host", checked(minimal))
    assert (host.verdict, host.advice.startswith("Set publish.host")) == ("warn", True)
    assert "stations are told 127.0.0.1, where only this machine itself finds us" in host.what
    minimal["publish"]["host"] = "gateway.lan"
    assert about("publish.host", checked(minimal)) == [Check("ok", "publish.host: stations are told gateway.lan")]


def test_machine_of_two_networks_is_a_warning(minimal: Sections) -> None:
    """Of several addresses the right one is the installer's to say."""
    minimal["publish"] = {"http": {"listen": "0.0.0.0:0"}, "ftp": {"listen": "0.0.0.0:0"}}
    network = (
        "set -e; ip link set lo up;"
        "ip link add lan0 type bridge; ip addr add 10.1.2.3/24 dev lan0; ip link set lan0 up;"
        "ip link add lan1 type bridge; ip addr add 10.9.8.7/24 dev lan1; ip link set lan1 up;"
        'ip route add default via 10.9.8.1; exec "$@"'
    )
    lines = elsewhere(minimal, "--map-root-user", "--net", "sh", "-c", network, "sh")
    [line] = [line for line in lines if "|publish.host: " in line]
    assert line.startswith("warn|publish.host: stations are told 10.9.8.7, but this machine has other addresses too: ")
    assert "10.1.2.3|" in line


@pytest.mark.parametrize(
    ("networks", "listen", "verdict", "words"),
    [
        (["10.0.0.0/8"], "127.0.0.1:0", ["ok"], "10.0.0.0/8 may fetch firmware"),
        (["10.0.0.0/8", "fd00::/8"], "[::]:0", ["ok"], "10.0.0.0/8, fd00::/8 may fetch firmware"),
        (["192.168.0.0/16"], "127.0.0.1:0", ["warn"], "192.168.0.0/16 does not hold 10.0.0.1, the address that"),
        (
            ["10.0.0.0/8"],
            "[::1]:0",
            ["warn"],
            "10.0.0.0/8 leaves out all that can reach publish.http.listen",
        ),
        (["10.0.0.0/8"], "localhost:0", ["ok"], "10.0.0.0/8 may fetch firmware"),
    ],
)
def test_networks_that_leave_out_too_much_are_a_warning(
    minimal: Sections, networks: list[str], listen: str, verdict: list[str], words: str
) -> None:
    """Stations may be in a network of their own behind a router, but mostly they are in ours."""
    minimal["publish"] = {"host": "10.0.0.1", "allowed_networks": networks, "http": {"listen": listen}}
    found = about("publish.allowed_networks", checked(minimal))
    assert verdicts(found) == verdict
    assert words in found[0].what
    minimal["publish"]["host"] = "gateway.lan"  # a name says nothing of a network
    assert "does not hold" not in str(checked(minimal))
    minimal["publish"]["allowed_networks"] = []
    assert not about("publish.allowed_networks", checked(minimal))


def test_csms_that_answers(minimal: Sections) -> None:
    """The port answers; what is said there is in tests/checking/test_answer.py."""
    with listening(plain) as (host, port):
        minimal["csms"]["url"] = f"ws://{host}:{port}/ocpp"
        [found] = about("csms.url", checked(minimal, offline=False))
    assert (found.verdict, found.what.partition(",")[0]) == ("ok", f"csms.url: 127.0.0.1 port {port} answers")


def test_csms_that_is_not_there_fails(minimal: Sections) -> None:
    """Nobody listens on the port: it is bound, so that nobody else can."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        minimal["csms"]["url"] = f"ws://127.0.0.1:{silent.getsockname()[1]}"
        found = about("csms.url", checked(minimal, offline=False))
    assert verdicts(found) == ["FAIL"]
    assert found[0].what.endswith("does not answer: Connection refused")


def test_csms_without_a_name_fails(minimal: Sections) -> None:
    """A name that no DNS knows (.invalid: RFC 2606)."""
    minimal["csms"]["url"] = "wss://csms.invalid/ocpp"
    [url] = about("csms.url", checked(minimal, offline=False))
    assert url.verdict == "FAIL"
    assert url.what.startswith("csms.url: csms.invalid does not resolve: ")
    assert not about("csms.url", checked(minimal))


def test_csms_with_tls_is_tried_with_our_files(minimal: Sections, authority: trustme.CA, tmp_path: Path) -> None:
    """The handshake is made with ca_file; without it the CSMS's own authority is unknown, and that is said."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with listening(greeting(context)) as (host, port):
        minimal["csms"] = {"url": f"wss://{host}:{port}/ocpp"}
        failed = about("csms.url", checked(minimal, offline=False))
        minimal["csms"]["ca_file"] = written(tmp_path / "ca.pem", authority.cert_pem)
        found = about("csms.url", checked(minimal, offline=False))
    assert verdicts(failed) == ["ok", "FAIL"]
    assert "ca_file must name that root" in failed[1].what
    assert verdicts(found) == ["ok", "ok", "ok"]
    assert found[1].what == f"csms.url: 127.0.0.1 port {port} speaks TLSv1.3 with a certificate that we trust"


def test_csms_that_ends_the_handshake_fails(minimal: Sections) -> None:
    """A server that hangs up is no traceback."""
    with listening(lambda _: None) as (host, port):
        minimal["csms"] = {"url": f"wss://{host}:{port}/ocpp"}
        found = about("csms.url", checked(minimal, offline=False))
    assert verdicts(found) == ["ok", "FAIL"]
    assert found[1].advice


async def test_a_daemon_that_runs_is_not_disturbed(tmp_path: Path) -> None:
    """Its addresses are its own, its files are there for stations, it says how its connection is; nothing FAILs."""
    async with Csms() as csms, Daemon(tmp_path, csms.url) as daemon:
        await daemon.ready()
        config = load(daemon.config_file)
        found = await asyncio.to_thread(lambda: list(run_checks(config, offline=False, path=daemon.config_file)))
        assert not [check for check in found if check.verdict == "FAIL"]
        told = [check.what for check in found]
        assert f"localctl: it runs (process {daemon.pid}) and is ready" in told
        assert len([what for what in told if what.endswith("is in use by localctl, which is running")]) == 4
        assert len([what for what in told if what.startswith(("publish.http: ", "publish.ftp: "))]) == 2
        assert len([what for what in told if what.startswith("descriptors: ")]) == 1
        assert not csms.links[0].closed
        assert (await daemon.status())["ready"]


def test_however_much_hangs_it_ends() -> None:
    """What may be waited for, one after the other, is half a minute at most."""
    asked = running._PATIENCE_SECONDS + holders._SYSTEMCTL_SECONDS + firewall._SECONDS + fetching._SECONDS
    csms = way.RESOLVE_SECONDS + way.CONNECT_SECONDS + seal._SECONDS
    last = max(seal._SECONDS, answer.SECONDS + 1, clock._SECONDS)
    assert published._RESOLVE_SECONDS <= fetching._SECONDS
    assert asked + csms + last <= 30
