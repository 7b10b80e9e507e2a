"""What every job works with: the parts that publications share. Edge, and no code of its own."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from localctl.mirror.download import Downloading
from localctl.mirror.gate import Gate
from localctl.mirror.locations import Locations
from localctl.store.catalogue import Catalogue
from localctl.store.database import Database
from localctl.store.records import Notification
from localctl.store.shelf import Shelf


@dataclass(frozen=True, slots=True)
class Workshop:
    """One for all publications.

    ``uris`` turns a checksum and a name into one URI a listener (L03.FR.04); ``notify`` hands notifications that are
    kept to the uplink; ``now`` is Unix seconds, ``random`` between 0 and 1.
    """

    database: Database
    shelf: Shelf
    catalogue: Catalogue
    downloading: Downloading
    slots: asyncio.Semaphore
    gate: Gate
    uris: Callable[[str, str], tuple[str, ...]]
    notify: Callable[[Iterable[Notification]], None]
    now: Callable[[], float]
    random: Callable[[], float]
    locations: Locations = field(default_factory=Locations)
