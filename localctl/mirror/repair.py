"""What follows when a published file turned out to be damaged. Rules: no I/O, no clock.

It is fetched again from where it came, as a publication that the CSMS did not ask for and hears nothing of: Published
stays true. Only where it cannot be had again is the CSMS told PublishFailed, under the requestId that it was published
for first (L03.FR.08). A file whose origin nobody knows any more cannot be had again.
"""

from typing import Final

from localctl.mirror.publication import Effect, Notify
from localctl.store.records import ENDED, NOBODY, FileRecord, Publication, State

_FAILURES: Final = frozenset({"DownloadFailed", "InvalidChecksum", "PublishFailed"})


def repairing(file: FileRecord, retries: int, now: float) -> tuple[Publication, tuple[Effect, ...]]:
    """The publication that fetches ``file`` again, with ``retries`` and begun at ``now`` (Unix seconds), and its first
    effects; one that has failed already where there is no origin.
    """
    state = State.ACCEPTED if file.location else State.PUBLISH_FAILED
    fetching = Publication(
        0, file.request_id, file.location, file.checksum, file.name, retries, None, now, state=state, repair=True
    )
    failed = (Notify("PublishFailed"),) if state in ENDED else ()
    return fetching, reported(fetching, failed)


def reported(publication: Publication, effects: tuple[Effect, ...]) -> tuple[Effect, ...]:
    """Of a step's effects those that are to be; a repair tells the CSMS of its failure alone."""
    if not publication.repair:
        return effects
    silent = tuple(effect for effect in effects if not isinstance(effect, Notify))
    failed = any(isinstance(effect, Notify) and effect.status in _FAILURES for effect in effects)
    return (Notify("PublishFailed"), *silent) if failed and publication.request_id != NOBODY else silent
