"""Where a fetched file goes in the tests of origins."""

from dataclasses import dataclass, field

from localctl.store.records import Resume


@dataclass
class Bucket:
    """A sink that keeps what it is told."""

    begun: list[Resume] = field(default_factory=list)
    delimited: bool | None = None
    data: bytearray = field(default_factory=bytearray)
    dropped: int = 0

    async def begin(self, expected: Resume, *, delimited: bool) -> None:
        """Note it."""
        self.begun.append(expected)
        self.delimited = delimited

    async def take(self, data: bytes) -> None:
        """Keep it."""
        self.data += data

    async def drop(self) -> None:
        """Note it."""
        self.dropped += 1
