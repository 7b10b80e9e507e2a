"""What a client of origins gives the bytes of a file to."""

from typing import Protocol

from localctl.store.records import Resume


class Sink(Protocol):
    """Where the bytes go. Its methods raise what must end the try."""

    async def begin(self, expected: Resume, *, delimited: bool) -> None:
        """Bytes from ``expected.offset`` on follow, of a file of ``expected.total`` bytes where that is known;
        ``delimited`` where an end that comes too early will be noticed.
        """

    async def take(self, data: bytes) -> None:
        """The next bytes."""

    async def drop(self) -> None:
        """What was collected is of another file: forget it."""
