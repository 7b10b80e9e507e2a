"""What a path that a station asks for means. Rules: text in, what the catalogue holds out.

A path is compared with what is published and never joined to a folder, so nothing in it (dots, NUL, percent signs)
can lead anywhere else. The folders that an FTP client walks are made up here from the catalogue as well; the checksum
may be written in either case.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from localctl.store.catalogue import Catalogue, PublishedFile
from localctl.store.names import PREFIX, is_checksum

_ORIGIN: Final = re.compile(r"https?://[^/?#]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that FTP clients see: the names in it, and when it last changed (Unix seconds)."""

    names: Sequence[str]
    changed_at: float


def path_of(target: str) -> str:
    """The path of an HTTP request target; a client that takes us for a proxy sends the whole URL (RFC 9112 3.2.2)."""
    return _ORIGIN.sub("", target, count=1) if _ORIGIN.match(target) else target


def find_file(catalogue: Catalogue, path: str) -> PublishedFile | None:
    """The file published at ``/firmware/MD5/NAME``; None for any other path."""
    entry = find(catalogue, path) if path.count("/") == 3 else None
    return entry if isinstance(entry, PublishedFile) else None


def find(catalogue: Catalogue, path: str) -> PublishedFile | Folder | None:
    """The file or the folder at an absolute ``path`` without ``.`` and ``..`` in it; None where there is nothing."""
    match path.strip("/").split("/") if path.startswith("/") else ():
        case [""]:
            return Folder((PREFIX,), _latest(catalogue.files()))
        case [prefix] if prefix == PREFIX:
            files = catalogue.files()
            return Folder([file.checksum for file in files], _latest(files))
        case [prefix, checksum, *name] if prefix == PREFIX and is_checksum(checksum):
            file = catalogue.find(checksum.lower())
            if file is None or name not in ([], [file.name]):
                return None
            return file if name else Folder((file.name,), file.published_at)
    return None


def _latest(files: Sequence[PublishedFile]) -> float:
    return max((file.published_at for file in files), default=0.0)
