"""What is published, and what of it is being downloaded. Rules: no I/O, no clock.

A loan lives exactly as long as one transfer; while one lives, its file cannot be withdrawn (L04.FR.04). The serving
threads lend and return, the main loop publishes and withdraws: one lock makes each of these a single step, and it is
never held while anything waits.
"""

import threading
from dataclasses import dataclass, field
from enum import Enum
from itertools import count
from pathlib import PurePath
from typing import Literal

from localctl.errors import NotPublished, TransfersExhausted
from localctl.networks import Network, is_within

Protocol = Literal["http", "https", "ftp"]
_RETRY_AFTER_SECONDS = 30


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """A verified file. ``checksum`` and ``sha256`` are lower-case hex, ``published_at`` Unix seconds."""

    checksum: str
    name: str
    path: PurePath
    size: int
    sha256: str
    published_at: float


class Withdrawal(Enum):
    """What became of a request to withdraw a file (L04)."""

    WITHDRAWN = "Unpublished"
    LENT = "DownloadOngoing"
    ABSENT = "NoFirmware"


@dataclass(slots=True, eq=False)
class Loan:
    """One transfer under way; ``sent`` is kept by the thread that serves it, ``started_at`` is Unix seconds."""

    id: int
    file: PublishedFile
    protocol: Protocol
    peer: str
    started_at: float
    sent: int = 0


@dataclass(slots=True)
class Catalogue:
    """The published files and their loans. ``max_per_address`` 0: no limit; ``networks`` empty: lent to any address."""

    max_transfers: int
    max_per_address: int = 0
    networks: tuple[Network, ...] = ()
    _files: dict[str, PublishedFile] = field(default_factory=dict)
    _loans: dict[int, Loan] = field(default_factory=dict)
    _ids: "count[int]" = field(default_factory=lambda: count(1))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def reconfigure(self, max_transfers: int, max_per_address: int, networks: tuple[Network, ...]) -> None:
        """What is lent from now on; transfers under way go on."""
        with self._lock:
            self.max_transfers, self.max_per_address, self.networks = max_transfers, max_per_address, networks

    def add(self, file: PublishedFile) -> None:
        """From now on ``file`` can be lent."""
        with self._lock:
            self._files[file.checksum] = file

    def find(self, checksum: str) -> PublishedFile | None:
        """The file published under ``checksum`` (lower case), or None."""
        with self._lock:
            return self._files.get(checksum)

    def files(self) -> tuple[PublishedFile, ...]:
        """All published files, oldest first."""
        with self._lock:
            return tuple(self._files.values())

    def admits(self, peer: str) -> bool:
        """Whether anything is lent to the address ``peer``."""
        networks = self.networks  # which the main loop may put others in the place of
        return not networks or is_within(peer, networks)

    def lend(self, checksum: str, name: str, protocol: Protocol, peer: str, now: float) -> Loan:
        """Begin a transfer to the address ``peer`` at ``now`` (Unix seconds).

        Raises NotPublished, or TransfersExhausted where ``max_transfers`` or ``max_per_address`` are reached.
        """
        with self._lock:
            file = self._files.get(checksum)
            if file is None or file.name != name:
                raise NotPublished(f"nothing is published as {checksum}/{name}")
            of_peer = sum(loan.peer == peer for loan in self._loans.values()) if self.max_per_address else -1
            if len(self._loans) >= self.max_transfers or of_peer >= self.max_per_address:
                raise TransfersExhausted(_RETRY_AFTER_SECONDS)
            loan = Loan(next(self._ids), file, protocol, peer, now)
            self._loans[loan.id] = loan
            return loan

    def end(self, loan: Loan) -> None:
        """The transfer is over, however it went. Ending it twice does nothing."""
        with self._lock:
            self._loans.pop(loan.id, None)

    def loans(self) -> tuple[Loan, ...]:
        """The transfers under way, oldest first."""
        with self._lock:
            return tuple(self._loans.values())

    def withdraw(self, checksum: str) -> tuple[Withdrawal, PublishedFile | None]:
        """Stop lending the file, unless it is lent (L04.FR.01, FR.03, FR.04); the file, where it was withdrawn."""
        with self._lock:
            if checksum not in self._files:
                return Withdrawal.ABSENT, None
            if any(loan.file.checksum == checksum for loan in self._loans.values()):
                return Withdrawal.LENT, None
            return Withdrawal.WITHDRAWN, self._files.pop(checksum)

    def drop(self, checksum: str) -> PublishedFile | None:
        """Stop lending a file that is no longer whole; transfers under way keep their loans."""
        with self._lock:
            return self._files.pop(checksum, None)
