"""The two units under a real systemd. Run by deploy/try-systemd.sh in a machine of its own: these tests are root there,
use the real ports, and stop and break what they find.
"""

import asyncio
import base64
import hashlib
import re
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.actors.csms import Csms
from tests.actors.link import CallError
from tests.actors.origin import Origin, Reply
from tests.actors.site import LC, firmware, get
from tests.actors.station import Station
from tests.actors.toml import dumped

UNITS = Path("/etc/systemd/system")
CONFIG = Path("/etc/localctl/config.toml")
DROP_IN = UNITS / "localctl.service.d"
LISTEN = {"stations": 8887, "http": 80, "ftp": 21}
IDS = count(1)  # of requests: what is published outlives a test
PATIENCE = 90  # seconds: a hang is noticed after 30


def sh(command: str, *, check: bool = True) -> str:
    """What a command prints."""
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert not check or done.returncode == 0, f"{command}: {done.returncode} {done.stdout}{done.stderr}"
    return done.stdout.strip()


async def run(command: str, *, check: bool = True) -> str:
    """The same, while the actors play on."""
    return await asyncio.to_thread(sh, command, check=check)


def shown(name: str, unit: str = "localctl.service") -> str:
    """A property of a unit."""
    return sh(f"systemctl show -P {name} {unit}")


async def until(what: str, command: str, wanted: str) -> None:
    """Wait until a command prints what matches ``wanted``."""
    said = ""
    try:
        async with asyncio.timeout(PATIENCE):
            while not re.fullmatch(wanted, said := await run(command, check=False)):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"{what}: {said!r}\n{sh('journalctl -n 30 --no-pager')}") from None


async def ready() -> None:
    """Wait until ``localctl status`` says so."""
    await until("ready", "localctl status >/dev/null 2>&1; echo $?", "0")


def configure(csms_url: str, **ports: int) -> None:
    """Write the configuration."""
    at = {name: {"listen": f"0.0.0.0:{port}"} for name, port in (LISTEN | ports).items()}
    config: dict[str, Any] = {
        "controller": {"identity": LC},
        "csms": {
            "url": csms_url,
            "retry_backoff_wait_minimum_seconds": 0.2,
            "retry_backoff_random_range_seconds": 0,
        },
        "stations": {"ws": at["stations"]},
        "firmware": {"allowed_origins": ["127.0.0.1"], "min_free_space": 0},
        "publish": {"host": "127.0.0.1", "http": at["http"], "ftp": at["ftp"]},
    }
    CONFIG.write_text(dumped(config), encoding="utf-8")


@contextmanager
def drop_in(lines: str) -> Iterator[None]:
    """More lines of [Service], for a while."""
    DROP_IN.mkdir(exist_ok=True)
    (DROP_IN / "test.conf").write_text(f"[Service]\n{lines}\n", encoding="utf-8")
    sh("systemctl daemon-reload")
    try:
        yield
    finally:
        shutil.rmtree(DROP_IN)
        sh("systemctl daemon-reload")


@contextmanager
def without_socket_unit() -> Iterator[None]:
    """The service as it is where localctl.socket was never installed."""
    unit = UNITS / "localctl.socket"
    text = unit.read_text(encoding="utf-8")
    sh("systemctl stop localctl.socket localctl.service; systemctl disable localctl.socket")
    unit.unlink()
    sh("systemctl daemon-reload")
    try:
        yield
    finally:
        sh("systemctl stop localctl.service")
        unit.write_text(text, encoding="utf-8")
        sh("systemctl daemon-reload; systemctl enable localctl.socket")


@dataclass
class Place:
    """The machine with a CSMS and an origin."""

    csms: Csms
    origin: Origin

    async def published(self, body: bytes) -> list[str]:
        """The URIs of a file that was published."""
        request_id = next(IDS)
        wish = {
            "requestId": request_id,
            "location": self.origin.script("/fw.bin", Reply(body)),
            "checksum": hashlib.md5(body).hexdigest(),
        }
        answer = await self.csms.call(LC, "PublishFirmware", wish)
        assert answer == {"status": "Accepted"}
        uris: list[str] = (await self.csms.wait_status(request_id, "Published"))["location"]
        return uris

    async def unpublished(self, body: bytes) -> str:
        """The answer to UnpublishFirmware."""
        answer = await self.csms.call(LC, "UnpublishFirmware", {"checksum": hashlib.md5(body).hexdigest()})
        assert not isinstance(answer, CallError), answer
        return str(answer["status"])


@asynccontextmanager
async def site(**ports: int) -> AsyncIterator[Place]:
    """A configured localctl, restarted and ready."""
    async with Csms() as csms, Origin() as origin:
        configure(csms.url, **ports)
        await run("systemctl restart localctl")
        await ready()
        yield Place(csms, origin)


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    """With both units as they are."""
    async with site() as made:
        yield made


async def pid() -> str:
    """The daemon's process."""
    return await run("systemctl show -P MainPID localctl")


@pytest.mark.usefixtures("place")
async def test_installed_as_printed() -> None:
    """By the commands of deploy/README.md the socket unit listens, and the service runs as its user with no right."""
    assert shown("ActiveState", "localctl.socket") == "active"
    assert shown("SubState") == "running"
    status = Path(f"/proc/{await pid()}/status").read_text(encoding="ascii")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["Uid"].split()[0] == sh("id -u localctl")
    assert {fields[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert (fields["NoNewPrivs"], fields["Seccomp"]) == ("1", "2")
    assert "listening on [::]:80 for publish.http" in await run("journalctl -u localctl --no-pager")


@pytest.mark.usefixtures("place")
async def test_exposure() -> None:
    """What systemd makes of the running service."""
    said = await run("LC_ALL=C.UTF-8 systemd-analyze security --no-pager localctl.service")
    [score] = re.findall(r"exposure level for localctl.service: ([0-9.]+)", said)
    assert float(score) <= 1.1


async def test_messages_go_before_downloads(place: Place) -> None:
    """The main loop's thread has the unit's priority, those that serve and all others an ordinary one."""
    await place.published(b"firmware")
    main = await pid()
    rows = (await run(f"ps -L -o tid=,ni=,cls=,comm= -p {main}")).splitlines()
    [(nice, policy)] = [tuple(row.split()[1:3]) for row in rows if row.split()[0] == main]
    others = {tuple(row.split()[1:3]) for row in rows if row.split()[0] != main}
    assert (nice, policy) == ("-10", "TS")
    assert others == {("0", "TS")}


async def test_whole_job(place: Place) -> None:
    """A station is relayed; a file is published, fetched over HTTP on 80 and FTP on 21, and withdrawn."""
    body = firmware(3_000_000).body
    async with Station("ws://127.0.0.1:8887/ocpp", "CS-1") as station:
        assert await station.boot() == "Accepted"
        http, ftp = await place.published(body)
        assert (http.split("/firmware")[0], ftp.split("/firmware")[0]) == ("http://127.0.0.1", "ftp://127.0.0.1")
        for uri in (http, ftp):
            assert (await run(f"curl -sSf {uri} | md5sum")).split()[0] == hashlib.md5(body).hexdigest()
        assert await place.unpublished(body) == "Unpublished"
        assert "CS-1" in await run("localctl status")
    assert "process_resident_memory_bytes" in await run("curl -sSf 127.0.0.1:9188/metrics")


@pytest.mark.usefixtures("place")
async def test_by_hand(tmp_path: Path) -> None:
    """`localctl publish` reaches the daemon through its runtime folder, as root."""
    (tmp_path / "stick.bin").write_bytes(b"firmware")
    assert "http://127.0.0.1/firmware/" in await run(f"localctl publish {tmp_path}/stick.bin")
    assert Path("/run/localctl/localctl.sock").group() == "localctl"


@pytest.mark.usefixtures("place")
async def test_port_of_no_listener() -> None:
    """443 is held, and [publish.https] is not there: who connects is cut off at once."""

    def heard() -> bytes:
        with socket.create_connection(("127.0.0.1", 443), PATIENCE) as station:
            return station.recv(1)

    with pytest.raises(ConnectionResetError):
        await asyncio.to_thread(heard)
    assert "no listener is configured for port 443" in await run("journalctl -u localctl --no-pager")


@pytest.mark.usefixtures("place")
async def test_hangup() -> None:
    """SIGHUP does not end it."""
    before = await pid()
    await run("systemctl kill -s HUP localctl")
    await ready()
    assert await pid() == before


async def test_restart(place: Place) -> None:
    """Who connects while systemd restarts the service is served."""
    [http, _] = await place.published(b"firmware")
    for _ in range(3):
        restart = asyncio.get_running_loop().create_task(run("systemctl restart localctl"))
        while not restart.done():
            assert await get(http) == (200, b"firmware")
        await restart
    assert await get(http) == (200, b"firmware")


async def test_kill(place: Place) -> None:
    """Row 39: after SIGKILL systemd starts it again, and who connected meanwhile is served."""
    [http, _] = await place.published(b"firmware")
    before = await pid()
    await run("systemctl kill -s KILL localctl")
    assert await asyncio.wait_for(get(http), PATIENCE) == (200, b"firmware")
    assert await pid() != before


async def test_hang(place: Place) -> None:
    """Row 39: a process that turns no loop any more is noticed by the watchdog, and replaced."""
    [http, _] = await place.published(b"firmware")
    before = await pid()
    await run(f"kill -STOP {before}")
    assert await asyncio.wait_for(get(http), PATIENCE) == (200, b"firmware")
    assert await pid() != before
    assert "Watchdog timeout" in await run("journalctl -u localctl --no-pager")


@pytest.mark.usefixtures("place")
async def test_wrong_configuration() -> None:
    """It is said and not tried without end because stations connect; once mended, one restart brings all back."""
    right = CONFIG.read_text(encoding="utf-8")
    CONFIG.write_text(f"{right}\n[log]\nlevl = 1\n", encoding="utf-8")
    await run("systemctl restart localctl", check=False)
    await until("failed", "systemctl show -P ExecMainStatus localctl", "78")
    with pytest.raises(OSError, match=r"refused|reset"):  # noqa: PT012  a station that comes again and again
        while True:
            with socket.create_connection(("127.0.0.1", 8887), PATIENCE) as station:
                await asyncio.to_thread(station.recv, 1)
    assert shown("Result", "localctl.socket") == "trigger-limit-hit"
    assert "config.toml: log.levl:" in await run("journalctl -u localctl --no-pager")
    CONFIG.write_text(right, encoding="utf-8")
    await run("systemctl restart localctl")
    await ready()
    assert shown("ActiveState", "localctl.socket") == "active"


async def test_port_that_another_has(place: Place) -> None:
    """The socket unit fails as a whole; the service goes on with ports of its own, or says which is taken, or low."""
    await run("systemctl stop localctl.socket localctl.service")
    with socket.create_server(("0.0.0.0", 80)):
        configure(place.csms.url, http=8080, ftp=2121)
        await run("systemctl restart localctl")
        await ready()
        assert shown("ActiveState", "localctl.socket") == "failed"
        configure(place.csms.url, ftp=2121)
        await run("systemctl restart localctl", check=False)
        said = await run("journalctl -u localctl -n 20 --no-pager")
        assert "publish.http.listen: cannot listen on 0.0.0.0:80: " in said
        configure(place.csms.url, http=8080)
        await run("systemctl restart localctl", check=False)
        said = await run("journalctl -u localctl -n 20 --no-pager")
        assert "publish.ftp.listen: cannot listen on 0.0.0.0:21: Permission denied; only root may" in said


async def test_enabled_later() -> None:
    """The two commands that bring the socket unit to a service that runs."""
    await run("systemctl stop localctl.socket localctl.service; systemctl disable localctl.socket")
    async with site(http=8080, ftp=2121) as place:
        assert shown("ActiveState", "localctl.socket") != "active"
        configure(place.csms.url)
        await run("systemctl enable localctl.socket && systemctl restart localctl")
        await ready()
        assert (await place.published(b"firmware"))[0].startswith("http://127.0.0.1/firmware/")


async def test_service_alone() -> None:
    """Without the socket unit it binds high ports; with the three lines of its unit low ones, at an exposure of 1.4."""
    with without_socket_unit():
        async with site(http=8080, ftp=2121) as place:
            assert await get((await place.published(b"firmware"))[0]) == (200, b"firmware")
        names = "CapabilityBoundingSet|AmbientCapabilities|PrivateUsers"
        text = (UNITS / "localctl.service").read_text(encoding="utf-8")
        with drop_in("\n".join(re.findall(rf"^#((?:{names})=.*)$", text, re.MULTILINE))):
            async with site() as place:
                assert await get((await place.published(b"firmware"))[0]) == (200, b"firmware")
                said = await run("LC_ALL=C.UTF-8 systemd-analyze security --no-pager localctl.service")
                [score] = re.findall(r"exposure level for localctl.service: ([0-9.]+)", said)
                assert float(score) <= 1.4


async def test_credentials(place: Place) -> None:
    """A password that only root can read reaches the CSMS."""
    secret = Path("/etc/localctl/csms-password")
    secret.write_text("correct horse battery", encoding="ascii")
    secret.chmod(0o600)
    config = CONFIG.read_text(encoding="utf-8")
    with drop_in(f"LoadCredential=csms-password:{secret}"):
        file = 'basic_auth_password_file = "credential:csms-password"'
        CONFIG.write_text(config.replace("[csms]", f"[csms]\n{file}"), encoding="utf-8")
        await run("systemctl restart localctl")
        await ready()
        told = base64.b64encode(f"{LC}:correct horse battery".encode()).decode()
        assert place.csms.handshakes[-1].headers["Authorization"] == f"Basic {told}"
