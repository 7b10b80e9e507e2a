"""The archive itself: a folder of texts as ``.tar.gz``, for its owner alone. Rules: bytes out."""

import io
import re
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

MODE: Final = 0o600
_ODD: Final = re.compile(r"[^A-Za-z0-9._-]+")
_INTRODUCTION: Final = """\
A support archive of localctl, made on {date}.

Passwords and private keys are not in it: secrets, comments and unknown keys of the configuration are removed, and
credentials and queries of URLs from everything else. Names of stations, hosts and files are in it, as are addresses.

"""


@dataclass(frozen=True, slots=True)
class Part:
    """A file of the archive; ``what`` says what it is."""

    name: str
    what: str
    text: str


def folder(identity: str, moment: float) -> str:
    """The name of the folder, and of the archive; ``moment`` is Unix seconds."""
    return f"localctl-{_ODD.sub('_', identity)}-{datetime.fromtimestamp(moment, UTC):%Y%m%dT%H%M%SZ}"


def contents(parts: Sequence[Part]) -> tuple[str, ...]:
    """A line a part."""
    return tuple(f"{part.name:<22} {part.what}" for part in parts)


def packed(parts: Sequence[Part], name: str, moment: float) -> bytes:
    """The archive, with a table of its contents; ``name`` is the folder's."""
    date = datetime.fromtimestamp(moment, UTC)
    about = _INTRODUCTION.format(date=f"{date:%Y-%m-%d %H:%M:%S UTC}") + "\n".join(contents(parts)) + "\n"
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for part in (Part("README.txt", "", about), *parts):
            content = part.text.encode(errors="replace")
            member = tarfile.TarInfo(f"{name}/{part.name}")
            member.size, member.mode, member.mtime = len(content), MODE, int(moment)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()
