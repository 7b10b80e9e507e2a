"""PublishFirmware and UnpublishFirmware, and what several publications do to each other."""

import asyncio
import gc
import logging
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from localctl.errors import StorageError
from localctl.ocpp.messages import PublishFirmwareRequest
from localctl.store.catalogue import Withdrawal
from localctl.store.files import FirmwareFiles
from localctl.store.records import State
from tests.actors.news import TIMEOUT
from tests.actors.origin import Origin, Reply
from tests.mirror.workshop import Mirror, image, md5, mirror, until, uris

BODY: Final = image(400_000)
MD5: Final = md5(BODY)
OTHER: Final = image(400_000, seed=1)
OTHER_MD5: Final = md5(OTHER)
WHOLE: Final = ["Downloading", "Downloaded", "ChecksumVerified", "Published"]
LATER: Final = Reply(status=503, headers=[("Retry-After", "3000")])  # paused, until it is cancelled
STALLED: Final = Reply(BODY, stall_after=100_000)


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    """An origin that does as it is told."""
    async with Origin() as made:
        yield made


def rejected(answered: Any) -> str:
    """The reason code of a rejection."""
    assert answered["status"] == "Rejected"
    assert answered["statusInfo"]["additionalInfo"]
    return str(answered["statusInfo"]["reasonCode"])


async def test_nothing_begins_before_the_answer(origin: Origin, tmp_path: Path) -> None:
    """L03.FR.05: Accepted is said first; until it is on its way nothing is asked of the origin, and nothing told."""
    async with mirror(tmp_path) as made:
        location = origin.script("/fw.bin", Reply(BODY))
        answered, then = await made.publisher.accept(
            PublishFirmwareRequest(location=location, checksum=MD5.upper(), requestId=1)
        )
        assert answered == {"status": "Accepted"}
        assert then is not None
        assert (origin.requests, made.told, made.publisher.jobs()) == ([], [], ())
        then()
        assert await made.ended() == WHOLE
        assert made.count("publish_requests_total", status="Accepted") == 1


@pytest.mark.parametrize(
    ("location", "checksum", "reason"),
    [
        ("http://127.0.0.1:1/fw.bin", "0" * 31, "InvalidValue"),
        ("sftp://127.0.0.1:1/fw.bin", MD5, "InvalidURL"),
        ("http://10.0.0.1/fw.bin", MD5, "InvalidURL"),
        ("nothing", MD5, "InvalidURL"),
    ],
)
async def test_what_cannot_be_taken_on(tmp_path: Path, location: str, checksum: str, reason: str) -> None:
    """L03.FR.05: Rejected with a reason code; nothing of it is kept, and its requestId may be used again."""
    async with mirror(tmp_path) as made:
        assert rejected(await made.ask(location, checksum)) == reason
        assert (await made.kept()).publications == ()
        assert made.count("publish_requests_total", status="Rejected") == 1
        assert rejected(await made.ask(location, checksum)) == reason


async def test_a_request_id_twice(origin: Origin, tmp_path: Path) -> None:
    """Faults, row 32: Rejected/DuplicateRequestId, also after the first has ended, also after a restart."""
    location = origin.script("/fw.bin", Reply(BODY))
    async with mirror(tmp_path) as made:
        await made.publish(location, MD5, 7)
        assert rejected(await made.ask(location, OTHER_MD5, 7)) == "DuplicateRequestId"
        await made.ended(7)
        assert rejected(await made.ask(location, MD5, 7)) == "DuplicateRequestId"
    async with mirror(tmp_path) as made:
        assert rejected(await made.ask(location, MD5, 7)) == "DuplicateRequestId"


async def test_a_request_id_twice_at_once(origin: Origin, tmp_path: Path) -> None:
    """Faults, row 32: one of them is accepted, whoever else waits for the database."""
    location = origin.script("/fw.bin", Reply(BODY))
    async with mirror(tmp_path) as made:
        asked = await asyncio.gather(made.ask(location, MD5, 7), made.ask(location, OTHER_MD5, 7))
        assert sorted(str(answered["status"]) for answered in asked) == ["Accepted", "Rejected"]
        assert rejected(next(each for each in asked if each["status"] == "Rejected")) == "DuplicateRequestId"


class Full(FirmwareFiles):
    """A disk with no space left."""

    def space(self) -> tuple[int, int]:
        """None at all."""
        return 0, 2**30


async def test_no_space_left(origin: Origin, tmp_path: Path) -> None:
    """Faults, row 5: known before: Rejected/OutOfStorage; but what is published already needs no space."""
    location = origin.script("/fw.bin", Reply(BODY))
    async with mirror(tmp_path) as made:
        await made.publish(location, MD5, 1)
        await made.ended(1)
    async with mirror(tmp_path, files=Full(tmp_path), min_free_space=1) as made:
        assert rejected(await made.ask(location, OTHER_MD5, 2)) == "OutOfStorage"
        await made.publish(location, MD5, 3)
        assert await made.ended(3) == ["Published"]


class Sluggish(FirmwareFiles):
    """A disk that says nothing before the main loop has turned; full, where that is held up."""

    def __init__(self, state_dir: Path) -> None:
        super().__init__(state_dir)
        self.asked = threading.Event()
        self.turned = threading.Event()

    def space(self) -> tuple[int, int]:
        """What there is."""
        self.asked.set()
        return super().space() if self.turned.wait(5) else (0, 0)


async def test_a_slow_disk_holds_up_nobody(origin: Origin, tmp_path: Path) -> None:
    """Loops and threads: while the disk is asked for its space, relays and heartbeats go on."""
    disk = Sluggish(tmp_path)
    async with mirror(tmp_path, files=disk, min_free_space=1) as made:
        async with asyncio.TaskGroup() as tasks:
            location = origin.script("/fw.bin", Reply(BODY))
            asked = tasks.create_task(made.publish(location, MD5), name="ask")
            await until(disk.asked.is_set)
            disk.turned.set()
            await asked
        assert await made.ended() == WHOLE


class Broken(FirmwareFiles):
    """A disk that cannot even be asked."""

    def space(self) -> tuple[int, int]:
        """Fail."""
        raise StorageError("read", str(self.root), OSError(5, "Input/output error"))


async def test_a_disk_that_cannot_be_asked(tmp_path: Path) -> None:
    """Faults, row 6: no publication is taken on that could not be kept."""
    async with mirror(tmp_path, files=Broken(tmp_path)) as made:
        assert rejected(await made.ask("http://127.0.0.1:1/fw.bin", MD5)) == "OutOfStorage"


async def test_a_request_that_cannot_be_kept(tmp_path: Path) -> None:
    """Faults, row 6: not accepted unless it is on record."""
    async with mirror(tmp_path) as made:
        made.refuse_writes(refuse=True)
        with pytest.raises(StorageError):
            await made.ask("http://127.0.0.1:1/fw.bin", MD5)
        made.refuse_writes(refuse=False)
        assert made.count("publish_requests_total", status="Accepted") == 0
        assert (await made.kept()).publications == ()


@pytest.mark.parametrize("retries", [-1, 0])
async def test_fewer_retries_than_none(origin: Origin, tmp_path: Path, retries: int) -> None:
    """OCPP 2.0.1 has no minimum for ``retries``: less than none is none."""
    async with mirror(tmp_path) as made:
        await made.publish(origin.script("/fw.bin", Reply(status=503)), MD5, retries=retries, retryInterval=-5)
        assert await made.ended() == ["Downloading", "DownloadFailed"]


async def test_a_third_publication_waits(origin: Origin, tmp_path: Path) -> None:
    """Faults, row 32: ``max_concurrent_downloads`` is 2: DownloadScheduled first, then it has its turn."""
    files = [image(200_000, seed) for seed in range(3)]
    async with mirror(tmp_path) as made:
        for number, body in enumerate(files):
            location = origin.script(f"/{number}.bin", Reply(body, stall_after=100_000))
            await made.publish(location, md5(body), number)
        await made.status("DownloadScheduled", 2)
        made.publisher.count()
        assert [made.count("publications", state=state) for state in ("downloading", "scheduled")] == [2, 1]
        assert len(made.publisher.jobs()) == 3
        await until(lambda: len(origin.requests) == 2)
        origin.release()
        assert await made.ended(0) == await made.ended(1) == WHOLE
        assert await made.ended(2) == ["DownloadScheduled", *WHOLE]
        made.publisher.count()
        assert made.count("publications", state="downloading") == 0


async def test_a_checksum_that_is_published(origin: Origin, tmp_path: Path) -> None:
    """Faults, row 32: Accepted, then only Published with the URIs first given, and nothing is fetched."""
    location = origin.script("/first.bin", Reply(BODY))
    async with mirror(tmp_path) as made:
        await made.publish(location, MD5, 1)
        await made.ended(1)
        await made.publish(origin.url + "/second.bin", MD5.upper(), 2)
        assert await made.ended(2) == ["Published"]
        assert made.told[-1].location == uris(MD5, "first.bin")
        assert len(made.published()) == 1
        assert await made.publisher.withdraw(MD5) is Withdrawal.WITHDRAWN  # for all
        assert await made.publisher.withdraw(MD5) is Withdrawal.ABSENT
    assert len(origin.requests) == 1


async def test_a_checksum_that_is_being_fetched(origin: Origin, tmp_path: Path) -> None:
    """Faults, row 32: it waits for the first, and is published with it by one download."""
    location = origin.script("/fw.bin", STALLED)
    async with mirror(tmp_path) as made:
        for request_id in (1, 2, 3):
            await made.publish(location, MD5, request_id)
        await made.status("DownloadScheduled", 3)
        origin.release()
        assert await made.ended(1) == WHOLE
        assert await made.ended(2) == await made.ended(3) == ["DownloadScheduled", "Published"]
    assert len(origin.requests) == 1


async def test_the_next_tries_where_the_first_has_failed(origin: Origin, tmp_path: Path) -> None:
    """The same checksum from another origin is fetched on its own account."""
    async with mirror(tmp_path) as made:
        await made.publish(origin.script("/silent.bin", Reply(status=404, silent=True)), MD5, 1)
        await made.publish(origin.script("/fw.bin", Reply(BODY)), MD5, 2)
        await made.status("DownloadScheduled", 2)
        origin.release()
        assert await made.ended(1) == ["Downloading", "DownloadFailed"]
        assert await made.ended(2) == ["DownloadScheduled", *WHOLE]


async def test_a_published_file_is_withdrawn(origin: Origin, tmp_path: Path) -> None:
    """L04.FR.01 to FR.03: gone from the disk and the record when the answer is there; then NoFirmware; then anew."""
    location = origin.script("/fw.bin", Reply(BODY))
    async with mirror(tmp_path) as made:
        await made.publish(location, MD5, 1)
        await made.ended(1)
        assert await made.publisher.withdraw(MD5.upper()) is Withdrawal.WITHDRAWN
        assert made.published() == []
        assert (await made.kept()).files == ()
        assert await made.publisher.withdraw(MD5) is Withdrawal.ABSENT
        await made.publish(location, MD5, 2)
        assert await made.ended(2) == WHOLE
        statuses = ("Unpublished", "NoFirmware", "DownloadOngoing")
        assert [made.count("unpublish_requests_total", status=status) for status in statuses] == [1, 1, 0]


async def test_a_file_that_a_station_is_downloading_stays(origin: Origin, tmp_path: Path) -> None:
    """L04.FR.04: DownloadOngoing as long as it is lent."""
    async with mirror(tmp_path) as made:
        await made.publish(origin.script("/fw.bin", Reply(BODY)), MD5)
        await made.ended()
        loan = made.shop.catalogue.lend(MD5, "fw.bin", "http", "10.0.0.9", 0.0)
        assert await made.publisher.withdraw(MD5) is Withdrawal.LENT
        made.shop.catalogue.end(loan)
        assert await made.publisher.withdraw(MD5) is Withdrawal.WITHDRAWN


async def test_a_publication_whose_bytes_flow_stays(origin: Origin, tmp_path: Path) -> None:
    """Faults, row 31: DownloadOngoing, neither it nor another that waits for the same file is touched."""
    async with mirror(tmp_path) as made:
        for request_id in (1, 2):
            await made.publish(origin.script("/fw.bin", STALLED), MD5, request_id)
        await made.status("DownloadScheduled", 2)
        assert await made.publisher.withdraw(MD5) is Withdrawal.LENT
        origin.release()
        assert (await made.ended(1))[-1] == (await made.ended(2))[-1] == "Published"


async def is_cancelled(made: Mirror, *request_ids: int) -> None:
    """Withdraw, and see all of these gone for good, without a further word."""
    before = {request_id: made.statuses(request_id) for request_id in request_ids}
    cancelled = made.count("publish_results_total", status="cancelled")
    assert await made.publisher.withdraw(MD5) is Withdrawal.WITHDRAWN
    assert {request_id: made.statuses(request_id) for request_id in request_ids} == before
    assert not {each.request_id for each in (await made.kept()).publications} & set(request_ids)
    assert made.count("publish_results_total", status="cancelled") == cancelled + len(request_ids)
    assert await made.publisher.withdraw(MD5) is Withdrawal.ABSENT


async def test_a_paused_publication_is_cancelled(origin: Origin, tmp_path: Path) -> None:
    """Faults, row 31: Unpublished; its partial file is gone, and it does not come back with a restart."""
    async with mirror(tmp_path) as made:
        location = origin.script("/fw.bin", Reply(BODY, cut_after=100_000), LATER)
        await made.publish(location, MD5, retries=5)
        await made.status("DownloadPaused", times=2)
        assert made.partial() != []
        await is_cancelled(made, 1)
        assert (made.partial(), made.publisher.jobs()) == ([], ())
    async with mirror(tmp_path) as made:
        assert made.snapshot.publications == ()


async def test_a_scheduled_publication_is_cancelled(origin: Origin, tmp_path: Path) -> None:
    """Faults, row 31: one that waits for a slot; the one that has the slot goes on, and the slot is not lost."""
    async with mirror(tmp_path, max_concurrent_downloads=1) as made:
        await made.publish(origin.script("/other.bin", Reply(OTHER, stall_after=1)), OTHER_MD5, 1)
        await made.publish(origin.script("/fw.bin", Reply(BODY)), MD5, 2)
        await made.status("DownloadScheduled", 2)
        await is_cancelled(made, 2)
        origin.release()
        assert await made.ended(1) == WHOLE
        await made.publish(origin.url + "/fw.bin", MD5, 3)
        assert (await made.ended(3))[-1] == "Published"


async def test_all_that_wait_for_one_file_are_cancelled(origin: Origin, tmp_path: Path) -> None:
    """L04.FR.04: one is paused, two wait for it: cancelling the first must not let the second begin."""
    async with mirror(tmp_path) as made:
        location = origin.script("/fw.bin", LATER)
        for request_id in (1, 2, 3):
            await made.publish(location, MD5, request_id)
        await made.status("DownloadPaused", 1)
        await made.status("DownloadScheduled", 3)
        await is_cancelled(made, 1, 2, 3)
    assert len(origin.requests) == 1


async def test_a_request_that_comes_in_meanwhile(origin: Origin, tmp_path: Path) -> None:
    """L04: what was there is cancelled, what comes during it is not: it goes on to its end."""
    async with mirror(tmp_path) as made:
        location = origin.script("/fw.bin", LATER)
        for request_id in range(6):
            await made.publish(location, MD5, request_id)
        await made.status("DownloadPaused", 0)
        await made.status("DownloadScheduled", 5)
        origin.script("/new.bin", Reply(BODY, stall_after=1))
        async with asyncio.TaskGroup() as tasks:
            withdrawal = tasks.create_task(made.publisher.withdraw(MD5), name="withdraw")
            tasks.create_task(made.publish(origin.url + "/new.bin", MD5, 6), name="publish")
        assert withdrawal.result() in {Withdrawal.LENT, Withdrawal.WITHDRAWN}
        assert [each.request_id for each in (await made.kept()).publications] == [6]
        origin.release()
        assert (await made.ended(6))[-1] == "Published"
        assert len(made.published()) == 1


async def test_an_unknown_checksum(tmp_path: Path) -> None:
    """Faults, row 31: NoFirmware."""
    async with mirror(tmp_path) as made:
        assert await made.publisher.withdraw(MD5) is Withdrawal.ABSENT
        assert await made.publisher.withdraw("") is Withdrawal.ABSENT


async def test_a_cancellation_that_cannot_be_kept(origin: Origin, tmp_path: Path) -> None:
    """L04.FR.02: not Unpublished unless it is committed; where the disk refuses, all goes on as before."""
    async with mirror(tmp_path) as made:
        location = origin.script("/fw.bin", LATER, Reply(BODY))
        for request_id in (1, 2):
            await made.publish(location, MD5, request_id)
        await made.status("DownloadPaused", 1)
        await made.status("DownloadScheduled", 2)
        made.refuse_writes(refuse=True)
        with pytest.raises(StorageError):
            await made.publisher.withdraw(MD5)
        made.refuse_writes(refuse=False)
        assert [job.publication.state for job in made.publisher.jobs()] == [State.PAUSED, State.SCHEDULED]
        await is_cancelled(made, 1, 2)


async def test_who_withdraws_goes_away(origin: Origin, tmp_path: Path) -> None:
    """L04.FR.04: ``localctl unpublish`` is interrupted: what was begun is done; nothing is left halted for ever."""
    async with mirror(tmp_path) as made:
        location = origin.script("/fw.bin", LATER)
        for request_id in (1, 2):
            await made.publish(location, MD5, request_id)
        await made.status("DownloadPaused", 1)
        await made.status("DownloadScheduled", 2)
        busy, go_on = threading.Event(), threading.Event()

        def occupy() -> None:
            busy.set()
            go_on.wait(TIMEOUT)

        made.shop.database._thread.submit(occupy)
        await until(busy.is_set)
        withdrawal = asyncio.get_running_loop().create_task(made.publisher.take_away(MD5))
        await until(lambda: not made.shop.locations._lines)  # both are halted
        withdrawal.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
        go_on.set()
        await asyncio.wait([withdrawal])
        assert made.publisher.jobs() == ()
        assert (await made.kept()).publications == ()
        await until(lambda: not made.partial())


async def test_whatever_the_moment_a_second_request_and_a_withdrawal_agree(origin: Origin, tmp_path: Path) -> None:
    """L04.FR.02: a published file is asked for again and withdrawn at once: after Unpublished no Published is told."""
    location = origin.script("/fw.bin", Reply(BODY))
    async with mirror(tmp_path) as made:
        for turn in range(30):
            await made.publish(location, MD5, 2 * turn)
            await made.ended(2 * turn)
            await made.publish(location, MD5, 2 * turn + 1)
            for _ in range(turn):
                await asyncio.sleep(0)
            assert await made.publisher.withdraw(MD5) is Withdrawal.WITHDRAWN
            told = len(made.told)
            assert (made.publisher.jobs(), made.shop.catalogue.files(), made.published()) == ((), (), [])
            assert made.statuses(2 * turn + 1) in ([], ["Published"])
            assert (await made.kept()).publications == ()
            assert len(made.told) == told


async def test_a_withdrawal_that_cannot_be_kept(origin: Origin, tmp_path: Path) -> None:
    """L04.FR.02: where the commit fails, the file is published as before."""
    async with mirror(tmp_path) as made:
        await made.publish(origin.script("/fw.bin", Reply(BODY)), MD5)
        await made.ended()
        made.refuse_writes(refuse=True)
        with pytest.raises(StorageError):
            await made.publisher.withdraw(MD5)
        made.refuse_writes(refuse=False)
        assert made.shop.catalogue.find(MD5) is not None
        assert await made.publisher.withdraw(MD5) is Withdrawal.WITHDRAWN


async def test_whatever_the_moment_a_withdrawal_leaves_nothing_half_done(origin: Origin, tmp_path: Path) -> None:
    """L04: a publication that flaps between its tries is withdrawn at every moment of it: ongoing, or gone for good."""
    location = origin.script("/fw.bin", Reply(status=503))
    verdicts: set[Withdrawal] = set()
    async with mirror(tmp_path) as made:
        for request_id in range(40):
            await made.publish(location, MD5, 2 * request_id, retries=10**6)
            await made.publish(location, MD5, 2 * request_id + 1, retries=10**6)
            for _ in range(request_id):
                await asyncio.sleep(0)
            while (verdict := await made.publisher.withdraw(MD5)) is Withdrawal.LENT:
                verdicts.add(verdict)
                assert {job.publication.request_id for job in made.publisher.jobs()} == {
                    2 * request_id,
                    2 * request_id + 1,
                }
                await asyncio.sleep(0)
            verdicts.add(verdict)
            assert (made.publisher.jobs(), (await made.kept()).publications) == ((), ())
            assert made.partial() == []
        told = len(made.told)
        assert len((await made.kept()).outbox) == told
        assert made.shop.slots.locked() is False
    assert verdicts == {Withdrawal.LENT, Withdrawal.WITHDRAWN}


async def test_what_is_published_survives_a_restart(origin: Origin, tmp_path: Path) -> None:
    """State that lasts: the file can be lent, is told at once to who asks for it, and can be withdrawn."""
    async with mirror(tmp_path) as made:
        await made.publish(origin.script("/fw.bin", Reply(BODY)), MD5, 1)
        await made.ended(1)
        (file,) = made.shop.catalogue.files()
    async with mirror(tmp_path) as made:
        assert made.shop.catalogue.files() == (replace(file),)
        await made.publish(origin.url + "/fw.bin", MD5, 2)
        assert await made.ended(2) == ["Published"]
        assert await made.publisher.withdraw(MD5) is Withdrawal.WITHDRAWN
    async with mirror(tmp_path) as made:
        assert made.shop.catalogue.files() == ()


async def test_an_end_leaves_no_lock_behind(origin: Origin, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A year of publications must not fill the memory."""
    caplog.set_level(logging.CRITICAL, "localctl.mirror")  # a record that is kept keeps the error, and that the job
    async with mirror(tmp_path) as made:
        location = origin.script("/fw.bin", Reply(status=404))
        for request_id in range(20):
            await made.publish(location, md5(str(request_id).encode()), request_id)
            await made.ended(request_id)
        await until(lambda: not made.publisher.jobs() and gc.collect() >= 0 and not made.publisher._locks)


async def test_a_damaged_file_is_fetched_again_without_a_word(origin: Origin, tmp_path: Path) -> None:
    """Row 7: found at the start, and gone on with by the next one; a CSMS that asks for it meanwhile gets it too."""
    async with mirror(tmp_path) as made:
        await made.publish(origin.script("/fw.bin", Reply(BODY), LATER, Reply(BODY)), MD5, 1)
        await made.ended(1)
        made.published()[0].write_bytes(BODY[:-1])
    async with mirror(tmp_path) as made:
        await until(lambda: [job.publication.state for job in made.publisher.jobs()] == [State.PAUSED])
        assert (made.shop.catalogue.files(), made.published()) == ((), [])
    async with mirror(tmp_path) as made:
        (kept,) = made.snapshot.publications
        assert (kept.repair, kept.request_id, kept.state, kept.failures) == (True, 1, State.PAUSED, 1)
        await made.publish(origin.url + "/fw.bin", MD5, 2)
        await made.status("DownloadScheduled", 2)
        assert made.statuses(1) == []
        assert await made.publisher.withdraw(MD5) is Withdrawal.WITHDRAWN
    async with mirror(tmp_path) as made:
        assert (made.snapshot.publications, made.snapshot.files) == ((), ())


async def test_a_repair_that_fails_is_told_once(origin: Origin, tmp_path: Path) -> None:
    """Row 7, L03.FR.08: PublishFailed under the first requestId; nothing of it remains."""
    async with mirror(tmp_path) as made:
        await made.publish(origin.script("/fw.bin", Reply(BODY), Reply(OTHER)), MD5, 1)
        await made.ended(1)
        made.published()[0].unlink()
    async with mirror(tmp_path) as made:
        assert await made.ended(1) == ["PublishFailed"]
        assert made.count("publish_results_total", status="PublishFailed") == 1
        await until(lambda: not made.partial())
        assert (made.published(), (await made.kept()).files) == ([], ())
        assert await made.publisher.withdraw(MD5) is Withdrawal.ABSENT


async def test_a_repair_that_cannot_be_kept(origin: Origin, tmp_path: Path) -> None:
    """Row 6: the damaged file is not lent all the same, it is counted, and the next start makes up for it."""
    async with mirror(tmp_path) as made:
        await made.publish(origin.script("/fw.bin", Reply(BODY), Reply(BODY)), MD5, 1)
        await made.ended(1)
        made.published()[0].unlink()
        made.shop.catalogue.drop(MD5)
        made.refuse_writes(refuse=True)
        await made.publisher.repair(MD5)
        assert made.count("storage_errors_total", operation="commit") >= 1
        made.refuse_writes(refuse=False)
        assert [file.checksum for file in (await made.kept()).files] == [MD5]
    async with mirror(tmp_path) as made:
        await until(lambda: made.shop.catalogue.find(MD5))
        assert made.told == []


async def test_what_was_published_afresh_needs_no_repair(origin: Origin, tmp_path: Path) -> None:
    """Nor what has been withdrawn: the look at it is out of date."""
    async with mirror(tmp_path) as made:
        await made.publish(origin.script("/fw.bin", Reply(BODY)), MD5, 1)
        await made.ended(1)
        await made.publisher.repair(MD5)
        await made.publisher.repair(OTHER_MD5)
        assert (made.publisher.jobs(), len(made.shop.catalogue.files())) == ((), 1)
