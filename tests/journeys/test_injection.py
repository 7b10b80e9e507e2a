"""Rows 2 to 6 of the faults: the daemon killed, or failed by its disk, at every write, fsync, rename and commit."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from tests.actors.csms import Csms
from tests.actors.daemon import Daemon
from tests.actors.fault import Spot, injected
from tests.actors.link import CallError
from tests.actors.origin import Origin, Reply
from tests.actors.site import LC, Firmware, Site, firmware, get

FINAL = {"Published", "DownloadFailed", "InvalidChecksum", "PublishFailed"}
OVER = 300  # no story has so many calls


@pytest.fixture
async def calm(tmp_path: Path) -> AsyncIterator[Site]:
    """A site whose daemon looks at no stored file by itself, and logs little: its calls are those of the story."""
    async with Csms() as csms, Origin() as origin:
        quiet = {"log": {"level": "info"}, "firmware": {"retries": 0, "integrity_rate": "1GiB"}}
        async with Daemon(tmp_path, csms.url, quiet) as daemon:
            await daemon.ready()
            yield Site(csms, daemon, origin)


Where = Callable[[Site, Firmware, int], Spot]


def database(site: Site, _file: Firmware, _id: int) -> Spot:
    """All that is written to the database."""
    path = site.daemon.state_dir / "localctl.db"
    return Spot("pwrite64,fdatasync,fsync,ftruncate", (path, path.with_name("localctl.db-wal")))


def files(calls: str, place: str) -> Where:
    """What is done to ``partial``, ``firmware``, or a file's own place: below them, with its {id}, {checksum}, {name}.

    Threads of a pool do it in turn, and strace counts each thread's calls: so a place and a call are looked at alone.
    """

    def where(site: Site, file: Firmware, id_: int) -> Spot:
        ids = range(1, id_ + 3)  # one that was never taken in used none up
        paths = {place.format(id=each, checksum=file.checksum, name=file.name) for each in ids}
        return Spot(calls, tuple(site.daemon.state_dir / path for path in paths))

    return where


def asked(*spots: tuple[str, str]) -> dict[str, Where]:
    """The spots of a story by their names."""
    return {"database": database, **{f"{calls} {place}": files(calls, place) for calls, place in spots}}


PUBLISHING = asked(
    ("ftruncate", "partial/{id}"),
    ("write", "partial/{id}"),
    ("fsync", "partial/{id}"),
    ("fsync", "partial"),
    ("mkdir", "firmware/{checksum}"),
    ("fsync", "firmware"),
    ("rename", "partial/{id}"),
    ("fsync", "firmware/{checksum}"),
)
WITHDRAWING = asked(
    ("unlink,unlinkat,rmdir", "firmware/{checksum}"),
    ("fsync", "firmware"),
)


def moments(where: Where, step: int) -> "count[int]":
    """The calls to be hit: each, or every ``step``-th from a random one on, where there are many."""
    step = step if where is database else 1
    return count(1 + random.randrange(step), step)


async def _ask(site: Site, file: Firmware, request_id: int) -> object:
    location = site.origin.script(f"/{file.name}", Reply(file.body))
    payload = {"requestId": request_id, "location": location, "checksum": file.checksum}
    return await site.csms.call(LC, "PublishFirmware", payload)


async def _served(site: Site, file: Firmware) -> tuple[int, bytes]:
    http = site.daemon.listeners["publish.http"]
    return await get(f"http://{http}/firmware/{file.checksum}/{file.name}")


@asynccontextmanager
async def _dying(site: Site, spot: Spot, nth: int) -> AsyncIterator[None]:
    """The daemon is killed at its ``nth`` call; what is asked of it meanwhile may fail."""
    async with injected(site.daemon.pid, spot, f"signal=KILL:when={nth}", site.daemon.state_dir.parent / "trace"):
        with suppress(AssertionError):
            yield


async def _gone_or(site: Site, done: Callable[[], object]) -> bool:
    """Wait until ``done()`` or the daemon's end; whether it has ended."""
    async with asyncio.timeout(30):
        while site.daemon.running and not done():  # noqa: ASYNC110
            await asyncio.sleep(0.02)  # either may come first
    await asyncio.sleep(0.1)  # what follows the last notification: its settling
    return not site.daemon.running


def _ended(site: Site, request_id: int) -> bool:
    return bool(FINAL & set(site.statuses(request_id)))


@pytest.mark.parametrize("where", PUBLISHING.values(), ids=PUBLISHING)
async def test_rows_2_and_3_killed_at_each_call_of_a_publication(
    where: Where, calm: Site, rounds: Callable[[int, int], int]
) -> None:
    """Rows 1 to 3: Published under its requestId after the restart, at least once, and nothing else that is final."""
    for turn, nth in enumerate(moments(where, rounds(9, 1)), 1):
        file = firmware(100_000, turn)
        async with _dying(calm, where(calm, file, turn), nth):
            asking = asyncio.get_running_loop().create_task(_ask(calm, file, turn))
            killed = await _gone_or(calm, partial(_ended, calm, turn))
        asking.cancel()
        if killed:
            await calm.daemon.restart()
            await calm.daemon.ready()
            await calm.csms.controller()
            if not calm.statuses(turn):  # it may have died before it had taken the request in
                await _ask(calm, file, turn)
        await calm.csms.wait_status(turn, "Published")
        assert FINAL & set(calm.statuses(turn)) == {"Published"}
        assert await _served(calm, file) == (200, file.body)
        assert await calm.withdrawn(file.checksum) == "Unpublished"
        if not killed:
            assert turn > 1 or where is database, "nothing was hit"
            break
        assert nth < OVER


@pytest.mark.parametrize("where", WITHDRAWING.values(), ids=WITHDRAWING)
async def test_row_4_killed_at_each_call_of_a_withdrawal(
    where: Where, calm: Site, rounds: Callable[[int, int], int]
) -> None:
    """Row 4: whole or gone after the restart; once Unpublished was said, gone, and it stays gone."""
    for turn, nth in enumerate(moments(where, rounds(3, 1)), 1):
        file = firmware(100_000, turn)
        await _ask(calm, file, turn)
        await calm.csms.wait_status(turn, "Published")
        async with _dying(calm, where(calm, file, turn), nth):
            asking = asyncio.get_running_loop().create_task(calm.unpublish(file.checksum))
            killed = await _gone_or(calm, asking.done)
        answered = asking.done() and not asking.exception() and asking.result() == "Unpublished"
        asking.cancel()
        await calm.daemon.restart()
        await calm.daemon.ready()
        await calm.csms.controller()
        served = await _served(calm, file)
        assert served == (404, b"") if answered else served in {(404, b""), (200, file.body)}
        assert await calm.withdrawn(file.checksum) == ("NoFirmware" if served[0] == 404 else "Unpublished")
        await calm.daemon.restart()
        await calm.daemon.ready()
        await calm.csms.controller()
        assert await _served(calm, file) == (404, b"")
        if not killed:
            assert turn > 1 or where is database, "nothing was hit"
            break
        assert nth < OVER


FAILURES = {
    "row 5, full": "error=ENOSPC",
    "row 6, EIO": "error=EIO",
}


@pytest.mark.parametrize("where", PUBLISHING.values(), ids=PUBLISHING)
@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
async def test_rows_5_and_6_failed_at_each_call_of_a_publication(
    failure: str, where: Where, calm: Site, rounds: Callable[[int, int], int]
) -> None:
    """Rows 5 and 6: from that call on all fail. It ends, with nothing of it served unless Published; what was published
    stays served; nothing partial remains; and once the disk is well again, so is all.
    """
    before = firmware(50_000, 10_000)
    await _ask(calm, before, 10_000)
    await calm.csms.wait_status(10_000, "Published")
    for turn, nth in enumerate(moments(where, rounds(12, 1)), 1):
        file = firmware(100_000, turn)
        effect, trace = f"{failure}:when={nth}+", calm.daemon.state_dir.parent / "trace"
        async with injected(calm.daemon.pid, where(calm, file, turn), effect, trace) as hit:
            answer = await _ask(calm, file, turn)
            if answer == {"status": "Accepted"}:  # else not even that could be kept
                async with asyncio.timeout(30):
                    while not _ended(calm, turn):  # noqa: ASYNC110
                        await asyncio.sleep(0.02)
            assert await _served(calm, before) == (200, before.body)
            served = await _served(calm, file)
            well = not hit()
        told = FINAL & set(calm.statuses(turn))
        assert isinstance(answer, CallError) or told <= {"Published", "DownloadFailed", "PublishFailed"}
        assert served == ((200, file.body) if "Published" in told else (404, b"")), told
        async with asyncio.timeout(10):
            while list((calm.daemon.state_dir / "partial").iterdir()):  # noqa: ASYNC110
                await asyncio.sleep(0.02)  # thrown away after the last word of it
        if "Published" in told:
            assert await calm.withdrawn(file.checksum) == "Unpublished"
        if well:
            assert told == {"Published"}
            assert turn > 1 or where is database, "nothing was hit"
            break
        assert nth < OVER
