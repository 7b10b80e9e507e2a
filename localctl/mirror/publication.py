"""One publication, from PublishFirmware to its end. Rules: no I/O, no clock, no randomness.

``step`` takes a publication and what happened, and returns the publication as it is now and what is to be done. What
comes next follows from the state alone, so that a restart goes on from what the database holds. Every new state is
reported (L03.FR.01) in the same breath in which it is recorded. A step that the table lacks is a fault of ours:
IllegalStep.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from localctl.errors import IllegalStep
from localctl.ocpp.messages import PublishStatus
from localctl.store.records import Publication, Resume, State

# What happened.


@dataclass(frozen=True, slots=True)
class Awaited:
    """No slot is free, another publication fetches the same file or location, or the download window is closed, be it
    in the middle of a download: no try is spent.
    """


@dataclass(frozen=True, slots=True)
class Begun:
    """The download begins or goes on."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """All that the origin sent is on the disk; ``doubtful`` where it is made of more than one response, or of one whose
    end nothing marked: a wrong MD5 is then the transfer's fault as likely as the file's.
    """

    md5: str
    doubtful: bool


@dataclass(frozen=True, slots=True)
class FetchFailed:
    """A try ended without the file; ``final`` where asking again is in vain."""

    final: bool


@dataclass(frozen=True, slots=True)
class FileStored:
    """The verified file is in its place."""


@dataclass(frozen=True, slots=True)
class Damaged:
    """After a restart, what had been verified is not whole any more."""


@dataclass(frozen=True, slots=True)
class StoringFailed:
    """The verified file cannot be put in its place, or there is no listener to serve it."""


@dataclass(frozen=True, slots=True)
class AlreadyPublished:
    """The same checksum is published already."""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The CSMS withdrew it before its bytes flowed."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A fault of ours ended the work on it."""


Event = (
    Awaited
    | Begun
    | Fetched
    | FetchFailed
    | FileStored
    | Damaged
    | StoringFailed
    | AlreadyPublished
    | Cancelled
    | Broken
)


# What is to be done.


@dataclass(frozen=True, slots=True)
class Notify:
    """Report this status (L03.FR.01); Published carries the URIs (L03.FR.04)."""

    status: PublishStatus


@dataclass(frozen=True, slots=True)
class Discard:
    """Throw the partial file away."""


Effect = Notify | Discard
Step = tuple[Publication, tuple[Effect, ...]]


def step(publication: Publication, event: Event) -> Step:
    """The next state and its effects. Raises IllegalStep."""
    rule = _TABLE.get((publication.state, type(event)))
    if rule is None:
        raise IllegalStep(publication.state.value, type(event).__name__)
    return rule(publication, event)


def unreported(state: State) -> str:
    """How a publication ended, for the metrics, where the CSMS is not told: a cancelled one, or a repair."""
    match state:
        case State.PUBLISHED:
            return "Published"
        case State.CANCELLED:
            return "cancelled"
        case _:
            return "PublishFailed"


def _to(state: State, *effects: Effect) -> Callable[[Publication, Event], Step]:
    return lambda publication, _event: (replace(publication, state=state), effects)


def _fetched(publication: Publication, event: Event) -> Step:
    """L03.FR.02, FR.07: the MD5 of the whole file decides; a doubtful one is given one more chance, from its start."""
    assert isinstance(event, Fetched)  # noqa: S101  the table's key
    if event.md5 == publication.checksum:
        verified = (Notify("Downloaded"), Notify("ChecksumVerified"))
        return replace(publication, state=State.VERIFIED), verified
    if event.doubtful and not publication.restarted:
        return replace(publication, restarted=True, resume=Resume()), (Discard(),)
    failed = (Notify("Downloaded"), Notify("InvalidChecksum"), Discard())
    return replace(publication, state=State.INVALID_CHECKSUM), failed


def _failed(publication: Publication, event: Event) -> Step:
    """L03.FR.06: DownloadFailed once all tries are spent."""
    assert isinstance(event, FetchFailed)  # noqa: S101
    tried = replace(publication, failures=publication.failures + 1)
    if event.final or tried.failures > tried.retries:
        return replace(tried, state=State.DOWNLOAD_FAILED), (Notify("DownloadFailed"), Discard())
    return replace(tried, state=State.PAUSED), (Notify("DownloadPaused"),)


_begun = _to(State.DOWNLOADING, Notify("Downloading"))
_already = _to(State.PUBLISHED, Discard(), Notify("Published"))
_cancelled = _to(State.CANCELLED, Discard())
_broken = _to(State.DOWNLOAD_FAILED, Notify("DownloadFailed"), Discard())
_unplaced = _to(State.PUBLISH_FAILED, Notify("PublishFailed"), Discard())

_TABLE: Final[dict[tuple[State, type[Event]], Callable[[Publication, Event], Step]]] = {
    (State.ACCEPTED, Awaited): _to(State.SCHEDULED, Notify("DownloadScheduled")),
    (State.ACCEPTED, Begun): _begun,
    (State.ACCEPTED, AlreadyPublished): _already,
    (State.ACCEPTED, Cancelled): _cancelled,
    (State.ACCEPTED, Broken): _broken,
    (State.SCHEDULED, Begun): _begun,
    (State.SCHEDULED, AlreadyPublished): _already,
    (State.SCHEDULED, Cancelled): _cancelled,
    (State.SCHEDULED, Broken): _broken,
    (State.DOWNLOADING, Awaited): _to(State.PAUSED, Notify("DownloadPaused")),
    (State.DOWNLOADING, Fetched): _fetched,
    (State.DOWNLOADING, FetchFailed): _failed,
    (State.DOWNLOADING, AlreadyPublished): _already,
    (State.DOWNLOADING, Broken): _broken,
    (State.PAUSED, Begun): _begun,
    (State.PAUSED, AlreadyPublished): _already,
    (State.PAUSED, Cancelled): _cancelled,
    (State.PAUSED, Broken): _broken,
    (State.VERIFIED, Damaged): _to(State.DOWNLOADING, Discard(), Notify("Downloading")),
    (State.VERIFIED, FileStored): _to(State.PUBLISHED, Notify("Published")),
    (State.VERIFIED, StoringFailed): _unplaced,
    (State.VERIFIED, AlreadyPublished): _already,
    (State.VERIFIED, Broken): _unplaced,
}
