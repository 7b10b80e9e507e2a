"""One transfer to a station, from its loan to its end: the same for every protocol.

A transfer is over when the station's kernel has acknowledged its last byte, not when ours has taken it: a slow station
that still receives what our kernel holds is downloading (L04.FR.04). It is ended when nothing has been acknowledged
for ``idle_timeout`` seconds, so that a station that went silent does not hold a file for ever; a slow one goes on.
"""

import errno
import logging
import time
from collections.abc import Callable
from io import FileIO
from typing import Final, Literal

from localctl.errors import NotAdmitted, NotPublished, TransfersExhausted
from localctl.metrics import Metrics
from localctl.networks import plain_address
from localctl.seldom import Seldom
from localctl.serve import paths
from localctl.serve.opening import open_published
from localctl.serve.sealed import opened
from localctl.store.catalogue import Catalogue, Loan, Protocol, PublishedFile
from localctl.wire import tcp

Result = Literal["complete", "aborted", "idle"]
Refusal = Literal["not_found", "busy", "busy_address", "network", "stopping"]
RETRY_AFTER_SECONDS: Final = 30
FIRST_LOOK_SECONDS: Final = 0.001  # between looks whether the last byte is acknowledged, doubled
LONGEST_LOOK_SECONDS: Final = 0.1
_ABSENT: Final = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.EISDIR)
EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
_log = logging.getLogger("localctl.serve")


class Lending:
    """What one listener lends. One thread uses it, but for ``refuse``, ``refusing`` and ``idle_timeout``, which any
    thread may set; times are in seconds.
    """

    def __init__(
        self,
        protocol: Protocol,
        catalogue: Catalogue,
        metrics: Metrics,
        idle_timeout: float,
        now: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.catalogue = catalogue
        self.idle_timeout = idle_timeout
        self.refusing = False
        self.running: set[Transfer] = set()
        self.on_end: Callable[[], None] = lambda: None
        self.metrics = metrics
        self.protocol = protocol
        self.clock = clock
        self._now = now
        self._strangers = Seldom(clock)

    @property
    def sweep_interval(self) -> float:
        """How often to sweep."""
        return min(1.0, self.idle_timeout / 4)

    def refuse(self) -> None:
        """From now on nothing more is lent; what runs goes on."""
        self.refusing = True

    def admit(self, peer: str) -> None:
        """Raises NotAdmitted where nothing is lent to the address ``peer``: counted, and told once a minute."""
        if self.catalogue.admits(peer):
            return
        self.count_refusal("network")
        refused = NotAdmitted(plain_address(peer))
        _log.log(logging.WARNING if self._strangers.is_due() else logging.DEBUG, "%s: %s", self.protocol, refused)
        raise refused

    def find(self, path: str) -> PublishedFile:
        """The file published at ``path``. Raises NotPublished."""
        file = paths.find_file(self.catalogue, path)
        if file is None:
            self.count_refusal("not_found")
            raise NotPublished("nothing is published there")
        return file

    def begin(self, file: PublishedFile, peer: str, start: int, count: int) -> "Transfer":
        """Lend ``count`` bytes from ``start`` to the address ``peer``; the caller ends the transfer.

        Raises TransfersExhausted where no more are allowed, and NotPublished where the file is gone.
        """
        if self.refusing:
            self.count_refusal("stopping")
            raise TransfersExhausted(RETRY_AFTER_SECONDS)
        peer = plain_address(peer)  # IPv4 through an IPv6 listener: one address, one limit
        try:
            loan = self.catalogue.lend(file.checksum, file.name, self.protocol, peer, self._now())
        except NotPublished:
            self.count_refusal("not_found")
            raise
        except TransfersExhausted:
            full = len(self.catalogue.loans()) >= self.catalogue.max_transfers
            self.count_refusal("busy" if full else "busy_address")
            raise
        try:
            return Transfer(self, loan, self._open(file), start, count)
        except BaseException:
            self.catalogue.end(loan)
            raise

    def sweep(self) -> None:
        """Note how far each transfer is, and interrupt those that stall; to be called every ``sweep_interval``."""
        for transfer in tuple(self.running):
            transfer.advance()

    def count_refusal(self, reason: Refusal) -> None:
        """A request was refused."""
        self.metrics.firmware_refused.labels(self.protocol, reason).inc()

    def _open(self, file: PublishedFile) -> FileIO:
        try:
            return open_published(file)
        except OSError as fault:
            if fault.errno in EXHAUSTED:
                self.count_refusal("busy")
                raise TransfersExhausted(RETRY_AFTER_SECONDS) from None
            cause = fault.strerror
            if fault.errno not in _ABSENT:
                self.metrics.storage_errors.labels("read").inc()
        except ValueError as fault:
            cause = str(fault)
        _log.warning("%s is published and cannot be served: %s", file.path, cause)
        self.count_refusal("not_found")
        raise NotPublished(f"{file.name} cannot be read")


class Transfer:
    """One loan in use: ``count`` bytes of ``file`` from ``start``, to the socket that it is attached to."""

    def __init__(self, lending: Lending, loan: Loan, file: FileIO, start: int, count: int) -> None:
        self.file = file
        self.start = start
        self.count = count
        self.loan = loan
        self._lending = lending
        self._socket: tcp.Socket | None = None
        self._ahead = 0
        self._sealed = False
        self._stall: Callable[[], None] | None = None
        self._moved_at = lending.clock()
        lending.running.add(self)
        lending.metrics.firmware_downloads_in_progress.labels(loan.protocol).inc()

    def attach(self, sock: tcp.Socket, buffered: int, stall: Callable[[], None], *, sealed: bool = False) -> None:
        """The file goes to ``sock`` from here, behind ``buffered`` bytes not yet written; stall() interrupts it.

        ``sealed``: in records of TLS, so that the station acknowledges more bytes than the file has.
        """
        # in this order, for an acknowledgement between the two must not count twice
        self._ahead = tcp.acknowledged(sock) + tcp.unacknowledged(sock) + buffered
        self._socket = sock
        self._stall = stall
        self._sealed = sealed

    def advance(self) -> None:
        """Note what the station has acknowledged; call stall(), once, when that was nothing for too long."""
        now = self._lending.clock()
        if self._note(self._acknowledged()):
            self._moved_at = now
        elif self._stall is not None and now - self._moved_at >= self._lending.idle_timeout:
            stall, self._stall = self._stall, None
            stall()

    def note(self) -> None:
        """Count what the station has acknowledged by now."""
        self._note(self._acknowledged())

    def is_acknowledged(self) -> bool:
        """Whether the station has it all."""
        return self._acknowledged() == self.count

    def fell_short(self) -> None:
        """The file ended, or could not be read, before its published size."""
        self._lending.metrics.storage_errors.labels("read").inc()
        _log.error("%s cannot be read to its end: check the disk", self.loan.file.path)

    def end(self, result: Result) -> None:
        """The transfer is over; ending it twice does nothing."""
        if self not in self._lending.running:
            return
        self._lending.running.discard(self)
        self._note(self.count if result == "complete" else self._acknowledged())
        self._socket = self._stall = None
        self.file.close()
        self._lending.catalogue.end(self.loan)
        metrics = self._lending.metrics
        metrics.firmware_downloads_in_progress.labels(self.loan.protocol).dec()
        metrics.firmware_downloads.labels(self.loan.protocol, result).inc()
        self._say(result)
        self._lending.on_end()

    def _acknowledged(self) -> int:
        if self._socket is None:
            return 0
        try:
            arrived = tcp.acknowledged(self._socket) - self._ahead
        except OSError:  # closed meanwhile
            return 0
        return min(opened(arrived) if self._sealed else arrived, self.count)

    def _note(self, sent: int) -> bool:
        more = sent - self.loan.sent
        if more <= 0:
            return False
        self.loan.sent = sent
        self._lending.metrics.firmware_sent_bytes.labels(self.loan.protocol).inc(more)
        return True

    def _say(self, result: Result) -> None:
        name, peer = self.loan.file.name, self.loan.peer
        end = self.start + self.count
        if result == "complete":  # a station that fetches range by range is one line, at the last
            level = logging.INFO if end == self.loan.file.size else logging.DEBUG
            _log.log(level, "The station at %s has %s up to byte %s", peer, name, end)
        elif result == "idle":
            _log.info("Ended the transfer of %s to the station at %s: it took nothing any more", name, peer)
        else:
            _log.info("The transfer of %s to the station at %s broke off after %s bytes", name, peer, self.loan.sent)
