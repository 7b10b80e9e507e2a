"""Names of files and addresses of firmware. Rules: text in, text out.

A published name is ``[A-Za-z0-9._-]{1,100}`` and never begins with a dot; a published path is ``/firmware/MD5/NAME``
(``interface.md``, Published URIs). What a station asks for is compared with such paths and never joined to a folder.
"""

import re
from typing import Final
from urllib.parse import unquote, urlsplit

FALLBACK: Final = "firmware.bin"
PREFIX: Final = "firmware"
SCHEME_PORTS: Final = {"http": 80, "https": 443, "ftp": 21}
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")
_CHECKSUM: Final = re.compile(r"[0-9a-fA-F]{32}")
_NAME: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")


def safe_name(location: str) -> str:
    """The published name of what ``location`` (a URL or a path) points to: its last segment made safe."""
    try:
        path = urlsplit(location).path
    except ValueError:
        return FALLBACK
    last = unquote(path.rpartition("/")[2], errors="replace").replace("\\", "/").rpartition("/")[2]
    name = _UNSAFE.sub("_", last).lstrip(".")
    if not name.strip("._-"):
        return FALLBACK
    stem, dot, ending = name.rpartition(".")
    if len(name) > 100 and dot and 0 < len(ending) <= 16:  # an odd station looks at the ending
        return f"{stem[: 99 - len(ending)]}.{ending}"
    return name[:100]


def is_checksum(text: str) -> bool:
    """Whether ``text`` is an MD5: 32 hexadecimal digits, either case."""
    return _CHECKSUM.fullmatch(text) is not None


def is_name(text: str) -> bool:
    """Whether ``text`` could be a published name."""
    return _NAME.fullmatch(text) is not None


def published_path(checksum: str, name: str) -> str:
    """The path under which a file is served, the same over every protocol."""
    return f"/{PREFIX}/{checksum}/{name}"


def published_uri(scheme: str, host: str, port: int, checksum: str, name: str) -> str:
    """The URI that stations are told (L03.FR.04); the port is left out where it is the scheme's own."""
    shown = f"[{host}]" if ":" in host else host
    if port != SCHEME_PORTS[scheme]:
        shown = f"{shown}:{port}"
    return f"{scheme}://{shown}{published_path(checksum, name)}"
