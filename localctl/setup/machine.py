"""What `localctl setup` finds on this machine, before it asks. Edge."""

import os
import shutil
import socket
import subprocess
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from localctl.checking.holders import SOCKET_UNIT, handed_over, processes_on
from localctl.config import load
from localctl.errors import ConfigurationError, SetupRefused
from localctl.lan import interface_addresses, lan_address
from localctl.setup.place import Place, Service, without_placeholders

EXAMPLE: Final = "config.example.toml"
_UNITS: Final = ("/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
_ENABLED: Final = f"/etc/systemd/system/sockets.target.wants/{SOCKET_UNIT}"
_LOW_PORTS: Final = (80, 21)
_TIMEOUT_SECONDS: Final = 5
_AS_ROOT: Final = "run this as root (sudo localctl setup)"


@dataclass(frozen=True, slots=True)
class Found:
    """The configuration that is there: its ``text`` (None: there is none) and its meaning."""

    text: str | None
    tree: Mapping[str, Any]


def example() -> str:
    """The packaged configuration: every key with its default, and what it is for."""
    installed = files("localctl") / EXAMPLE
    if installed.is_file():
        return installed.read_text(encoding="utf-8")
    return Path(__file__).parents[2].joinpath(EXAMPLE).read_text(encoding="utf-8")  # in a tree that is worked on


def existing(path: Path) -> Found:
    """The configuration at ``path``. Raises SetupRefused, and ConfigurationError where it is no TOML."""
    try:
        text = path.read_bytes().decode()
        return Found(text, tomllib.loads(text))
    except FileNotFoundError:
        return Found(None, {})
    except OSError as fault:
        raise SetupRefused(f"{path} cannot be read: {fault.strerror}; {_AS_ROOT}") from fault
    except (ValueError, RecursionError):  # not UTF-8, or no TOML: in the words of every command
        load(path, None)
        raise ConfigurationError((f"{path}: is not TOML",)) from None


def writable(path: Path) -> None:
    """Raises SetupRefused where this user could not write the file: before anything is asked."""
    folder = path.absolute().parent
    nearest = next(one for one in (folder, *folder.parents) if os.path.lexists(one))
    if not _is_folder(nearest):
        raise SetupRefused(f"{nearest} is no folder: name another file by --config")
    if os.statvfs(nearest).f_flag & os.ST_RDONLY:
        raise SetupRefused(f"{nearest} is on a disk that is shut for writing: open it (mount -o remount,rw)")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise SetupRefused(
            f"{nearest} may not be written to by this user: {_AS_ROOT}, or name another file by --config"
        )
    if _is_folder(path):  # asked last: only who may enter its folder is told
        raise SetupRefused(f"{path} is a folder: name the file in it")


def _is_folder(path: Path) -> bool:
    """Whether it is one, as far as this user is told."""
    return os.path.isdir(path)  # noqa: PTH112  Path.is_dir raises where a folder on the way may not be entered


def place(found: Found) -> Place:
    """What is known before anything is asked."""
    host = socket.gethostname().partition(".")[0]
    first = lan_address()
    others = (address for address in interface_addresses() if address != first)
    return Place(
        without_placeholders(found.tree, tomllib.loads(example())),
        "" if host == "localhost" else host,
        () if first.startswith("127.") else (first, *others),
        _is_installed(SOCKET_UNIT) and not _taken(),
    )


def service(booted: Path = Path("/run/systemd/system")) -> Service:
    """What systemd knows of us."""
    active = booted.is_dir() and _is_active()
    enabled = Path(_ENABLED).is_symlink()
    return Service(booted.is_dir(), _is_installed("localctl.service"), _is_installed(SOCKET_UNIT), enabled, active)


def _is_installed(unit: str) -> bool:
    return any(Path(folder, unit).exists() for folder in _UNITS)


def _taken() -> bool:
    """Whether a program that is not systemd, in our name, listens on a port that would be ours; root alone is told."""
    handed = handed_over()
    ours = handed.ports if handed.held else frozenset()
    return any(port not in ours and processes_on(port) for port in _LOW_PORTS)


def _is_active() -> bool:
    systemctl = shutil.which("systemctl")
    if systemctl is None:
        return False
    command = [systemctl, "is-active", "--quiet", "localctl.service"]
    try:
        done = subprocess.run(command, timeout=_TIMEOUT_SECONDS, check=False, capture_output=True)  # noqa: S603  our words
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
