"""Gathering a support archive: what can be had without secrets, a note of why where something cannot. Edge."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from localctl.bundle import parts
from localctl.bundle.archive import Part
from localctl.bundle.redaction import redacted
from localctl.bundle.salvage import salvaged
from localctl.bundle.secrets import Redactor, files, stated
from localctl.config import CREDENTIAL, SERVICE_CREDENTIALS, Config, load
from localctl.errors import ConfigurationError, LocalctlError
from localctl.inquiry import ask_status

_CREDENTIALS: Final = Path(SERVICE_CREDENTIALS)
_BESIDE: Final = "csms-password"  # where setup puts it


@dataclass(frozen=True, slots=True)
class Source:
    """The configuration file: its ``text`` (empty where it cannot be read: ``fault``), and what it says."""

    path: Path
    text: str
    fault: str
    config: Config


def source(path: Path) -> Source:
    """Read the configuration, as far as it goes."""
    text, unread = "", ""
    try:
        text = path.read_bytes().decode(errors="replace")
    except OSError as fault:
        unread = f"{path} cannot be read: {fault.strerror}"
    try:
        return Source(path, text, unread, load(path, None))
    except ConfigurationError:
        return Source(path, text, unread, salvaged(text))


def gathered(origin: Source) -> Iterator[Part]:
    """Each part, without secrets."""
    redactor = Redactor([*stated(origin.text), *_kept(origin)], origin.config.controller.identity)
    for name, what, make in _table(origin, redactor):
        try:
            yield Part(name, what, redactor.text(make()))
        except (LocalctlError, OSError, ValueError) as fault:
            yield Part(f"{name}.missing", f"{what}: cannot be had", redactor.text(f"{fault}\n"))


def _table(origin: Source, redactor: Redactor) -> tuple[tuple[str, str, Callable[[], str]], ...]:
    config = origin.config
    return (
        ("config.toml", "the configuration, without comments and secrets", lambda: _configuration(origin, redactor)),
        ("check.txt", "localctl check, without the network", lambda: parts.checked(origin.path)),
        ("status.json", "the daemon's status", lambda: _status(config, redactor)),
        ("metrics.txt", "the daemon's metrics", lambda: parts.metrics(config)),
        ("log.txt", f"the daemon's log, its last {parts.LOG_LINES} lines", parts.log),
        ("service.txt", "what systemd says of it", parts.service),
        ("listeners.txt", "its addresses", lambda: parts.listeners(config)),
        ("state.txt", "what is in its state directory, names and sizes", lambda: parts.state(config)),
        ("versions.txt", "localctl, Python, libraries, system", parts.versions),
    )


def _configuration(origin: Source, redactor: Redactor) -> str:
    if origin.fault:
        raise parts.Missing(origin.fault)
    return redacted(origin.text, redactor)


def _status(config: Config, redactor: Redactor) -> str:
    return json.dumps(redactor.document(ask_status(config)), indent=2, ensure_ascii=False) + "\n"


def _kept(origin: Source) -> Iterator[str]:
    """The secrets in the files that the configuration names, and in the one that setup makes."""
    for reference in {*files(origin.text), str(origin.path.with_name(_BESIDE))}:
        name = reference.removeprefix(CREDENTIAL)
        path = Path(reference) if name == reference else _CREDENTIALS / name
        try:
            yield path.read_text(encoding="utf-8", errors="replace").strip("\r\n")
        except (OSError, ValueError):  # not there, or not for this user: then it is in no part either
            continue
