"""What the daemon gives to the admin room: what it shows, and what a person may have it do. All are callables."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from prometheus_client import CollectorRegistry

from localctl.admin.stream import Document

Published = tuple[str, tuple[str, ...]]  # checksum and URIs


@dataclass(frozen=True, slots=True)
class Views:
    """What the daemon shows. ``unhealthy`` and ``unready`` are reasons, empty where there is none; ``summary`` is the
    status document without the stations, which ``stations`` gives one by one.
    """

    unhealthy: Callable[[], tuple[str, ...]]
    unready: Callable[[], tuple[str, ...]]
    summary: Callable[[], Document]
    stations: Callable[[], Iterator[Document]]
    refresh: Callable[[], None]
    registry: CollectorRegistry


class Errand(Protocol):
    """A download for somebody who waits for it."""

    def progress(self) -> Document:
        """How far it is."""

    async def run(self) -> Published:
        """Take it to its end. Raises LocalctlError."""


@dataclass(frozen=True, slots=True)
class Hands:
    """``receive`` takes blocks, their number of bytes where it is known, a name and an MD5, both of which may be empty;
    ``fetch`` a location, a name and an MD5; ``withdraw`` a checksum, and returns an UnpublishFirmware's status. All
    raise LocalctlError.
    """

    receive: Callable[[AsyncIterator[bytes], int | None, str, str], Awaitable[Published]]
    fetch: Callable[[str, str, str], Errand]
    withdraw: Callable[[str], Awaitable[str]]
