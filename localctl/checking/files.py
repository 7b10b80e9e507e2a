"""The files that the configuration names, and itself: who can read them, the daemon's user and nobody else. Edge."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from localctl.checking.access import User, may
from localctl.checking.verdict import Check, open_to_all
from localctl.config import Config, Section

_SECRET: Final = ("key_file", "password_file")
_ELSEWHERE: Final = "stations.password_file"  # looked at with what is in it


def of_files(config: Config, path: Path | None, user: User | None) -> Iterator[Check]:
    """What is wrong with who can read what. ``path`` is the configuration's own; ``user`` the daemon's."""
    files = dict(named(config))
    for key, name in files.items():
        if key.endswith(_SECRET) and key != _ELSEWHERE:
            yield from open_to_all(key, name)
    if path and any(inline(config)):
        yield from open_to_all("configuration", str(path))
    if user:
        own = {"configuration": str(path)} if path else {}
        for key, name in (own | files).items():
            yield from _readable(key, Path(name), user)


def named(section: Section, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Each key that names a file, and the path; what systemd passes as a credential is its own affair."""
    for key, value in section:
        if isinstance(value, Section):
            yield from named(value, f"{prefix}{key}.")
        elif key.endswith("_file") and value and not value.startswith(("credential:", "/run/credentials/")):
            yield prefix + key, value


def inline(section: Section) -> Iterator[str]:
    """Each key whose secret stands in the file itself rather than in one that ``…_file`` names."""
    for key, value in section:
        if isinstance(value, Section):
            yield from inline(value)
        elif isinstance(value, SecretStr) and value.get_secret_value() and not getattr(section, f"{key}_file", ""):
            yield key


def _readable(key: str, path: Path, user: User) -> Iterator[Check]:
    try:
        if may(user, path, "read"):
            return
    except OSError:  # told by whoever reads it
        return
    advice = (
        f"Put it where the others are (install -m 0640 -g {user.name} {path} /etc/localctl/) and name it there; "
        f"or let its group read it (chgrp {user.name} {path}; chmod 0640 {path}) and enter its folder."
    )
    yield Check("FAIL", f"{key}: {path} cannot be read by {user.name}, as whom the daemon runs", advice)
