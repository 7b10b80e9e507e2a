"""One try to fetch one file. Edge: it joins an origin to an intake, within the limits of the configuration.

Size and space are checked before the first byte and while bytes come. Every few seconds what has come is put on the
disk and its offset is kept, so that a power cut costs no more than that of the dear WAN.
"""

import asyncio
import errno
import os
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Final, Protocol

from localctl.config import Firmware
from localctl.errors import OriginFailed, OriginRefused, StorageError
from localctl.metrics import Metrics
from localctl.mirror.origins.sink import Sink
from localctl.mirror.pace import LEAST_RATE, Pace
from localctl.mirror.throttle import Throttle
from localctl.store.files import FirmwareFiles
from localctl.store.intake import Digests, Intake
from localctl.store.records import Publication, Resume

CHECKPOINT_BYTES: Final = 32 * 2**20
CHECKPOINT_SECONDS: Final = 5.0


class Origin(Protocol):
    """Where files come from."""

    async def fetch(self, location: str, resume: Resume, sink: Sink) -> None:
        """Fetch ``location`` into ``sink``, continuing at ``resume`` where that can be."""


@dataclass(slots=True)
class Downloading:
    """What every try shares; only ``reconfigure`` changes it."""

    settings: Firmware
    origin: Origin
    files: FirmwareFiles
    executor: Executor
    metrics: Metrics
    monotonic: Callable[[], float]
    throttle: Throttle

    def reconfigure(self, settings: Firmware) -> None:
        """By these from now on; tries under way heed the new limits and the new rate."""
        self.settings = settings
        self.throttle.reconfigure(settings.max_rate)

    async def free_space(self) -> int:
        """Bytes that are free on the disk. Raises StorageError."""
        free, _ = await asyncio.get_running_loop().run_in_executor(self.executor, self.files.space)
        return free


class Download:
    """A try for ``publication``; ``keep`` makes a new Resume last. Also the origin's Sink."""

    def __init__(self, parts: Downloading, publication: Publication, keep: Callable[[Resume], Awaitable[None]]) -> None:
        self.resume = publication.resume
        self.doubtful = False
        self._parts = parts
        self._publication = publication
        self._keep = keep
        self._intake: Intake | None = None
        self._checkpoint_at = 0.0
        self._pace = Pace(0.0)

    @property
    def received(self) -> int:
        """Bytes of the file that are here."""
        return self._intake.offset if self._intake else self.resume.offset

    async def run(self) -> Digests:
        """Fetch the file and say what it is. Raises OriginRefused, OriginFailed or StorageError; ``resume`` then says
        how far a further try can build on this one.
        """
        path = self._parts.files.partial(self._publication.id)
        self._intake = await Intake.open(path, self.resume.offset, self._parts.executor)
        if self._intake.offset != self.resume.offset:
            self.resume = Resume()
        self.doubtful = self.resume.offset > 0
        try:
            if not self._is_whole():
                await self._parts.origin.fetch(self._publication.location, self.resume, self)
            return await self._intake.finish()
        except StorageError:
            self.resume = Resume()  # after a failed write or fsync nothing of it is to be trusted
            raise
        except BaseException:
            await self._save_quietly()
            raise
        finally:
            await self._intake.close()

    async def begin(self, expected: Resume, *, delimited: bool) -> None:
        """The origin answers: check what is known now, and start at ``expected.offset``."""
        limit = self._parts.settings.max_file_size
        if expected.total is not None and expected.total > limit:
            raise OriginRefused(f"the file has {expected.total} bytes, max_file_size is {limit}")
        await self._check_space(max(0, (expected.total or 0) - expected.offset))
        intake = self._require()
        if expected.offset != intake.offset:
            await self._reopen()
        self.doubtful = expected.offset > 0 or not delimited
        self.resume = expected
        self._pace = Pace(self._parts.monotonic())
        self._checkpoint_at = self._pace.since + CHECKPOINT_SECONDS

    async def take(self, data: bytes) -> None:
        """The next bytes of the file."""
        intake = self._require()
        await intake.feed(data)
        self._parts.metrics.download_bytes.inc(len(data))
        limit = self._parts.settings.max_file_size
        if intake.received > limit:
            raise OriginRefused(f"the file has more than max_file_size = {limit} bytes")
        if self._pace.drips(len(data), self._parts.monotonic()):
            raise OriginFailed(f"the origin sent less than {LEAST_RATE:.0f} bytes a second for a minute")
        due = intake.offset - self.resume.offset >= CHECKPOINT_BYTES
        if due or self._parts.monotonic() >= self._checkpoint_at:
            await self._save()
        self._pace.excuse(await self._parts.throttle.pay(len(data)))

    async def drop(self) -> None:
        """What is here is of another file."""
        self.resume = Resume()
        await self._reopen()

    def _require(self) -> Intake:
        assert self._intake is not None, "run opens it"  # noqa: S101
        return self._intake

    def _is_whole(self) -> bool:
        return self.resume.total is not None and 0 < self.resume.total == self.resume.offset

    async def _reopen(self) -> None:
        await self._require().close()
        path = self._parts.files.partial(self._publication.id)
        self._intake = await Intake.open(path, 0, self._parts.executor)

    async def _save(self) -> None:
        offset = await self._require().checkpoint()
        self.resume = replace(self.resume, offset=offset)
        self._checkpoint_at = self._parts.monotonic() + CHECKPOINT_SECONDS
        if self.resume.validator:
            await self._keep(self.resume)
        await self._check_space(0)

    async def _save_quietly(self) -> None:
        """Build on what has come, if the disk will have it; the try has failed for another reason already."""
        try:
            offset = await self._require().checkpoint()
        except StorageError:
            offset = 0
        useful = offset if self.resume.validator else 0
        self.resume = replace(self.resume, offset=useful) if useful else Resume()
        if useful:
            await self._keep(self.resume)

    async def _check_space(self, coming: int) -> None:
        free = await self._parts.free_space()
        kept = self._parts.settings.min_free_space
        if free - coming < kept:
            cause = OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}: {free} bytes free, {kept} are kept free")
            raise StorageError("write", str(self._parts.files.root), cause)
