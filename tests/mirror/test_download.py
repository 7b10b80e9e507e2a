"""One try: limits, checkpoints, and what a further try can build on. Against a real origin and the real disk."""

import errno
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from prometheus_client import CollectorRegistry

from localctl.config import Firmware
from localctl.errors import OriginFailed, OriginRefused, StorageError
from localctl.metrics import Metrics
from localctl.mirror import download as module
from localctl.mirror.download import Download, Downloading
from localctl.mirror.origins.http import HttpOrigin
from localctl.mirror.throttle import Throttle
from localctl.store.files import FirmwareFiles
from localctl.store.intake import Digests
from localctl.store.records import Publication, Resume
from localctl.tls import origins_context
from tests.actors.nginx import Nginx
from tests.actors.origin import Origin, Reply
from tests.mirror.workshop import image, md5, series

BODY: Final = image(3_000_000)
MD5: Final = md5(BODY)
LAST: Final = 1_000_000


class Disk(FirmwareFiles):
    """The real folders, and as much free space as the test says: one number a look, the last one for all further."""

    free: tuple[int, ...] = (2**50,)

    def space(self) -> tuple[int, int]:
        """Free bytes and size."""
        now, self.free = self.free[0], self.free[1:] or self.free
        return now, 2**50


@dataclass
class Bench:
    """What a try needs; ``kept`` is what was made to last."""

    parts: Downloading
    disk: Disk
    metrics: Metrics
    kept: list[Resume] = field(default_factory=list)

    def attempt(self, location: str, resume: Resume | None = None) -> Download:
        """A try, going on from ``resume``."""
        publication = Publication(1, 1, location, MD5, "fw.bin", 0, None, 0.0, resume=resume or Resume())
        return Download(self.parts, publication, self._keep)

    async def _keep(self, resume: Resume) -> None:
        self.kept.append(resume)

    @property
    def partial(self) -> bytes:
        """What is on the disk."""
        return self.disk.partial(1).read_bytes()

    def leave(self, data: bytes) -> None:
        """What an earlier try has left there."""
        self.disk.partial(1).write_bytes(data)


@dataclass
class Steady:
    """A steady clock that goes ``pace`` seconds further each time it is looked at."""

    pace: float = 0.0
    now: float = 1000.0

    def __call__(self) -> float:
        self.now += self.pace
        return self.now


@asynccontextmanager
async def bench(folder: Path, clock: Steady | None = None, **keys: Any) -> AsyncIterator[Bench]:
    """A bench in ``folder``; keyword arguments are keys of [firmware]."""
    settings = Firmware(**{"allowed_origins": ("127.0.0.1",), **keys})
    disk, metrics = Disk(folder), Metrics(CollectorRegistry(), "0")
    disk.prepare()
    origin = HttpOrigin(settings, origins_context(""), "localctl/test")
    steady = clock or Steady()
    throttle = Throttle(settings.max_rate, steady)
    with ThreadPoolExecutor(4) as threads:
        yield Bench(Downloading(settings, origin, disk, threads, metrics, steady, throttle), disk, metrics)
    await origin.close()


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    """An origin that does as it is told."""
    async with Origin() as made:
        yield made


async def test_a_whole_file_is_hashed_and_on_the_disk(origin: Origin, tmp_path: Path) -> None:
    """L03.FR.02: the digests are those of the whole file; one response with a known end is not in doubt."""
    async with bench(tmp_path) as made:
        attempt = made.attempt(origin.script("/fw.bin", Reply(BODY)))
        digests = await attempt.run()
        assert (digests.md5, digests.size) == (MD5, len(BODY))
        assert made.partial == BODY
        assert not attempt.doubtful
        assert attempt.received == len(BODY)
        assert series(made.metrics, "download_bytes_total") == len(BODY)


async def test_an_empty_file_is_a_file(origin: Origin, tmp_path: Path) -> None:
    """Nothing is a file of 0 bytes."""
    async with bench(tmp_path) as made:
        assert (await made.attempt(origin.script("/fw.bin", Reply(b""))).run()).md5 == md5(b"")


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_cut_file_is_continued(origin: Origin, tmp_path: Path, framing: Any) -> None:
    """Faults, row 13: what came before the cut is fsynced and kept, the next try fetches the rest only."""
    location = origin.script("/fw.bin", Reply(BODY, framing=framing, cut_after=LAST), Reply(BODY))
    async with bench(tmp_path) as made:
        first = made.attempt(location)
        with pytest.raises(OriginFailed):
            await first.run()
        assert first.resume.offset == LAST == len(made.partial)
        assert made.kept[-1] == first.resume
        second = made.attempt(location, first.resume)
        digests = await second.run()
    assert digests.md5 == MD5
    assert second.doubtful
    assert origin.requests[1].headers["range"] == f"bytes={LAST}-"
    assert series(made.metrics, "download_bytes_total") == len(BODY)


async def test_nginx_continues(tmp_path: Path) -> None:
    """With a real web server: the rest is all that is sent."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "fw.bin").write_bytes(BODY)
    async with Nginx(tmp_path / "nginx", root) as nginx, bench(tmp_path / "state") as made:
        whole = made.attempt(f"{nginx.url}/fw.bin")
        await whole.run()
        made.leave(BODY[:LAST])
        rest = made.attempt(f"{nginx.url}/fw.bin", Resume(LAST, len(BODY), whole.resume.validator))
        assert (await rest.run()).md5 == MD5
        served = nginx.requests()
    assert [(each.status, each.sent) for each in served] == [(200, len(BODY)), (206, len(BODY) - LAST)]


@pytest.mark.parametrize("second", [Reply(BODY, ranges=False), Reply(BODY, etag='"2"')])
async def test_no_byte_is_there_twice(origin: Origin, tmp_path: Path, second: Reply) -> None:
    """Faults, rows 14 and 15: the whole file in answer to a Range replaces what was there, and is not in doubt."""
    location = origin.script("/fw.bin", second)
    async with bench(tmp_path) as made:
        made.leave(bytes(LAST))
        attempt = made.attempt(location, Resume(LAST, len(BODY), '"1"'))
        assert (await attempt.run()).md5 == MD5
        assert made.partial == BODY
        assert not attempt.doubtful


async def test_a_file_that_has_changed_is_dropped(origin: Origin, tmp_path: Path) -> None:
    """Faults, row 14: a 206 of another file: nothing is left to build on, the next try starts at 0."""
    headers = [("Content-Range", f"bytes {LAST}-{len(BODY) - 1}/{len(BODY)}")]
    location = origin.script("/fw.bin", Reply(BODY[LAST:], status=206, etag='"2"', headers=headers), Reply(BODY))
    async with bench(tmp_path) as made:
        made.leave(bytes(LAST))
        first = made.attempt(location, Resume(LAST, len(BODY), '"1"'))
        with pytest.raises(OriginFailed, match="has changed"):
            await first.run()
        assert (first.resume, made.partial) == (Resume(), b"")
        assert (await made.attempt(location, first.resume).run()).md5 == MD5
    assert "range" not in origin.requests[1].headers


async def test_a_body_without_an_end_is_doubtful(origin: Origin, tmp_path: Path) -> None:
    """Faults, row 13: cut where nothing marks the end, only the MD5 can tell, and it may be the transfer's fault."""
    async with bench(tmp_path) as made:
        attempt = made.attempt(origin.script("/fw.bin", Reply(BODY, framing="close", cut_after=LAST)))
        assert (await attempt.run()).size == LAST
        assert attempt.doubtful


async def test_nothing_is_kept_that_cannot_be_continued(origin: Origin, tmp_path: Path) -> None:
    """Without a validator the next try starts at 0, and nothing else is said to the database."""
    async with bench(tmp_path) as made:
        attempt = made.attempt(origin.script("/fw.bin", Reply(BODY, etag="", cut_after=LAST)))
        with pytest.raises(OriginFailed):
            await attempt.run()
        assert (attempt.resume, made.kept) == (Resume(), [])


async def test_a_partial_file_that_is_shorter_than_its_record(origin: Origin, tmp_path: Path) -> None:
    """A power cut may take what was never fsynced: then it starts at 0."""
    async with bench(tmp_path) as made:
        made.leave(BODY[: LAST - 1])
        attempt = made.attempt(origin.script("/fw.bin", Reply(BODY)), Resume(LAST, len(BODY), '"1"'))
        assert (await attempt.run()).md5 == MD5
        assert not attempt.doubtful
    assert "range" not in origin.requests[0].headers


async def test_a_whole_partial_file_is_not_asked_for(origin: Origin, tmp_path: Path) -> None:
    """After a kill between the last byte and the verdict nothing more is fetched."""
    async with bench(tmp_path) as made:
        made.leave(BODY)
        attempt = made.attempt(origin.script("/fw.bin", Reply(BODY)), Resume(len(BODY), len(BODY), '"1"'))
        assert (await attempt.run()).md5 == MD5
        assert attempt.doubtful
    assert origin.requests == []


async def test_a_length_above_the_limit_is_refused_before_the_body(origin: Origin, tmp_path: Path) -> None:
    """Faults, row 17: Content-Length over ``max_file_size``."""
    async with bench(tmp_path, max_file_size=len(BODY) - 1) as made:
        with pytest.raises(OriginRefused, match=f"has {len(BODY)} bytes, max_file_size is {len(BODY) - 1}"):
            await made.attempt(origin.script("/fw.bin", Reply(BODY))).run()
        assert made.partial == b""
        assert series(made.metrics, "download_bytes_total") == 0


@pytest.mark.parametrize("framing", ["chunked", "close"])
async def test_a_body_that_grows_above_the_limit_is_refused(origin: Origin, tmp_path: Path, framing: Any) -> None:
    """Faults, row 17: counted while reading, so no more than the limit and one piece gets here."""
    async with bench(tmp_path, max_file_size=LAST) as made:
        with pytest.raises(OriginRefused, match=f"more than max_file_size = {LAST} bytes"):
            await made.attempt(origin.script("/fw.bin", Reply(BODY, framing=framing))).run()
        assert len(made.partial) <= LAST + 2**20


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_file_of_exactly_the_limit_is_taken(origin: Origin, tmp_path: Path, framing: Any) -> None:
    """The limit itself is allowed."""
    async with bench(tmp_path, max_file_size=len(BODY)) as made:
        assert (await made.attempt(origin.script("/fw.bin", Reply(BODY, framing=framing))).run()).md5 == MD5


async def test_a_file_that_will_not_fit_is_refused_before_the_body(origin: Origin, tmp_path: Path) -> None:
    """Faults, row 5: what would eat into ``min_free_space`` is a full disk already."""
    async with bench(tmp_path, min_free_space=1000) as made:
        made.disk.free = (len(BODY) + 999,)
        attempt = made.attempt(origin.script("/fw.bin", Reply(BODY)))
        with pytest.raises(StorageError, match="999 bytes free, 1000 are kept free") as caught:
            await attempt.run()
        assert caught.value.errno == errno.ENOSPC
        assert attempt.resume == Resume()
        made.disk.free = (len(BODY) + 1000,)
        assert (await made.attempt(origin.url + "/fw.bin").run()).md5 == MD5


async def test_only_what_is_missing_must_fit(origin: Origin, tmp_path: Path) -> None:
    """Faults, row 5: a partial file has its space already."""
    async with bench(tmp_path, min_free_space=1000) as made:
        made.leave(BODY[:LAST])
        made.disk.free = (len(BODY) - LAST + 1000,)
        location = origin.script("/fw.bin", Reply(BODY))
        assert (await made.attempt(location, Resume(LAST, len(BODY), '"1"')).run()).md5 == MD5


async def test_what_is_here_makes_no_room(tmp_path: Path) -> None:
    """Faults, row 5: where nobody knows how much is missing (FTP without SIZE), a full disk is full all the same."""
    async with bench(tmp_path, min_free_space=1000) as made:
        made.leave(BODY[:LAST])
        made.disk.free = (999,)
        attempt = made.attempt("http://127.0.0.1/", Resume(LAST, None, "MDTM 1"))
        with pytest.raises(StorageError, match="999 bytes free"):
            await attempt.begin(Resume(LAST, None, "MDTM 1"), delimited=True)


async def test_a_disk_that_fills_up_ends_the_try(origin: Origin, tmp_path: Path) -> None:
    """Faults, row 5: looked at again at each checkpoint; nothing of it is built on."""
    async with bench(tmp_path, Steady(pace=1.0), min_free_space=1000) as made:
        made.disk.free = (2**50, 999)
        attempt = made.attempt(origin.script("/fw.bin", Reply(BODY)))
        with pytest.raises(StorageError, match="999 bytes free"):
            await attempt.run()
        assert attempt.resume == Resume()


async def test_progress_is_kept_as_it_comes(origin: Origin, tmp_path: Path) -> None:
    """State that lasts: every few seconds what has come is fsynced, then its offset is kept, with the validator."""
    async with bench(tmp_path, Steady(pace=2.0)) as made:
        await made.attempt(origin.script("/fw.bin", Reply(BODY))).run()
    offsets = [resume.offset for resume in made.kept]
    assert offsets
    assert offsets == sorted(offsets)
    assert {(resume.total, resume.validator) for resume in made.kept} == {(len(BODY), '"1"')}


async def test_progress_is_kept_by_size_as_well(
    origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fast origin does not get further ahead of the disk than CHECKPOINT_BYTES and what is in memory."""
    monkeypatch.setattr(module, "CHECKPOINT_BYTES", LAST)
    async with bench(tmp_path) as made:
        await made.attempt(origin.script("/fw.bin", Reply(BODY))).run()
    assert len(made.kept) == 2
    assert LAST <= made.kept[0].offset < LAST + 2**20


async def test_a_drip_is_ended(origin: Origin, tmp_path: Path) -> None:
    """Faults, row 12: a byte now and then, for a minute of the steady clock; what came is kept."""
    reply = Reply(BODY, drip=0.001)
    async with bench(tmp_path, Steady(pace=1.0)) as made:
        attempt = made.attempt(origin.script("/fw.bin", reply))
        with pytest.raises(OriginFailed, match="less than 100 bytes a second"):
            await attempt.run()
        assert 0 < attempt.resume.offset == len(made.partial) < 6000


async def test_a_silent_origin_costs_nothing_that_came(origin: Origin, tmp_path: Path) -> None:
    """Faults, row 12: ended after ``idle_timeout_seconds``, continued from where it was."""
    location = origin.script("/fw.bin", Reply(BODY, stall_after=LAST), Reply(BODY))
    async with bench(tmp_path, idle_timeout_seconds=1) as made:
        first = made.attempt(location)
        with pytest.raises(OriginFailed, match="silent"):
            await first.run()
        assert first.resume.offset == LAST
        assert (await made.attempt(location, first.resume).run()).md5 == MD5


async def test_a_disk_that_fails_leaves_nothing_to_build_on(origin: Origin, tmp_path: Path) -> None:
    """Faults, row 6: after an error of the disk no offset is to be trusted."""
    async with bench(tmp_path) as made:
        made.disk.partial(1).mkdir()
        attempt = made.attempt(origin.script("/fw.bin", Reply(BODY)), Resume(LAST, len(BODY), '"1"'))
        with pytest.raises(StorageError):
            await attempt.run()
    assert origin.requests == []


async def test_digests_are_of_the_file_not_of_the_fetch(origin: Origin, tmp_path: Path) -> None:
    """L03.FR.02: what an earlier try has left counts as it is on the disk."""
    async with bench(tmp_path) as made:
        made.leave(bytes(LAST))
        attempt = made.attempt(origin.script("/fw.bin", Reply(BODY)), Resume(LAST, len(BODY), '"1"'))
        digests: Digests = await attempt.run()
    assert digests.md5 == md5(bytes(LAST) + BODY[LAST:])
