"""The parts of a support archive, as this machine has them. Edge: each reads and decides nothing.

What cannot be had is raised as Missing, or as the error that it is; ``collect`` makes a note of it.
"""

import os
import platform
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from importlib.metadata import distributions
from pathlib import Path
from typing import Final

from localctl.config import Config
from localctl.errors import LocalctlError
from localctl.inquiry import ask_metrics, bound

UNITS: Final = ("localctl.service", "localctl.socket")
LOG_LINES: Final = 5000
MOST_FILES: Final = 10000  # of the state directory
_TIMEOUT_SECONDS: Final = 60


class Missing(LocalctlError):
    """A part that cannot be had; the text says why."""


def checked(path: Path) -> str:
    """What `localctl check` says, without the network."""
    # -P: whoever may write into the folder that root stands in must not have modules of theirs imported
    command = [sys.executable, "-P", "-m", "localctl", "check", "--offline", "--config", str(path)]
    status, said, faults = _run(command)
    return f"{said}{faults}exit status {status}\n"


def metrics(config: Config) -> str:
    """The daemon's metrics."""
    return ask_metrics(config)


def log() -> str:
    """The last of the daemon's log."""
    command = ["journalctl", "-u", "localctl", "-n", str(LOG_LINES), "--no-pager", "--output=short-iso"]
    status, said, faults = _run(command)
    if status or not said.strip() or "-- No entries --" in said:
        raise Missing(faults.strip() or "the journal has no entry of localctl that this user may read")
    return said + faults


def service() -> str:
    """What systemd says of our units."""
    _, said, faults = _run(["systemctl", "status", "--no-pager", "--full", "--lines=0", *UNITS])
    if not said:
        raise Missing(faults.strip() or "systemctl says nothing")
    return said + faults


def versions() -> str:
    """localctl, Python, what is installed with it, and the system."""
    installed = sorted(f"{each.metadata['Name']} {each.version}" for each in distributions())
    system = {
        "Python": f"{platform.python_version()} ({sys.executable})",
        "OpenSSL": ssl.OPENSSL_VERSION,
        "kernel": " ".join(platform.uname()[:5:2] + platform.uname()[3:4]),
        "load": Path("/proc/loadavg").read_text(encoding="ascii").strip(),
        "up for seconds": Path("/proc/uptime").read_text(encoding="ascii").split()[0],
        "user": str(os.geteuid()),
    }
    told = [f"{name}: {value}" for name, value in system.items()]
    return "\n".join([*told, "", *_system(), "", *installed, ""])


def state(config: Config) -> str:
    """What is in the state directory, with sizes; none of it is opened."""
    folder = Path(config.controller.state_dir)
    next(folder.iterdir(), None)  # that it is missing, or not for this user, is an error; of folders in it, a gap
    lines = []
    for path in sorted(folder.rglob("*"))[:MOST_FILES]:
        try:
            status = path.lstat()
        except FileNotFoundError:  # the daemon goes on
            continue
        changed = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(status.st_mtime))
        lines.append(f"{status.st_mode:o} {status.st_size:>12} {changed} {path.relative_to(folder)}")
    usage = shutil.disk_usage(folder)
    return "\n".join([f"{folder}: {usage.free} bytes free of {usage.total}", "", *lines, ""])


def listeners(config: Config) -> str:
    """The addresses that are configured, and those that the daemon has bound."""
    asked = [f"configured  {key} {address}" for key, address in config.listeners().items()]
    told: Mapping[str, str] = {}
    why = ""
    try:
        told = bound(config)
    except (OSError, ValueError) as fault:
        why = f"bound: not known: {fault}"
    return "\n".join([*asked, *(f"bound       {name} {address}" for name, address in told.items()), why, ""])


def _system() -> Iterator[str]:
    """The system's own words; a gap where it has none."""
    for path in (Path("/etc/os-release"), Path("/proc/meminfo")):
        try:
            yield from path.read_text(encoding="utf-8").splitlines()[:12]
        except OSError as fault:
            yield f"{path}: {fault.strerror}"
    try:
        yield _run(["systemctl", "--version"])[1].partition("\n")[0]
    except Missing as fault:
        yield str(fault)


def _run(command: list[str]) -> tuple[int, str, str]:
    """The exit status of a program, and what it said."""
    program = shutil.which(command[0])
    if program is None:
        raise Missing(f"there is no {command[0]} here")
    environ = {**os.environ, "LC_ALL": "C", "NO_COLOR": "1"}
    try:
        done = subprocess.run(  # noqa: S603  our own words
            [program, *command[1:]], capture_output=True, check=False, timeout=_TIMEOUT_SECONDS, env=environ,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise Missing(f"{command[0]} did not end within {_TIMEOUT_SECONDS} s") from None
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
