"""Values to keep, and small faults of a disk."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import md5, sha256
from pathlib import Path
from typing import Any

from localctl.store.records import FileRecord, Notification, Publication

NOW = 1_900_000_000.0
BODY = b"firmware" * 1000
CHECKSUM = md5(BODY).hexdigest()


def publication(request_id: int = 1, **changes: Any) -> Publication:
    """A publication that is not kept yet."""
    new = Publication(0, request_id, "http://user:hunter2@example.com/fw.bin", CHECKSUM, "fw.bin", 3, 60.0, NOW)
    return replace(new, **changes)


def notification(status: Any = "Downloading", request_id: int = 1, location: tuple[str, ...] = ()) -> Notification:
    """A notification that is not kept yet."""
    return Notification(0, request_id, status, location, NOW)


def file_record(**changes: Any) -> FileRecord:
    """The record of BODY."""
    record = FileRecord(CHECKSUM, "fw.bin", len(BODY), sha256(BODY).hexdigest(), "http://example.com/fw.bin", NOW)
    return replace(record, **changes)


def put(path: Path, body: bytes) -> None:
    """Make the file."""
    path.write_bytes(body)


def got(path: Path) -> bytes:
    """What is in the file."""
    return path.read_bytes()


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """No file of this process can be written beyond ``size`` bytes: the disk is full, as far as it can tell."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
