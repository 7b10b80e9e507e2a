"""One download for one location: the line, and what publications that stand in one do to each other."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from localctl.errors import StorageError
from localctl.mirror.locations import Locations
from localctl.store.catalogue import Withdrawal
from localctl.store.files import FirmwareFiles
from localctl.store.intake import Digests
from localctl.store.records import Publication, Resume, State
from tests.actors.origin import Origin, Reply
from tests.mirror.workshop import Mirror, image, md5, mirror, until

BODY: Final = image(400_000)
MD5: Final = md5(BODY)
OTHER: Final = image(400_000, seed=1)
OTHER_MD5: Final = md5(OTHER)
WRONG: Final = "0" * 32
WHOLE: Final = ["Downloading", "Downloaded", "ChecksumVerified", "Published"]
INVALID: Final = ["Downloading", "Downloaded", "InvalidChecksum"]
STALLED: Final = Reply(BODY, stall_after=100_000)
LATER: Final = Reply(status=503, headers=[("Retry-After", "3000")])  # paused, until it is cancelled

FILE: Final = Digests(MD5, "", len(BODY))
ONE: Final = Publication(1, 1, "http://127.0.0.1/fw.bin", WRONG, "fw.bin", 0, None, 0.0)
TWO: Final = replace(ONE, id=2, request_id=2, checksum=MD5)


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    """An origin that does as it is told."""
    async with Origin() as made:
        yield made


# The line.


def test_one_at_a_time_in_order() -> None:
    """The first is called at once, the next as the one before it leaves, wherever in the line others leave."""
    locations = Locations()
    with ExitStack() as stack:
        places = [stack.enter_context(ExitStack()) for _ in range(4)]
        turns = [place.enter_context(locations.join(replace(ONE, id=n))) for n, place in enumerate(places)]

        def called() -> list[int]:
            return [turn.publication.id for turn in turns if turn.called.is_set() and not turn.left]

        assert called() == [0]
        places[2].close()
        assert called() == [0]
        places[0].close()
        assert called() == [1]
        places[1].close()
        assert called() == [3]
        assert [turn.waits() for turn in turns] == [False] * 4


def test_nothing_is_kept_of_a_location_that_nobody_fetches() -> None:
    """A year of publications must not fill the memory, nor must their credentials stay in it."""
    locations = Locations()
    with locations.join(ONE), locations.join(TWO):
        assert len(locations._lines) == 1
    assert locations._lines == {}


@pytest.mark.parametrize(
    "other", ["http://127.0.0.1/fw.bin?", "HTTP://127.0.0.1/fw.bin", "http://u:p@127.0.0.1/fw.bin"]
)
def test_another_spelling_is_another_location(other: str) -> None:
    """It may be another file, or one that others may not read: nobody waits, and nothing is handed over."""
    locations = Locations()
    with locations.join(replace(ONE, location=other)), locations.join(TWO) as turn:
        assert turn.called.is_set()
        assert locations.heir(other, MD5) is None


def test_who_is_given_the_file() -> None:
    """One that waits and asked for just these bytes, and has no part of its own; it goes on out of turn."""
    locations = Locations()
    begun = replace(TWO, id=3, resume=Resume(5, 10, '"1"'))
    with locations.join(ONE), locations.join(replace(ONE, id=4)) as next_one:
        with locations.join(begun), locations.join(TWO) as turn:
            assert locations.heir(ONE.location, WRONG) is next_one
            assert locations.heir(ONE.location, OTHER_MD5) is None
            assert locations.heir(ONE.location, MD5) is turn
            turn.give(FILE)
            assert (turn.called.is_set(), next_one.called.is_set()) == (True, False)
            assert locations.heir(ONE.location, MD5) is None
        assert locations.heir(ONE.location, MD5) is None
    with locations.join(TWO):
        assert locations.heir(TWO.location, MD5) is None  # it fetches itself


# Publications.


async def waiting(made: Mirror, location: str, *checksums: str) -> None:
    """Ask for ``location`` under each of these, the requestIds from 1 on: the first fetches it, the others wait."""
    for request_id, checksum in enumerate(checksums, 1):
        await made.publish(location, checksum, request_id)
        await made.status("Downloading" if request_id == 1 else "DownloadScheduled", request_id)


async def nothing_is_left(made: Mirror) -> None:
    """No job, no partial file, no line."""
    await until(lambda: not made.publisher.jobs() and not made.partial() and not made.shop.locations._lines)


async def test_a_corrected_checksum_costs_one_download(origin: Origin, tmp_path: Path) -> None:
    """L03.FR.01, FR.07: InvalidChecksum for the wrong one, every status for the right one; one request."""
    async with mirror(tmp_path) as made:
        await waiting(made, origin.script("/fw.bin", STALLED), WRONG, MD5)
        origin.release()
        assert await made.ended(1) == INVALID
        assert await made.ended(2) == ["DownloadScheduled", *WHOLE]
        await nothing_is_left(made)
        assert [path.read_bytes() for path in made.published()] == [BODY]
        assert made.count("download_attempts_total", result="complete") == 1
        assert made.count("download_bytes_total") == len(BODY)
        file = made.shop.catalogue.find(MD5)
        assert file is not None
        assert (file.size, len(file.sha256)) == (len(BODY), 64)
    assert len(origin.requests) == 1


@pytest.mark.parametrize("first", [WRONG, OTHER_MD5])
async def test_a_file_that_is_replaced_is_fetched_again(origin: Origin, tmp_path: Path, first: str) -> None:
    """L03.FR.07: what somebody else was sent says nothing of what the second asked for."""
    async with mirror(tmp_path) as made:
        replies = (Reply(OTHER, stall_after=100_000), Reply(BODY, etag='"2"'))
        await waiting(made, origin.script("/latest.bin", *replies), first, MD5)
        origin.release()
        assert (await made.ended(1)) == (INVALID if first == WRONG else WHOLE)
        assert await made.ended(2) == ["DownloadScheduled", *WHOLE]
        await nothing_is_left(made)
    assert len(origin.requests) == 2


async def test_the_next_goes_on_where_the_first_fails(origin: Origin, tmp_path: Path) -> None:
    """L03.FR.06: it has tries of its own."""
    async with mirror(tmp_path) as made:
        location = origin.script("/fw.bin", Reply(status=404, silent=True), Reply(status=503), Reply(BODY))
        await waiting(made, location, WRONG, MD5)
        origin.release()
        assert await made.ended(1) == ["Downloading", "DownloadFailed"]
        assert await made.ended(2) == ["DownloadScheduled", "Downloading", "DownloadPaused", *WHOLE]


async def test_the_next_goes_on_where_the_first_is_withdrawn(origin: Origin, tmp_path: Path) -> None:
    """L04.FR.04: the first was paused between its tries, and kept its turn."""
    async with mirror(tmp_path) as made:
        await waiting(made, origin.script("/fw.bin", LATER, Reply(BODY)), WRONG, MD5)
        await made.status("DownloadPaused", 1)
        assert len(origin.requests) == 1
        assert await made.publisher.withdraw(WRONG) is Withdrawal.WITHDRAWN
        assert await made.ended(2) == ["DownloadScheduled", *WHOLE]


async def test_one_that_waits_is_withdrawn(origin: Origin, tmp_path: Path) -> None:
    """L04.FR.04: it is scheduled: cancelled, Unpublished; the first and those behind it do not feel it."""
    async with mirror(tmp_path) as made:
        await waiting(made, origin.script("/fw.bin", STALLED), WRONG, OTHER_MD5, MD5)
        assert await made.publisher.withdraw(OTHER_MD5) is Withdrawal.WITHDRAWN
        assert await made.publisher.withdraw(WRONG) is Withdrawal.LENT
        origin.release()
        assert await made.ended(3) == ["DownloadScheduled", *WHOLE]
        assert made.statuses(2) == ["DownloadScheduled"]
    assert len(origin.requests) == 1


async def test_a_third_and_a_fourth(origin: Origin, tmp_path: Path) -> None:
    """Whoever asked for what came is served at once, the others fetch in their order, one at a time."""
    async with mirror(tmp_path) as made:
        replies = (STALLED, Reply(OTHER), Reply(image(10)))
        await waiting(made, origin.script("/fw.bin", *replies), WRONG, "1" * 32, MD5, OTHER_MD5)
        origin.release()
        assert await made.ended(3) == ["DownloadScheduled", *WHOLE]
        assert await made.ended(1) == INVALID
        assert await made.ended(2) == ["DownloadScheduled", *INVALID]
        assert await made.ended(4) == ["DownloadScheduled", *WHOLE]
        await nothing_is_left(made)
        first_told = [each.request_id for each in made.told if each.status == "Downloaded"]
        assert first_told.index(1) == 0
        assert first_told.index(2) < first_told.index(4)
    assert len(origin.requests) == 2  # 4 takes over what 2 had


async def test_in_doubt_the_bytes_are_of_use_all_the_same(origin: Origin, tmp_path: Path) -> None:
    """Row 19: a body whose end nothing marks: the first fetches it once more, the second has its proof, the MD5."""
    async with mirror(tmp_path) as made:
        replies = (Reply(BODY, framing="close", stall_after=100_000), Reply(OTHER))
        await waiting(made, origin.script("/fw.bin", *replies), WRONG, MD5)
        origin.release()
        assert await made.ended(2) == ["DownloadScheduled", *WHOLE]
        assert await made.ended(1) == INVALID
        await nothing_is_left(made)
    assert len(origin.requests) == 2


async def test_who_waits_for_a_location_holds_no_slot(origin: Origin, tmp_path: Path) -> None:
    """``max_concurrent_downloads``: another location is fetched meanwhile."""
    async with mirror(tmp_path, max_concurrent_downloads=2) as made:
        await waiting(made, origin.script("/fw.bin", STALLED), WRONG, "1" * 32, MD5)
        await made.publish(origin.script("/other.bin", Reply(OTHER)), OTHER_MD5, 4)
        assert await made.ended(4) == WHOLE
        assert made.statuses(3) == ["DownloadScheduled"]


async def test_crossed_checksums_and_locations(origin: Origin, tmp_path: Path) -> None:
    """Two locations, each asked for under both checksums: nobody waits for somebody who waits for him."""
    async with mirror(tmp_path) as made:
        one, two = origin.script("/1.bin", STALLED), origin.script("/2.bin", Reply(OTHER, stall_after=100_000))
        asked = [(one, MD5), (one, OTHER_MD5), (two, OTHER_MD5), (two, MD5)]
        for request_id, (location, checksum) in enumerate([*asked, *asked[::-1]]):
            await made.publish(location, checksum, request_id)
        origin.release()
        ends = [(await made.ended(request_id))[-1] for request_id in range(8)]
        assert ends == ["Published", "InvalidChecksum", *["Published"] * 6]
        assert len(made.published()) == 2
        await nothing_is_left(made)


async def test_setting_aside_one_that_waits(origin: Origin, tmp_path: Path) -> None:
    """Publishing by hand halts it for a moment; then it waits again, and takes over as if nothing had been."""
    async with mirror(tmp_path) as made:
        await waiting(made, origin.script("/fw.bin", STALLED), WRONG, MD5)
        async with made.publisher.set_aside(MD5):
            assert len(next(iter(made.shop.locations._lines.values()))) == 1
        await until(lambda: len(next(iter(made.shop.locations._lines.values()))) == 2)
        origin.release()
        assert await made.ended(2) == ["DownloadScheduled", *WHOLE]
    assert len(origin.requests) == 1


async def test_setting_aside_one_that_fetches(origin: Origin, tmp_path: Path) -> None:
    """The next one has its turn; the first waits for it, DownloadPaused, and goes on with its part behind it."""
    async with mirror(tmp_path) as made:
        replies = (STALLED, Reply(BODY, silent=True), Reply(BODY))
        await waiting(made, origin.script("/fw.bin", *replies), MD5, WRONG)
        await origin.until(lambda: origin.requests and origin.requests[0].sent == 100_000)
        await until(lambda: made.count("download_bytes_total") == 100_000)
        async with made.publisher.set_aside(MD5):
            await made.status("Downloading", 2)
        await made.status("DownloadPaused", 1)
        origin.release()
        assert await made.ended(2) == ["DownloadScheduled", *INVALID]
        assert await made.ended(1) == ["Downloading", "DownloadPaused", *WHOLE]
    assert [request.headers.get("range") for request in origin.requests] == [None, None, "bytes=100000-"]


class Slow(FirmwareFiles):
    """A disk on which a hand-over takes as long as the test wants it to."""

    def __init__(self, state_dir: Path) -> None:
        super().__init__(state_dir)
        self.begun = threading.Event()
        self.go_on = threading.Event()

    def hand_over(self, giver: int, heir: int) -> None:
        """Do it, and hold the answer back."""
        super().hand_over(giver, heir)
        self.begun.set()
        self.go_on.wait()


async def test_one_that_is_withdrawn_as_it_is_given_the_file(origin: Origin, tmp_path: Path) -> None:
    """L04.FR.04: Unpublished, and what it was given goes as well."""
    disk = Slow(tmp_path)
    async with mirror(tmp_path, files=disk) as made:
        await waiting(made, origin.script("/fw.bin", STALLED), WRONG, MD5)
        origin.release()
        try:
            await until(disk.begun.is_set)
            assert await made.publisher.withdraw(MD5) is Withdrawal.WITHDRAWN
        finally:
            disk.go_on.set()
        assert await made.ended(1) == INVALID
        await nothing_is_left(made)
        assert (made.statuses(2), made.published()) == (["DownloadScheduled"], [])


class Failing(FirmwareFiles):
    """A disk that refuses the hand-over."""

    def hand_over(self, giver: int, heir: int) -> None:
        """Fail."""
        raise StorageError("rename", str(self.partial(heir)), OSError(5, f"Input/output error, from {giver}"))


async def test_a_disk_that_refuses_the_hand_over(origin: Origin, tmp_path: Path) -> None:
    """Row 6: the second fetches for itself."""
    async with mirror(tmp_path, files=Failing(tmp_path)) as made:
        await waiting(made, origin.script("/fw.bin", STALLED, Reply(BODY)), WRONG, MD5)
        origin.release()
        assert await made.ended(1) == INVALID
        assert await made.ended(2) == ["DownloadScheduled", *WHOLE]
        assert made.count("storage_errors_total", operation="rename") == 1
        await nothing_is_left(made)
    assert len(origin.requests) == 2


async def test_a_repair_waits_as_well(origin: Origin, tmp_path: Path) -> None:
    """Row 7: a damaged file is not fetched beside a download of its location, but had from it, without a word."""
    async with mirror(tmp_path) as made:
        location = origin.script("/fw.bin", Reply(BODY), STALLED)
        await made.publish(location, MD5, 1)
        await made.ended(1)
        await made.publish(location, WRONG, 2)
        await made.status("Downloading", 2)
        made.published()[0].unlink()
        made.shop.catalogue.drop(MD5)
        await made.publisher.repair(MD5)
        origin.release()
        await until(lambda: made.shop.catalogue.find(MD5))
        assert made.statuses(1) == WHOLE
        assert await made.ended(2) == INVALID
    assert len(origin.requests) == 2


async def left(state_dir: Path, *publications: Publication) -> None:
    """A kill has left these behind."""
    async with mirror(state_dir) as made:
        for each in publications:
            kept = await made.shop.database.add_publication(each)
            await made.shop.database.record(replace(each, id=kept.id))


async def test_both_are_there_after_a_restart(origin: Origin, tmp_path: Path) -> None:
    """Row 1: the first goes on and keeps its turn, the second says that it waits, and takes over."""
    location = origin.script("/fw.bin", STALLED)
    first = replace(ONE, location=location, state=State.DOWNLOADING)
    await left(tmp_path, first, replace(first, request_id=2, checksum=MD5))
    async with mirror(tmp_path) as made:
        await made.status("DownloadPaused", 2)
        origin.release()
        assert await made.ended(1) == INVALID[1:]
        assert await made.ended(2) == ["DownloadPaused", *WHOLE]
    assert len(origin.requests) == 1


async def test_what_is_verified_waits_for_nobody(origin: Origin, tmp_path: Path) -> None:
    """Row 2: killed between verification and publishing, though the same location is being fetched."""
    location = origin.script("/fw.bin", STALLED)
    first = replace(ONE, location=location, state=State.DOWNLOADING)
    await left(tmp_path, first, replace(first, request_id=2, checksum=MD5, state=State.VERIFIED))
    (tmp_path / "partial" / "2").write_bytes(BODY)
    async with mirror(tmp_path) as made:
        assert await made.ended(2) == ["Published"]
        assert made.statuses(1) == []


@pytest.mark.parametrize("state", [State.SCHEDULED, State.DOWNLOADING])
async def test_killed_between_the_hand_over_and_its_end(origin: Origin, tmp_path: Path, state: State) -> None:
    """Row 1: a kill loses no more than bytes: what was handed over and not yet verified is fetched again."""
    await left(tmp_path, replace(TWO, location=origin.script("/fw.bin", Reply(BODY)), state=state))
    (tmp_path / "partial" / "1").write_bytes(OTHER)
    async with mirror(tmp_path) as made:
        assert await made.ended(2) == (WHOLE if state is State.SCHEDULED else WHOLE[1:])
        await nothing_is_left(made)
    assert "range" not in origin.requests[0].headers


async def test_a_stop_in_the_middle_of_a_line(origin: Origin, tmp_path: Path) -> None:
    """State that lasts: who waited waits again, and in the same order."""
    location = origin.script("/fw.bin", STALLED, STALLED)
    async with mirror(tmp_path) as made:
        await waiting(made, location, WRONG, "1" * 32, MD5)
        await origin.until(lambda: origin.requests)
    async with mirror(tmp_path) as made:
        await origin.until(lambda: len(origin.requests) == 2)
        assert made.told == []
        origin.release()
        async with asyncio.timeout(30):
            assert await made.ended(3) == WHOLE
        assert await made.ended(1) == INVALID[1:]
