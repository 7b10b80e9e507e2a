"""What a request for a published file is answered with: status, headers, and which bytes. Rules: no I/O.

Preconditions are weighed in the order of RFC 9110 13.2.2, and one range is given out, to GET only (14.2). Several
ranges, a malformed one, or one with a validator that does not hold are answered with the whole file: a station that
gets more than it asked for still ends with the right bytes. What is published under a checksum never changes, so the
ETag is the checksum, and strong, and Last-Modified is as good as it.
"""

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate, parsedate
from typing import Final

from localctl.store.catalogue import PublishedFile

METHODS: Final = ("GET", "HEAD")
CONSULTED: Final = ("If-Match", "If-Unmodified-Since", "If-None-Match", "If-Modified-Since", "If-Range", "Range")
_RANGE: Final = re.compile(r"bytes\s*=\s*(?:(\d{1,50})-(\d{0,50})|-(\d{1,50}))\s*", re.ASCII | re.IGNORECASE)
_TAG: Final = re.compile(r'(W/)?"([^"]*)"')


@dataclass(frozen=True, slots=True)
class Answer:
    """``count`` bytes of the file from ``start`` are the body; 0: there is none."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    start: int = 0
    count: int = 0


def answer(method: str, asked: Mapping[str, str], file: PublishedFile) -> Answer:
    """What to answer; ``asked`` holds the request's headers out of CONSULTED, by these names."""
    if method not in METHODS:
        return Answer(405, {"Allow": ", ".join(METHODS)})
    if not _may_go_on(asked, file):
        return Answer(412)
    if _is_known(asked, file):
        return Answer(304, _validators(file))
    part = _part(asked, file) if method == "GET" else None
    if part is None:
        return Answer(200, _described(file, file.size), 0, file.size if method == "GET" else 0)
    start, count = part
    if count == 0:
        return Answer(416, {"Content-Range": f"bytes */{file.size}", "Accept-Ranges": "bytes"})
    content_range = f"bytes {start}-{start + count - 1}/{file.size}"
    return Answer(206, {**_described(file, count), "Content-Range": content_range}, start, count)


def one_range(text: str, size: int) -> tuple[int, int] | None:
    """Start and count of the one range that ``text`` asks for; count 0: unsatisfiable; None: to be ignored."""
    match = _RANGE.fullmatch(text)
    if match is None:
        return None
    first, last, suffix = match.groups()
    if suffix is not None:
        count = min(int(suffix), size)
        return size - count, count
    start = int(first)
    end = min(int(last), size - 1) if last else size - 1
    if last and int(last) < start:
        return None
    return start, max(0, end + 1 - start)


def etag(file: PublishedFile) -> str:
    """The strong validator of the file."""
    return f'"{file.checksum}"'


def _may_go_on(asked: Mapping[str, str], file: PublishedFile) -> bool:
    if "If-Match" in asked:
        return _matches(asked["If-Match"], file, weak=False)
    since = _date(asked.get("If-Unmodified-Since", ""))
    return since is None or _modified(file) <= since


def _is_known(asked: Mapping[str, str], file: PublishedFile) -> bool:
    if "If-None-Match" in asked:
        return _matches(asked["If-None-Match"], file, weak=True)
    since = _date(asked.get("If-Modified-Since", ""))
    return since is not None and _modified(file) <= since


def _part(asked: Mapping[str, str], file: PublishedFile) -> tuple[int, int] | None:
    if "Range" not in asked:
        return None
    validator = asked.get("If-Range")
    if validator is not None and validator.strip() != etag(file) and _date(validator) != _modified(file):
        return None
    return one_range(asked["Range"], file.size)


def _matches(text: str, file: PublishedFile, *, weak: bool) -> bool:
    if text.strip() == "*":
        return True
    return any(tag == file.checksum and (weak or not mark) for mark, tag in _TAG.findall(text))


def _date(text: str) -> int | None:
    """The Unix seconds of an HTTP date in any of its three formats; None where it is none."""
    try:
        parts = parsedate(text)
        return None if parts is None else int(datetime(*parts[:6], tzinfo=UTC).timestamp())
    except (ValueError, TypeError, IndexError, OverflowError):  # parsedate and datetime on what is no date
        return None


def _modified(file: PublishedFile) -> int:
    return int(file.published_at)


def _validators(file: PublishedFile) -> dict[str, str]:
    return {"ETag": etag(file), "Last-Modified": formatdate(_modified(file), usegmt=True)}


def _described(file: PublishedFile, length: int) -> dict[str, str]:
    digest = b64encode(bytes.fromhex(file.sha256)).decode()
    return {
        **_validators(file),
        "Accept-Ranges": "bytes",
        "Content-Length": str(length),
        "Content-Type": "application/octet-stream",
        "Content-Disposition": f"attachment; filename={file.name}",
        "X-Content-Type-Options": "nosniff",
        "Repr-Digest": f"sha-256=:{digest}:",  # RFC 9530: of the whole file, in a 206 as well
    }
