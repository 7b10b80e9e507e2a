"""What the database keeps, as values. Rules: no I/O.

A location may carry credentials: it is left out of every repr, and forgotten with the end of its publication.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from localctl.ocpp.messages import PublishStatus


class State(Enum):
    """Where a publication stands; the values are what the database keeps."""

    ACCEPTED = "accepted"
    SCHEDULED = "scheduled"
    DOWNLOADING = "downloading"
    PAUSED = "paused"
    VERIFIED = "verified"
    PUBLISHED = "published"
    DOWNLOAD_FAILED = "download_failed"
    INVALID_CHECKSUM = "invalid_checksum"
    PUBLISH_FAILED = "publish_failed"
    CANCELLED = "cancelled"


ENDED: Final = frozenset(
    {State.PUBLISHED, State.DOWNLOAD_FAILED, State.INVALID_CHECKSUM, State.PUBLISH_FAILED, State.CANCELLED}
)
NOBODY: Final = -(2**62)  # the requestId of a file that was published for no request that is known; OCPP's have 32 bits
FLOWING: Final = frozenset({State.DOWNLOADING, State.VERIFIED})  # L04.FR.04: its bytes are flowing to us


@dataclass(frozen=True, slots=True)
class Resume:
    """How far a partial file goes, durably, and what proves that the origin still has the same file.

    ``offset`` and ``total`` are bytes; ``validator`` is a strong ETag, a Last-Modified date, FTP's MDTM, or empty.
    """

    offset: int = 0
    total: int | None = None
    validator: str = ""


@dataclass(frozen=True, slots=True)
class Publication:
    """One PublishFirmware. ``id`` is 0 until it is kept; ``checksum`` is lower case; ``interval`` is the CSMS's
    retryInterval in seconds; ``failures`` counts tries; ``restarted`` tells that a file put together from several
    responses was dropped once; ``created_at`` is Unix seconds; a ``repair`` is ours, for a published file that was
    found damaged.
    """

    id: int
    request_id: int
    location: str = field(repr=False)
    checksum: str
    name: str
    retries: int
    interval: float | None
    created_at: float
    state: State = State.ACCEPTED
    failures: int = 0
    restarted: bool = False
    resume: Resume = Resume()
    repair: bool = False


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A published file; ``location`` is where to fetch it again, empty where that is not known; ``request_id`` is that
    of the request that it was first published for.
    """

    checksum: str
    name: str
    size: int
    sha256: str
    location: str = field(repr=False)
    published_at: float
    request_id: int = NOBODY


@dataclass(frozen=True, slots=True)
class Notification:
    """A PublishFirmwareStatusNotification that waits for the CSMS; ``id`` is 0 until it is kept."""

    id: int
    request_id: int
    status: PublishStatus
    location: tuple[str, ...]
    created_at: float


@dataclass(frozen=True, slots=True)
class LastSent:
    """The last status that the CSMS has answered (L03.FR.10, FR.11)."""

    request_id: int
    status: PublishStatus


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that was kept, at start: publications that have not ended, oldest first, and the rest."""

    publications: tuple[Publication, ...]
    files: tuple[FileRecord, ...]
    outbox: tuple[Notification, ...]
    last_sent: LastSent | None
