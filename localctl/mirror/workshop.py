"""What every job works with: the parts that publications share. Edge: it holds them and hands them new settings."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from localctl.config import Firmware
from localctl.errors import StorageError
from localctl.mirror.download import Downloading
from localctl.mirror.gate import Gate
from localctl.mirror.locations import Locations
from localctl.mirror.slots import Slots
from localctl.store.catalogue import Catalogue
from localctl.store.database import Database
from localctl.store.records import Notification
from localctl.store.shelf import Shelf


@dataclass(frozen=True, slots=True)
class Workshop:
    """One for all publications.

    ``uris`` turns a checksum and a name into one URI a listener (L03.FR.04); ``notify`` hands notifications that are
    kept to the uplink; ``now`` is Unix seconds, ``random`` between 0 and 1; ``failed`` is told what the disk failed.
    """

    database: Database
    shelf: Shelf
    catalogue: Catalogue
    downloading: Downloading
    slots: Slots
    gate: Gate
    uris: Callable[[str, str], tuple[str, ...]]
    notify: Callable[[Iterable[Notification]], None]
    now: Callable[[], float]
    random: Callable[[], float]
    failed: Callable[[StorageError], None]
    locations: Locations = field(default_factory=Locations)

    @property
    def settings(self) -> Firmware:
        """Those of now."""
        return self.downloading.settings

    def reconfigure(self, settings: Firmware) -> None:
        """By these from now on. What has begun goes on; where there are more downloads than places, none follows."""
        self.downloading.reconfigure(settings)
        self.slots.reconfigure(settings.max_concurrent_downloads)
        self.gate.window = settings.download_window
