"""Whose turn it is to fetch a location. Edge: tasks wait here.

One publication at a time fetches a location, in the order in which they came. What it fetched and has no use for may be
what one that waits has asked for, as where the CSMS corrects a checksum: that one is given the bytes and need not ask
the origin. Whoever is given nothing fetches for itself, for the file behind a location may be another by then.

Locations are compared as they are spelt, credentials included. Nothing is kept of one that nobody fetches.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from localctl.store.intake import Digests
from localctl.store.records import Publication


@dataclass(eq=False, slots=True)
class Turn:
    """A publication's place in the line. ``called`` is set when it is the first, or was given the whole file as its
    partial one, which is then what ``digests`` says.
    """

    publication: Publication
    called: asyncio.Event = field(default_factory=asyncio.Event)
    digests: Digests | None = None
    left: bool = False

    def waits(self) -> bool:
        """Whether it stands in the line, and is not called yet."""
        return not self.left and not self.called.is_set()

    def give(self, digests: Digests) -> None:
        """The file is there."""
        self.digests = digests
        self.called.set()


class Locations:
    """A line for each location."""

    def __init__(self) -> None:
        self._lines: dict[str, list[Turn]] = {}

    @contextmanager
    def join(self, publication: Publication) -> Iterator[Turn]:
        """Stand in the line of its location; the caller waits until it is ``called``."""
        line = self._lines.setdefault(publication.location, [])
        turn = Turn(publication)
        line.append(turn)
        line[0].called.set()
        try:
            yield turn
        finally:
            turn.left = True
            line.remove(turn)
            if line:
                line[0].called.set()
            else:
                del self._lines[publication.location]

    def heir(self, location: str, md5: str) -> Turn | None:
        """Who waits for ``location`` and asked for the file with that MD5, and has nothing of it yet: a part of its own
        and what it knows of that belong together.
        """
        for turn in self._lines.get(location, ()):
            wanted = turn.publication.checksum == md5 and not turn.publication.resume.offset
            if wanted and turn.waits():
                return turn
        return None
