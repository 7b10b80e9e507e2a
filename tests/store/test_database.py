"""What must last."""

import asyncio
import contextlib
import os
import random
import sqlite3
import stat
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from localctl.errors import StateError, StorageError
from localctl.store.backlog import MOST
from localctl.store.database import REMEMBERED, REMEMBERED_SECONDS, Database
from localctl.store.records import ENDED, LastSent, Resume, Snapshot, State
from tests.store.samples import NOW, file_record, file_size_limit, notification, publication

EMPTY = Snapshot((), (), (), None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database lies."""
    return tmp_path / "state.db"


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    """An open one."""
    opened = await Database.open(path)
    yield opened
    await opened.close()


@contextlib.asynccontextmanager
async def reopened(database: Database, path: Path) -> AsyncIterator[Database]:
    """The same after a restart."""
    await database.close()
    again = await Database.open(path)
    yield again
    await again.close()


async def test_a_new_one_is_empty(database: Database) -> None:
    """The first start finds nothing to go on with."""
    assert await database.load() == EMPTY


async def test_everything_survives_a_restart(database: Database, path: Path) -> None:
    """Publications, files, notifications in their order, and the last status that was answered."""
    first = await database.add_publication(publication(1))
    second = await database.add_publication(publication(2, interval=None, checksum="0" * 32))
    resume = Resume(2**33, 2**34, '"etag"')
    first = replace(first, state=State.DOWNLOADING, failures=2, restarted=True, resume=resume)
    told = await database.record(first, [notification("Downloading", 1), notification("DownloadPaused", 1)])
    published = replace(second, state=State.PUBLISHED)
    uris = ("http://192.0.2.1:8080/firmware/ü", "ftp://192.0.2.1/x")
    told += await database.record(published, [notification("Published", 2, uris)], file_record(checksum="0" * 32))
    await database.settle(told[0])
    assert [each.id for each in told] == sorted({each.id for each in told})
    async with reopened(database, path) as again:
        assert await again.load() == Snapshot(
            (first,), (file_record(checksum="0" * 32),), told[1:], LastSent(1, "Downloading")
        )


async def test_the_id_of_a_publication_is_never_used_again(database: Database, path: Path) -> None:
    """Partial files bear it: one that a kill left behind must not meet another publication."""
    first = await database.add_publication(publication(1, state=State.CANCELLED))
    await database.record(first)
    for each in range(2, 5):
        last = await database.add_publication(publication(each))
    async with reopened(database, path) as again:
        assert (await again.add_publication(publication(9))).id > last.id > first.id


@pytest.mark.parametrize("state", [state for state in State if state in ENDED])
async def test_an_ended_publication_loses_its_location(state: State, database: Database, path: Path) -> None:
    """A location may carry credentials; what has ended is not loaded any more, and its requestId is remembered."""
    kept = await database.add_publication(publication(7))
    await database.record(replace(kept, state=state))
    async with reopened(database, path) as again:
        assert (await again.load()).publications == ()
        assert await again.knows_request(7, NOW)
    with contextlib.closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT location FROM publications").fetchall() == [("",)]


@pytest.mark.parametrize("state", [state for state in State if state not in ENDED])
async def test_every_other_state_is_gone_on_with(state: State, database: Database, path: Path) -> None:
    """Rows 1 and 2: what had not ended is loaded as it was."""
    kept = replace(await database.add_publication(publication(7)), state=state)
    await database.record(kept)
    async with reopened(database, path) as again:
        assert (await again.load()).publications == (kept,)


async def test_no_secret_in_the_repr_of_what_is_kept(database: Database) -> None:
    """A location's credentials never reach a log."""
    kept = await database.add_publication(publication(7))
    await database.record(kept, (), file_record(location=kept.location))
    assert "hunter2" not in repr(await database.load())


async def test_a_file_is_kept_until_it_is_withdrawn(database: Database) -> None:
    """L04.FR.01: one record for a checksum, the newest; withdrawing what is not there changes nothing."""
    kept = await database.add_publication(publication())
    await database.record(kept, (), file_record())
    await database.record(kept, (), file_record(name="newer.bin"))
    await database.withdraw("0" * 32)
    assert (await database.load()).files == (file_record(name="newer.bin"),)
    await database.withdraw(file_record().checksum)
    assert (await database.load()).files == ()


async def test_a_file_of_nobody_becomes_that_of_who_asks_for_it(database: Database) -> None:
    """L03.FR.08: one published by hand has an origin, and somebody to be told, once the CSMS has asked for it too."""
    first = await database.add_publication(publication(1, state=State.PUBLISHED))
    second = await database.add_publication(publication(2, location="http://example.com/2", state=State.PUBLISHED))
    await database.add_files([file_record(location=""), file_record(checksum="0" * 32)])
    for each in (replace(first, state=State.DOWNLOADING), first, second):
        await database.record(each)
    by_hand, other = (await database.load()).files
    assert (by_hand.request_id, by_hand.location) == (1, first.location)
    assert other == file_record(checksum="0" * 32)
    named = await database.add_publication(publication(3, checksum=other.checksum, state=State.PUBLISHED))
    await database.record(named)
    assert await database.file(other.checksum) == replace(other, request_id=3)  # from where it came already


async def test_settling_takes_one_notification_out(database: Database) -> None:
    """L03.FR.11: what the CSMS has answered waits no longer and is the last one sent; twice does no harm."""
    kept = await database.add_publication(publication(5))
    told = await database.record(kept, [notification("Downloading", 5), notification("DownloadFailed", 5)])
    for each in (told[0], told[0]):
        await database.settle(each)
        snapshot = await database.load()
        assert (snapshot.outbox, snapshot.last_sent) == (told[1:], LastSent(5, "Downloading"))


async def test_a_settling_that_failed_is_made_up_for(database: Database) -> None:
    """L03.FR.01: after a restart no status goes out behind a later one of its publication; other publications' wait."""
    kept = await database.add_publication(publication(5))
    first = await database.record(kept, [notification("DownloadScheduled", 5), notification("Downloading", 5)])
    other = await database.add_publication(publication(6))
    between = await database.record(other, [notification("Downloading", 6)])
    last = await database.record(kept, [notification("Downloaded", 5), notification("ChecksumVerified", 5)])
    await database.settle(last[0])
    assert (await database.load()).outbox == (*between, last[1])
    assert first


async def test_request_ids_are_remembered_for_90_days(database: Database) -> None:
    """DuplicateRequestId, by the time of the request."""
    assert not await database.knows_request(7, NOW)
    await database.add_publication(publication(7))
    assert await database.knows_request(7, NOW)
    assert await database.knows_request(7, NOW - 10 * REMEMBERED_SECONDS)  # a clock that jumped back
    assert await database.knows_request(7, NOW + REMEMBERED_SECONDS - 1)
    assert not await database.knows_request(7, NOW + REMEMBERED_SECONDS + 1)
    assert not await database.knows_request(8, NOW)


async def test_the_last_1000_request_ids_are_remembered(database: Database) -> None:
    """DuplicateRequestId, by number; what has not ended is never forgotten, and the file does not grow for ever."""
    under_way = await database.add_publication(publication(-1))
    for request_id in range(REMEMBERED + 1):
        kept = await database.add_publication(publication(request_id))
        await database.record(replace(kept, state=State.CANCELLED))
    known = [request_id for request_id in range(-1, REMEMBERED + 1) if await database.knows_request(request_id, NOW)]
    assert known == [-1, *range(1, REMEMBERED + 1)]
    assert (await database.load()).publications == (under_way,)


async def test_a_change_and_its_report_are_one(database: Database) -> None:
    """L03.FR.01: where one of them cannot be kept, neither is."""
    kept = await database.add_publication(publication())
    done = replace(kept, state=State.PUBLISHED)
    with pytest.raises(StorageError) as caught:
        await database.record(done, [notification("Published"), notification(None)], file_record())
    assert caught.value.operation == "commit"
    assert await database.load() == Snapshot((kept,), (), (), None)
    await database.record(done, [notification("Published")], file_record())
    snapshot = await database.load()
    assert [len(each) for each in (snapshot.publications, snapshot.files, snapshot.outbox)] == [0, 1, 1]


async def test_a_full_disk_is_a_storage_error_and_passes(database: Database, path: Path) -> None:
    """Row 5: what cannot be committed is not kept, and the next transaction finds everything in order."""
    kept = await database.add_publication(publication())
    room = (path.parent / f"{path.name}-wal").stat().st_size
    failed = replace(kept, state=State.DOWNLOAD_FAILED)
    with file_size_limit(room):
        attempts: list[Callable[[], Awaitable[object]]] = [
            lambda: database.record(failed, [notification("DownloadFailed")]),
            lambda: database.add_publication(publication(2)),
            lambda: database.settle(notification()),
        ]
        for attempt in attempts:
            with pytest.raises(StorageError) as caught:
                await attempt()
            assert caught.value.operation == "commit"
            assert str(path) in str(caught.value)
        assert await database.load() == Snapshot((kept,), (), (), None)
    await database.record(failed, [notification("DownloadFailed")])
    async with reopened(database, path) as again:
        snapshot = await again.load()
        assert (snapshot.publications, len(snapshot.outbox)) == ((), 1)


async def test_many_ask_at_once(database: Database) -> None:
    """One transaction at a time: no id twice, nothing lost, whoever asks."""
    kept = await asyncio.gather(*(database.add_publication(publication(each)) for each in range(40)))
    told = await asyncio.gather(
        *(database.record(each, [notification("Downloading", each.request_id)]) for each in kept)
    )
    known = await asyncio.gather(*(database.knows_request(each, NOW) for each in range(50)))
    await asyncio.gather(*(database.settle(each) for (each,) in told[:20]))
    snapshot = await database.load()
    assert snapshot.publications == tuple(kept)
    assert len({each.id for each in kept}) == 40
    assert snapshot.outbox == tuple(each for (each,) in told[20:])
    assert known == [True] * 40 + [False] * 10


async def test_a_cancelled_wait_leaves_it_in_order(database: Database) -> None:
    """The transaction is kept whole or not at all, and the next one finds no half of it."""
    kept = await database.add_publication(publication())
    done = replace(kept, state=State.PUBLISHED)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(10):
            asking = tasks.create_task(database.record(done, [notification("Published")], file_record()))
            await asyncio.sleep(0)
            asking.cancel()
    snapshot = await database.load()
    happened = not snapshot.publications
    assert happened == bool(snapshot.files) == bool(snapshot.outbox)


async def test_what_was_asked_is_done_though_nobody_waits(database: Database) -> None:
    """A link that breaks cancels the wait, not the transaction: an answered notification is not sent again."""
    go_on = threading.Event()
    kept = await database.add_publication(publication())
    told = await database.record(kept, [notification("Downloading")])
    database._thread.submit(go_on.wait, 60)
    async with asyncio.TaskGroup() as tasks:
        settling = tasks.create_task(database.settle(told[0]))
        await asyncio.sleep(0)
        settling.cancel()
        await asyncio.wait([settling])
        assert settling.cancelled()
        go_on.set()
    assert (await database.load()).outbox == ()


async def test_a_closed_one_is_a_storage_error(path: Path) -> None:
    """What comes after the end is told so; closing twice does no harm."""
    database = await Database.open(path)
    async with asyncio.TaskGroup() as tasks:
        asked = tasks.create_task(database.add_publication(publication()))
        await asyncio.sleep(0)
        await database.close()
    assert asked.result().id == 1  # what was asked before is done
    await database.close()
    attempts: list[Callable[[], Awaitable[object]]] = [database.load, lambda: database.withdraw("x")]
    for attempt in attempts:
        with pytest.raises(StorageError, match="the database is closed") as caught:
            await attempt()
        assert caught.value.operation == "commit"


def modes(folder: Path) -> dict[str, int]:
    """The mode of each file in there."""
    return {each.name: stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir()}


async def test_only_our_eyes_may_see_it(path: Path) -> None:
    """0600, whatever it was: locations may carry credentials. The WAL is made with the same mode."""
    os.close(os.open(path, os.O_CREAT, 0o644))
    database = await Database.open(path)
    await database.add_publication(publication())
    assert modes(path.parent) == {"state.db": 0o600, "state.db-wal": 0o600}  # and no -shm: nothing of it is mapped
    await database.close()
    assert modes(path.parent) == {"state.db": 0o600}


async def test_one_program_at_a_time(database: Database, path: Path) -> None:
    """A second one is told so, rather than given half of it."""
    with pytest.raises(StateError, match="another program is using it"):
        await Database.open(path)
    assert await database.load() == EMPTY


async def test_a_cancelled_open_leaves_nothing_open(path: Path) -> None:
    """A stop while starting: neither a thread nor a descriptor remains."""
    process = psutil.Process()
    async with asyncio.TaskGroup() as tasks:
        for turns in range(3):
            opening = tasks.create_task(Database.open(path))
            for _ in range(turns):
                await asyncio.sleep(0)
            opening.cancel()
            await asyncio.wait([opening])
    await (await Database.open(path)).close()  # not locked by any of them
    assert not [each for each in process.open_files() if each.path.startswith(str(path))]


async def test_killed_at_any_moment(path: Path, rounds: Callable[[int, int], int]) -> None:
    """Rows 1 to 4: what a method has returned from is there after kill -9, and what belongs together is together."""
    first = 1
    for _ in range(rounds(5, 100)):
        first = await _work_and_kill(path, first, random.uniform(0.05, 0.4))


async def _work_and_kill(path: Path, first: int, seconds: float) -> int:
    command = [sys.executable, "-m", "tests.store.busy", str(path), str(first)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root, text=True) as busy:  # noqa: ASYNC220
        assert busy.stdout is not None
        said = [busy.stdout.readline()]  # it has begun
        await asyncio.sleep(seconds)  # the moment of the kill, not a wait for anything
        busy.kill()
        said += busy.stdout.readlines()
    done: dict[int, set[str]] = defaultdict(set)
    for line in said:
        request_id, step = line.split()
        done[int(request_id)].add(step)
    return await _check_kept(path, done)


async def _check_kept(path: Path, done: dict[int, set[str]]) -> int:
    """Hold what is kept against what the killed program had been told; the next free requestId."""
    database = await Database.open(path)
    snapshot = await database.load()
    files = {int(each.checksum, 16) for each in snapshot.files}
    states = {each.request_id: each.state for each in snapshot.publications}
    for request_id, steps in done.items():
        assert await database.knows_request(request_id, NOW)
        waiting = [each.status for each in snapshot.outbox if each.request_id == request_id]
        published = request_id not in states  # it has ended
        assert published >= ("published" in steps)
        assert ("Published" in waiting) <= published
        assert ("Downloading" in waiting) <= (states.get(request_id) is not State.ACCEPTED)
        assert not waiting or "settled" not in steps
        assert (request_id in files) <= published
        assert (request_id in files) == published or (request_id % 2 and "settled" in steps)
        assert "withdrawn" not in steps or request_id not in files
    for each in snapshot.publications:  # the next round's are counted by themselves
        await database.record(replace(each, state=State.CANCELLED))
    following = max(done) + 1
    following += await database.knows_request(following, NOW)  # kept, and killed before it could say so
    await database.close()
    return following


async def test_damage_that_shows_later(database: Database, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Row 8: it is set aside at once, nothing is written to it any more, and whoever waits for ``damaged`` is told."""
    schema = "PRAGMA writable_schema = ON; UPDATE sqlite_master SET rootpage = 9999 WHERE name = 'outbox';"
    database._connection.executescript(f"{schema} PRAGMA writable_schema = RESET")
    for _ in range(2):
        with pytest.raises(StorageError):
            await database.record(publication(), [notification()])
    async with asyncio.timeout(10):
        await database.damaged.wait()
    assert len([each for each in path.parent.iterdir() if ".damaged-" in each.name and each.suffix != ".x"]) >= 1
    assert not path.exists()
    assert [each.levelname for each in caplog.records] == ["ERROR"]


async def test_a_full_outbox_keeps_what_is_final(database: Database) -> None:
    """Beyond its bound, states that were passed through make room; what is returned is what waits."""
    kept = await database.add_publication(publication())
    for turn in range(MOST // 2 + 10):
        await database.record(kept, [notification("Downloading"), notification("DownloadPaused")])
        if turn == 3:
            await database.record(kept, [notification("Published", request_id=2)])
    outbox = (await database.load()).outbox
    assert len(outbox) == MOST
    assert "Published" in {each.status for each in outbox}
