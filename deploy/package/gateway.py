"""The machine that the package is tried on: its commands, units and files. Run there, by deploy/package/trial.py."""

import asyncio
import hashlib
import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

CONFIG = Path("/etc/localctl/config.toml")
UNITS = ("localctl.service", "localctl.socket")
PATIENCE = 60.0
_ELSEWHERE = frozenset("/dev /proc /root /run /srv /sys /tmp /var/lib/dpkg /var/log".split())  # the machine's or dpkg's
_ACCOUNTS = re.compile(r"/etc/(passwd|group|shadow|gshadow|subuid|subgid|\.pwd\.lock)-?")  # the user stays
_PLAIN = {"LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive", "PATH": os.environ["PATH"], "HOME": "/root"}


class WrongStep(Exception):
    """Something did not go as it must; the sentence says what."""


def say(text: str) -> None:
    """One step."""
    print(f"  {text}", flush=True)


def must(found: object, expected: object, what: str) -> None:
    """Raises WrongStep where they differ."""
    if found != expected:
        raise WrongStep(f"{what}: {found!r} instead of {expected!r}")


@dataclass(frozen=True, slots=True)
class Done:
    """What a command said, and its exit status."""

    status: int
    said: str


async def run(*words: str, status: int | None = 0) -> Done:
    """A command's end, while the others play on. Raises WrongStep where it is not of that ``status``; None: of any."""
    process = await asyncio.create_subprocess_exec(
        *words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=_PLAIN
    )
    said, _ = await process.communicate()
    done = Done(process.returncode or 0, said.decode(errors="replace").strip())
    if status is not None and done.status != status:
        raise WrongStep(f"{' '.join(words)}: ends with {done.status}\n{done.said}")
    return done


async def shown(name: str, unit: str = "localctl.service") -> str:
    """A property of a unit."""
    return (await run("systemctl", "show", "-P", name, unit)).said


async def units(asked: str) -> list[str]:
    """What systemctl says of service and socket: ``is-active``, ``is-enabled``."""
    return (await run("systemctl", asked, *UNITS, status=None)).said.split()


async def failed_units() -> list[str]:
    """Those of the machine."""
    lines = (await run("systemctl", "list-units", "--failed", "--plain", "--no-legend")).said.splitlines()
    return [line.split()[0] for line in lines]


async def until(what: str, wanted: Callable[[Done], bool], *words: str) -> Done:
    """A command's end, once it is as wanted: it is asked again and again. Raises WrongStep."""
    done = Done(1, "")
    try:
        async with asyncio.timeout(PATIENCE):
            while not wanted(done := await run(*words, status=None)):  # noqa: ASYNC110  another process's doing
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise WrongStep(f"{what}: {' '.join(words)} ends with {done.status}\n{done.said}") from None
    return done


async def until_ready() -> str:
    """The first line of `localctl status`, once it says so. Raises WrongStep."""
    return (await until("ready", lambda done: done.status == 0, "localctl", "status")).said.splitlines()[0]


def config_as_installed() -> str:
    """Whose the configuration is, and who may read it."""
    status = CONFIG.stat()
    return f"{CONFIG.owner()}:{CONFIG.group()} {status.st_mode & 0o777:o}"


def digest(path: Path) -> str:
    """What a file holds, as a word; of a link what it leads to."""
    if path.is_symlink():
        return str(path.readlink())
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def files() -> dict[str, str]:
    """Everything on the machine that a package might leave or change; of what is in /etc, what it holds as well."""
    found: dict[str, str] = {}
    for folder, folders, names in os.walk("/"):
        folders[:] = [name for name in folders if str(Path(folder, name)) not in _ELSEWHERE]
        for name in (*folders, *names):
            path = str(Path(folder, name))
            if not _ACCOUNTS.fullmatch(path):
                found[path] = digest(Path(path)) if path.startswith("/etc/") else ""
    return found


def differences(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """What has come, gone or changed."""
    marks = dict.fromkeys(after.keys() - before.keys(), "+") | dict.fromkeys(before.keys() - after.keys(), "-")
    marks |= {path: "!" for path in before.keys() & after.keys() if before[path] != after[path]}
    return [f"{marks[path]} {path}" for path in sorted(marks)]
