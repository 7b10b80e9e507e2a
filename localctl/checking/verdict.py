"""What is said of a thing that was tried, and how days and sizes are written in it."""

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was tried; ``advice`` is empty where there is nothing to do."""

    verdict: Literal["ok", "warn", "FAIL"]
    what: str
    advice: str = ""


def open_to_all(key: str, name: str) -> Iterator[Check]:
    """A warning where every user of this machine can read a file with secrets in it."""
    path = Path(name)
    try:
        found = path.stat().st_mode
    except OSError:  # not there, or in a folder that is not for us: told by whoever reads it
        return
    if stat.S_ISREG(found) and found & 0o007:
        advice = f"Let only localctl's user read it (chmod 0640 {path})."
        yield Check("warn", f"{key}: {path} can be read by everyone", advice)


def day(moment: float) -> str:
    """The day of Unix seconds, UTC."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d")


def size(count: int) -> str:
    """So many bytes, as people say them."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
