"""Putting verified files in their place and taking them away."""

import asyncio
import logging
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from unittest.mock import patch

import pytest

from localctl.errors import StorageError
from localctl.store.catalogue import PublishedFile, Withdrawal
from localctl.store.database import Database
from localctl.store.files import FirmwareFiles
from localctl.store.intake import BLOCK, Digests, digest_file
from localctl.store.records import ENDED, FileRecord, Publication, Snapshot, State
from tests.store.samples import BODY, CHECKSUM, NOW, file_record, file_size_limit, got, notification, publication, put
from tests.store.stores import ON_DISK, Store, started
from tests.store.traced import placed

OTHER = "0" * 32


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """A new one."""
    async with started(tmp_path) as made:
        yield made


async def test_a_file_is_lent_from_add_to_withdraw(store: Store) -> None:
    """L03.FR.09, L04.FR.01, FR.02: not before it is on record, and not after; then it is gone from the disk."""
    kept = await store.verified()
    await store.shelf.rename(kept)
    assert not store.is_lent()
    done = replace(kept, state=State.PUBLISHED)
    (told,) = await store.shelf.add(done, file_record(), [notification("Published")])
    assert store.catalogue.files() == (
        PublishedFile(
            CHECKSUM, "fw.bin", store.files.published(CHECKSUM, "fw.bin"), len(BODY), file_record().sha256, NOW
        ),
    )
    snapshot = await store.database.load()
    assert (snapshot.publications, snapshot.files, snapshot.outbox) == ((), (file_record(),), (told,))
    assert (store.value("firmware_published_files"), store.value("firmware_published_bytes")) == (1, len(BODY))
    assert store.on_disk() == ON_DISK
    assert await store.shelf.withdraw(CHECKSUM) is Withdrawal.WITHDRAWN
    assert not store.is_lent()
    assert (await store.database.load()).files == ()
    assert store.on_disk() == set()
    assert (store.value("firmware_published_files"), store.value("firmware_published_bytes")) == (0, 0)


async def test_withdrawing_what_is_not_published(store: Store) -> None:
    """L04.FR.03."""
    assert await store.shelf.withdraw(CHECKSUM) is Withdrawal.ABSENT


async def test_withdrawing_what_is_lent(store: Store) -> None:
    """L04.FR.04: it stays, on the disk and on record; once the transfer is over it can go."""
    await store.published()
    loan = store.catalogue.lend(CHECKSUM, "fw.bin", "ftp", "192.0.2.1", NOW)
    assert await store.shelf.withdraw(CHECKSUM) is Withdrawal.LENT
    assert store.on_disk() == ON_DISK
    assert (await store.database.load()).files == (file_record(),)
    store.catalogue.end(loan)
    assert await store.shelf.withdraw(CHECKSUM) is Withdrawal.WITHDRAWN


async def test_renaming_twice(store: Store) -> None:
    """Row 3: the second time finds it done."""
    kept = await store.verified()
    for _ in range(2):
        await store.shelf.rename(kept)
        assert store.on_disk() == ON_DISK


async def test_renaming_what_has_vanished(store: Store) -> None:
    """L03.FR.08: a file that is nowhere is never announced."""
    kept = await store.verified()
    store.files.discard(kept.id)
    with pytest.raises(StorageError, match="not there any more"):
        await store.shelf.rename(kept)


async def test_a_commit_that_fails_lends_nothing(store: Store) -> None:
    """Row 6: what can be lent is always on record."""
    kept = await store.verified()
    await store.shelf.rename(kept)
    with file_size_limit(0), pytest.raises(StorageError) as caught:
        await store.shelf.add(replace(kept, state=State.PUBLISHED), file_record(), [notification("Published")])
    assert caught.value.operation == "commit"
    assert not store.is_lent()
    assert await store.database.load() == Snapshot((kept,), (), (), None)
    assert store.value("firmware_published_files") == 0


async def test_a_withdrawal_that_cannot_be_committed_leaves_it_published(store: Store) -> None:
    """Row 6: what is published stays served, and the next try succeeds."""
    await store.published()
    with file_size_limit(0), pytest.raises(StorageError) as caught:
        await store.shelf.withdraw(CHECKSUM)
    assert caught.value.operation == "commit"
    assert store.is_lent()
    assert store.on_disk() == ON_DISK
    assert store.value("firmware_published_files") == 1
    assert await store.shelf.withdraw(CHECKSUM) is Withdrawal.WITHDRAWN


@asynccontextmanager
async def database_held(store: Store) -> AsyncIterator[Callable[[], None]]:
    """The database does nothing until the function given is called."""
    go_on = threading.Event()
    store.database._thread.submit(go_on.wait, 60)
    try:
        yield go_on.set
    finally:
        go_on.set()


async def test_a_cancelled_withdrawal_is_carried_to_its_end(store: Store) -> None:
    """Row 4: a link that breaks in mid-request leaves no file that is withdrawn here and published there."""
    await store.published()
    async with database_held(store) as go_on, asyncio.TaskGroup() as tasks:
        withdrawing = tasks.create_task(store.shelf.withdraw(CHECKSUM))
        await asyncio.sleep(0)
        assert not store.is_lent()
        withdrawing.cancel()
        await asyncio.sleep(0)
        assert not withdrawing.done()
        go_on()
    assert withdrawing.cancelled()
    assert (await store.database.load()).files == ()
    assert store.on_disk() == set()


async def test_a_cancelled_addition_is_carried_to_its_end(store: Store) -> None:
    """Row 3: what is on record can be lent, and the reverse."""
    kept = await store.verified()
    await store.shelf.rename(kept)
    done = replace(kept, state=State.PUBLISHED)
    async with database_held(store) as go_on, asyncio.TaskGroup() as tasks:
        adding = tasks.create_task(store.shelf.add(done, file_record(), [notification("Published")]))
        await asyncio.sleep(0)
        adding.cancel()
        go_on()
    assert adding.cancelled()
    assert store.is_lent()
    assert (await store.database.load()).files == (file_record(),)


async def test_digests_of_what_a_kill_left(store: Store) -> None:
    """Row 2: under its partial name, under its own, or nowhere."""
    whole = Digests(CHECKSUM, file_record().sha256, len(BODY))
    kept = await store.verified()
    assert await store.shelf.digest(kept) == whole
    await store.shelf.rename(kept)
    assert await store.shelf.digest(kept) == whole
    put(store.files.published(CHECKSUM, "fw.bin"), BODY[:-1])
    cut = await store.shelf.digest(kept)
    assert cut is not None
    assert cut.md5 != CHECKSUM
    await store.shelf.discard(kept)
    assert await store.shelf.digest(kept) is None


async def test_a_stop_does_not_wait_for_hashing(store: Store) -> None:
    """A restart hashes gigabytes on a slow card: cancelled, it is over with the block that is being read."""
    kept = await store.verified()
    put(store.files.partial(kept.id), bytes(8 * BLOCK))
    loop, begun, go_on, reads = asyncio.get_running_loop(), asyncio.Event(), threading.Event(), count()
    read = os.read

    def slowly(descriptor: int, size: int) -> bytes:
        if size == BLOCK:
            next(reads)
            loop.call_soon_threadsafe(begun.set)
            go_on.wait(60)
        return read(descriptor, size)

    with patch.object(os, "read", slowly):
        async with asyncio.TaskGroup() as tasks:
            hashing = tasks.create_task(store.shelf.digest(kept))
            await begun.wait()
            hashing.cancel()
            await asyncio.wait([hashing])
            go_on.set()
        await store.shelf.discard(kept)
        await asyncio.to_thread(store.threads.shutdown)
    assert next(reads) == 1


@pytest.mark.parametrize("state", [State.DOWNLOAD_FAILED, State.INVALID_CHECKSUM, State.PUBLISH_FAILED])
async def test_discarding_takes_what_was_collected_and_renamed(store: Store, state: State) -> None:
    """Row 5: neither the partial file nor what was never published stays."""
    kept = await store.verified()
    await store.shelf.rename(kept)
    put(store.files.partial(kept.id), BODY)
    await store.shelf.discard(replace(kept, state=state))
    assert store.on_disk() == set()


async def test_discarding_leaves_what_is_published(store: Store) -> None:
    """Another publication of the same checksum ends: the file of the first stays."""
    await store.published()
    another = await store.verified()
    await store.shelf.discard(replace(another, state=State.PUBLISHED))
    assert store.on_disk() == ON_DISK


async def test_discarding_a_cancelled_one_leaves_what_another_has_renamed(store: Store) -> None:
    """Between its rename and its record, the file of another publication of the same checksum is safe."""
    kept = await store.verified()
    await store.shelf.rename(kept)
    cancelled = await store.database.add_publication(publication(2))
    put(store.files.partial(cancelled.id), b"begun")
    await store.shelf.discard(replace(cancelled, state=State.CANCELLED))
    assert store.on_disk() == ON_DISK


async def test_discarding_in_vain_is_logged_and_counted(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be unlinked is left for the next start, and ends nothing."""
    kept = await store.verified()
    partials = store.files.partial(1).parent
    store.files.discard(kept.id)
    _replace_by_file(partials)
    await store.shelf.discard(kept)
    assert store.value("storage_errors_total", operation="unlink") == 1
    assert "stays on the disk until the next start" in caplog.text


def _replace_by_file(folder: Path) -> None:
    folder.rmdir()
    folder.touch()


@dataclass(frozen=True)
class Half:
    """Work half done, and what the next start makes of it: what is lent, what is on disk, what is under way."""

    leave: Callable[[FirmwareFiles], None]
    publication: Publication | None = None
    record: FileRecord | None = None
    lent: bool = False
    on_disk: frozenset[str] = frozenset()
    damaged: bool = False


def _named(files: FirmwareFiles, body: bytes = BODY) -> None:
    files.published(CHECKSUM, "fw.bin").parent.mkdir()
    files.published(CHECKSUM, "fw.bin").write_bytes(body)


def _linked_file(files: FirmwareFiles) -> None:
    victim = files.root / "victim"
    victim.write_bytes(BODY)
    files.published(CHECKSUM, "fw.bin").parent.mkdir()
    files.published(CHECKSUM, "fw.bin").symlink_to(victim)


def _linked_folder(files: FirmwareFiles) -> None:
    victim = files.root / "victims"
    victim.mkdir()
    (victim / "fw.bin").write_bytes(BODY)
    files.published(CHECKSUM, "fw.bin").parent.symlink_to(victim)


def _collected(files: FirmwareFiles) -> None:
    files.partial(1).write_bytes(BODY)


WHOLE = frozenset(ON_DISK)
HALVES = {
    "partial of nothing": Half(_collected),
    "partial of an ended publication": Half(_collected, publication(state=State.CANCELLED)),
    "partial of a publication under way": Half(
        _collected, publication(state=State.DOWNLOADING), on_disk=frozenset({"partial/1"})
    ),
    "verified, not renamed": Half(_collected, publication(state=State.VERIFIED), on_disk=frozenset({"partial/1"})),
    "renamed, not recorded": Half(_named, publication(state=State.VERIFIED), on_disk=WHOLE),
    "renamed, and failed since": Half(_named, publication(state=State.PUBLISH_FAILED)),
    "renamed, its verification not recorded": Half(_named, publication(state=State.DOWNLOADING)),
    "renamed, by nobody": Half(_named),
    "an empty folder of nothing": Half(lambda files: files.published(CHECKSUM, "x").parent.mkdir()),
    "recorded and whole": Half(_named, record=file_record(request_id=1), lent=True, on_disk=WHOLE),
    "recorded, missing": Half(lambda _: None, record=file_record(), damaged=True),
    "recorded, folder empty": Half(
        lambda files: files.published(CHECKSUM, "x").parent.mkdir(), record=file_record(), damaged=True
    ),
    "recorded, cut short": Half(lambda files: _named(files, BODY[:-1]), record=file_record(), damaged=True),
    "recorded, grown": Half(lambda files: _named(files, BODY + b"x"), record=file_record(), damaged=True),
    "recorded, a link": Half(_linked_file, record=file_record(), damaged=True),
    "recorded, in a linked folder": Half(_linked_folder, record=file_record(), damaged=True),
    "withdrawn, not unlinked": Half(_named, publication(state=State.PUBLISHED)),
}


async def _leave(state_dir: Path, half: Half) -> None:
    files = FirmwareFiles(state_dir)
    files.prepare()
    database = await Database.open(state_dir / "localctl.db")
    kept = await database.add_publication(half.publication or publication())
    changed = half.publication or publication(state=State.PUBLISHED)
    await database.record(replace(changed, id=kept.id if half.publication or half.record else 99), (), half.record)
    if not half.publication:
        await database.record(replace(kept, state=State.PUBLISHED))
    await database.close()
    half.leave(files)


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
async def test_a_start_sets_half_done_work_right(half: Half, tmp_path: Path) -> None:
    """Rows 2, 3, 4, 7 and 38: and a second start finds nothing left to do."""
    await _leave(tmp_path, half)
    for turn in range(2):
        async with started(tmp_path) as store:
            assert store.is_lent() == half.lent
            assert store.on_disk() == half.on_disk
            under_way = half.publication is not None and half.publication.state not in ENDED
            snapshot = await store.database.load()
            assert len(snapshot.publications) == under_way
            assert snapshot.files == ((half.record,) if half.lent else ())
            assert store.value("firmware_integrity_failures_total") == (half.damaged and turn == 0)
            assert store.value("firmware_published_files") == half.lent
    for victim in ("victim", "victims/fw.bin"):
        if half.leave in {_linked_file, _linked_folder}:
            assert not (tmp_path / victim).exists() or got(tmp_path / victim) == BODY


@pytest.mark.parametrize("name", ["verified, not renamed", "renamed, not recorded"])
async def test_what_was_verified_is_published_after_a_start(name: str, tmp_path: Path) -> None:
    """Rows 2 and 3: after hashing it again."""
    await _leave(tmp_path, HALVES[name])
    async with started(tmp_path) as store:
        (kept,) = store.snapshot.publications
        found = await store.shelf.digest(kept)
        assert found is not None
        assert found.md5 == CHECKSUM
        await store.shelf.rename(kept)
        await store.shelf.add(replace(kept, state=State.PUBLISHED), file_record(), [notification("Published")])
        assert store.is_lent()
    async with started(tmp_path) as store:
        assert store.is_lent()
        assert store.on_disk() == ON_DISK


async def test_a_disk_that_cannot_be_read_does_not_hinder_the_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Row 6: what can be served is served; the rest stays on record for the next start, said and counted."""
    async with started(tmp_path) as store:
        done = await store.published()
        unreadable = file_record(checksum=OTHER, name="x" * 300)  # ENAMETOOLONG, as good as EIO
        await store.database.record(done, (), unreadable)
        snapshot = await store.database.load()
        (store.files.root / "firmware" / OTHER).mkdir()
        _replace_by_file(tmp_path / "partial")
        await store.shelf.recover(snapshot)
        assert store.is_lent()
        assert [each.checksum for each in store.catalogue.files()] == [CHECKSUM]
        assert (await store.database.load()).files == snapshot.files
        assert store.value("storage_errors_total", operation="read") == 2
        assert store.value("firmware_integrity_failures_total") == 0
    told = [record.message for record in caplog.records if record.levelno == logging.ERROR]
    assert [line.partition(":")[0] for line in told] == [
        "what a stop in mid-work left behind stays on the disk",
        "a published file is not served until the next start",
    ]


def test_a_full_disk_hinders_neither_the_start_nor_what_is_published(tmp_path: Path) -> None:
    """Row 5, on a file system of 512 KiB: each failure is said, nothing is lost, and room makes it good."""
    confined = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*confined, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here without being root")
    mounted = 'mount -t tmpfs -o size=512k tmpfs "$1" && exec "$2" -m tests.store.crowded "$1"'
    command = [*confined, "sh", "-c", mounted, "sh", str(tmp_path), sys.executable]
    root = Path(__file__).parents[2]
    run = subprocess.run(command, capture_output=True, text=True, cwd=root, timeout=120, check=False)
    assert run.stdout.splitlines() == [
        "started, lent: True",
        "commit: failed commit",
        "withdraw: failed commit",
        "lent: True",
        "write: done failed write",
        "commit: done",
        "knows: True",
    ], run.stderr


async def test_an_unlink_that_fails_is_made_up_for_at_the_next_start(tmp_path: Path) -> None:
    """L04.FR.02: the withdrawal is not said to be done; it is not served any more, and stays gone."""
    said = placed(tmp_path / "state", "unlinkat:error=EIO:when=1")
    assert said == ["downloading", "verified", "renamed", "published", "failed unlink", "done"]
    async with started(tmp_path / "state") as store:
        assert not store.is_lent()
        assert store.on_disk() == set()


@pytest.mark.parametrize(
    ("call", "where", "said"),
    [
        ("rename", "partial/1", "failed rename"),
        ("mkdir", f"firmware/{CHECKSUM}", "failed write"),
        ("fsync", "firmware", "failed fsync"),
        ("fsync", f"firmware/{CHECKSUM}", "failed fsync"),
    ],
)
async def test_a_rename_that_fails_publishes_nothing(call: str, where: str, said: str, tmp_path: Path) -> None:
    """L03.FR.08, row 6: whichever of its system calls fails; the verified file is found again at the next start."""
    state_dir = tmp_path / "state"
    told = placed(state_dir, f"{call}:error=EIO:when=1", paths=(state_dir / where,))
    assert told == ["downloading", "verified", said, "done"]
    async with started(state_dir) as store:
        (kept,) = store.snapshot.publications
        assert not store.is_lent()
        found = await store.shelf.digest(kept)
        assert found is not None
        assert found.md5 == CHECKSUM


@pytest.mark.parametrize(
    ("call", "where"),
    [
        ("write", "partial/1"),
        ("fsync", "partial/1"),
        ("fsync", "partial"),
        ("mkdir", f"firmware/{CHECKSUM}"),
        ("fsync", "firmware"),
        ("rename", "partial/1"),
        ("fsync", f"firmware/{CHECKSUM}"),
        ("fdatasync", "localctl.db-wal"),
        ("unlinkat", f"firmware/{CHECKSUM}"),
        ("rmdir", f"firmware/{CHECKSUM}"),
    ],
)
async def test_killed_at_every_step(call: str, where: str, tmp_path: Path) -> None:
    """Rows 1 to 4: whatever the kill came before, the next start finds one story on record, on disk and on loan."""
    killed = 0
    while True:
        state_dir = tmp_path / str(killed)
        said = placed(state_dir, f"{call}:signal=KILL:when={killed + 1}", paths=(state_dir / where,))
        async with started(state_dir) as store:
            await _check_story(store, said)
        if "done" in said:
            break
        killed += 1
    assert killed, "nothing was hit"


async def _check_story(store: Store, said: list[str]) -> None:
    under_way = {each.state for each in store.snapshot.publications}
    if "verified" in said and "published" not in said and under_way:
        (kept,) = store.snapshot.publications
        found = await store.shelf.digest(kept)
        assert found is not None
        assert found.md5 == CHECKSUM
        await store.shelf.rename(kept)
        await store.shelf.add(replace(kept, state=State.PUBLISHED), file_record(), [notification("Published")])
    snapshot = await store.database.load()
    assert store.is_lent() == bool(snapshot.files)
    assert not (store.is_lent() and snapshot.publications)
    assert ("published" in said or "verified" in said) <= (snapshot.outbox != ())
    assert not ("withdrawn" in said and store.is_lent())
    if store.is_lent():
        assert store.on_disk() == ON_DISK
        assert digest_file(store.files.published(CHECKSUM, "fw.bin")).md5 == CHECKSUM
    else:
        assert store.on_disk() <= ({"partial/1"} if snapshot.publications else set())
