"""One site on one machine, for deploy/try-package.sh: in its root, on the package's own libraries.

``trial.py CONFIG [again]`` plays a CSMS, an origin and two stations against the daemon that it starts as systemd would:
as the user localctl, with the ports of localctl.socket handed over. ``again``: the configuration is what it is, and the
file that was published the first time must still be served.
"""

import sys

sys.path.append("/usr/lib/localctl")

import asyncio
import os
import pwd
import re
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from localctl.demo import dialects
from localctl.demo.csms import Csms, now
from localctl.demo.fetch import fetch
from localctl.demo.origin import Origin, make_firmware
from localctl.demo.plan import PUBLISHING, UPDATING, Role, Scheme, Version
from localctl.demo.station import Station

IDENTITY = "LC-TRIAL"
SIZE = 4 * 2**20
PATIENCE = 60.0
SOCKET_UNIT = Path("/usr/lib/systemd/system/localctl.socket")
STATIONS: tuple[tuple[str, Version, Scheme], ...] = (("CS-01", "1.6", "http"), ("CS-02", "2.0.1", "ftp"))


def say(text: str) -> None:
    """One step."""
    print(f"    {text}", flush=True)


def set_up(config: Path, csms_url: str) -> None:
    """By `localctl setup`, with flags."""
    line = ["localctl", "setup", "--csms-url", csms_url, "--identity", IDENTITY, "--profile", "0"]
    done = subprocess.run(
        [*line, "--host", "127.0.0.1", "--yes"], check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    if "No such command" in done.stderr:  # of a version that had none
        say("this version has no setup: its answers are put into the file by hand")
        replace(config, r'^identity = ".*"', f'identity = "{IDENTITY}"')
        replace(config, r'^url = ".*"', f'url = "{csms_url}"')
        replace(config, r'^host = ""', 'host = "127.0.0.1"')
    elif not config.read_text(encoding="utf-8").count(IDENTITY):
        sys.exit(f"setup: {done.stdout}{done.stderr}")
    else:
        say(f"localctl setup ends with {done.returncode}: {done.stdout.strip().splitlines()[-1]}")
    replace(config, r"^allowed_origins = \[\]", 'allowed_origins = ["127.0.0.1"]')  # the origin is on this machine


def replace(config: Path, line: str, by: str) -> None:
    """One line of the configuration."""
    text, count = re.subn(line, by, config.read_text(encoding="utf-8"), count=1, flags=re.MULTILINE)
    if count != 1:
        sys.exit(f"{config}: has no line {line}")
    config.write_text(text, encoding="utf-8")


def point_at(config: Path, csms_url: str) -> None:
    """The CSMS of this run: it is on another port each time."""
    replace(config, r'^url = "ws://.*"', f'url = "{csms_url}"')


@contextmanager
def daemon(config: Path) -> Iterator[None]:
    """`localctl run` as the unit would have it; its log is shown where it fails."""
    user = pwd.getpwnam("localctl")
    for folder in ("/var/lib/localctl", "/run/localctl"):  # StateDirectory=, RuntimeDirectory=
        Path(folder).mkdir(mode=0o750, exist_ok=True, parents=True)
        os.chown(folder, user.pw_uid, user.pw_gid)
    with tempfile.TemporaryFile() as log:
        line = [sys.executable, "-IBS", __file__, str(config), "become"]
        process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stderr=log)
        try:
            yield
        except BaseException:
            log.seek(0)
            sys.stderr.write(log.read().decode(errors="replace"))
            raise
        finally:
            process.terminate()
            status = process.wait()
    if status != 0:
        sys.exit(f"localctl run ended with {status}")
    say("SIGTERM: it ends with 0")


def become(config: Path) -> None:
    """The daemon, in this process: with the sockets of the package's socket unit, or without one the right to bind."""
    user = pwd.getpwnam("localctl")
    line = ["/usr/bin/localctl", "run", "--config", str(config)]
    environ = {"PATH": "/usr/bin:/bin", "RUNTIME_DIRECTORY": "/run/localctl"}
    if not SOCKET_UNIT.exists():
        who = "--reuid=localctl", "--regid=localctl", "--clear-groups"
        right = "--inh-caps=+net_bind_service", "--ambient-caps=+net_bind_service"
        os.execve("/usr/bin/setpriv", ["setpriv", *who, *right, *line], environ)  # noqa: S606  our own arguments
    unit = SOCKET_UNIT.read_text(encoding="utf-8")
    ports = [int(port) for port in re.findall(r"^ListenStream=(?:.*:)?(\d+)$", unit, re.MULTILINE)]
    sockets = [socket.create_server(("0.0.0.0", port)) for port in ports]  # noqa: S104  of a network of its own
    held = [os.dup(sock.fileno()) for sock in sockets]
    for number, descriptor in enumerate(held):
        os.dup2(descriptor, 60 + number)
    for number in range(len(held)):
        os.dup2(60 + number, 3 + number, inheritable=True)
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    handed = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(held))}
    os.execve(line[0], line, environ | handed)  # noqa: S606  our own arguments


async def until_ready() -> None:
    """Until `localctl status` says so."""
    async with asyncio.timeout(PATIENCE):
        while True:
            asking = await asyncio.create_subprocess_exec(
                "localctl", "status", stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
            said, _ = await asking.communicate()
            if asking.returncode == 0:
                break
            await asyncio.sleep(0.2)
    say(f"localctl status: {said.decode().splitlines()[0]}")


async def publish(csms: Csms, origin: Origin, checksum: str, request_id: int) -> list[str]:
    """The URIs."""
    request = dialects.publish_firmware(origin.location, checksum, request_id)
    answer = await csms.call(IDENTITY, "PublishFirmware", request)
    must(answer, {"status": "Accepted"})
    for status in PUBLISHING:
        told = await csms.hear(IDENTITY, "PublishFirmwareStatusNotification", PATIENCE)
        must(told["status"], status)
    uris = [str(uri) for uri in told["location"]]
    must([urlsplit(uri).netloc for uri in uris], ["127.0.0.1", "127.0.0.1"])  # ports 80 and 21: none is named
    say(f"the CSMS hears Published: {' '.join(uris)}")
    return uris


async def update(csms: Csms, role: Role, uri: str, checksum: str) -> None:
    """A station comes through localctl, and fetches its firmware."""
    station = Station(role, float(2**30), None, lambda _: None)
    life = asyncio.create_task(station.live("ws://127.0.0.1:8887/ocpp"), name=role.identity)  # noqa: TID251  one of one
    await csms.hear(role.identity, "BootNotification", PATIENCE)
    say(f"{role.identity} is relayed, OCPP {csms.version(role.identity)}")
    await csms.call(role.identity, "UpdateFirmware", dialects.update_firmware(role.version, uri, 1, now()))
    for status in UPDATING:
        must((await csms.hear(role.identity, "FirmwareStatusNotification", PATIENCE))["status"], status)
    must((await life).md5, checksum)
    say(f"{role.identity} has fetched {uri}, MD5 right")


def must(found: object, expected: object) -> None:
    """End the trial where they differ."""
    if found != expected:
        sys.exit(f"trial: {found!r} instead of {expected!r}")


async def play(config: Path, kept: Path, *, again: bool) -> None:
    """All of it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "station-2.0.bin")
        checksum = make_firmware(file, SIZE)
        async with Csms() as csms, Origin(file, float(2**30)) as origin:
            await asyncio.to_thread(point_at if again else set_up, config, csms.url)  # it asks the CSMS
            with daemon(config):
                await csms.hear(IDENTITY, "BootNotification", PATIENCE)
                await until_ready()
                if again:
                    await still_there(kept)
                published = await publish(csms, origin, checksum, 2 if again else 1)
                uris = {urlsplit(uri).scheme: uri for uri in published}
                for identity, version, scheme in STATIONS:
                    await update(csms, Role(identity, version, scheme, pauses=False), uris[scheme], checksum)
                kept.write_text(uris["http"], encoding="utf-8")


async def still_there(kept: Path) -> None:
    """What was published before."""
    received = 0

    async def take(piece: bytes) -> None:
        nonlocal received
        received += len(piece)

    uri = kept.read_text(encoding="utf-8")
    await fetch(uri, take)
    must(received, SIZE)
    say(f"{uri}, of before, is still served")


if __name__ == "__main__":
    if sys.argv[2:] == ["become"]:
        become(Path(sys.argv[1]))
    else:
        asyncio.run(play(Path(sys.argv[1]), Path("/root/kept"), again=sys.argv[2:] == ["again"]))
