"""Several publications of one location: one download at a time, and one for all where that can be."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from tests.actors.fault import Spot, injected
from tests.actors.origin import Origin, Reply
from tests.actors.site import OpenSite, Site, firmware, get

ORDINARY = ["Downloading", "Downloaded", "ChecksumVerified", "Published"]
INVALID = ["Downloading", "Downloaded", "InvalidChecksum"]
WRONG = "0" * 32
FINAL = {"Published", "DownloadFailed", "InvalidChecksum", "PublishFailed"}


@pytest.fixture
async def site(open_site: OpenSite) -> Site:
    """A site; which version its CSMS speaks makes no difference here."""
    return await open_site()


async def scheduled(site: Site, location: str, *checksums: str) -> list[int]:
    """Ask for ``location`` under each of these; the first fetches it, the others wait. The requestIds."""
    ids: list[int] = []
    for checksum in checksums:
        request_id, answer = await site.publish(location, checksum)
        assert answer == {"status": "Accepted"}
        await site.csms.wait_status(request_id, "DownloadScheduled" if ids else "Downloading")
        ids.append(request_id)
    return ids


async def test_a_corrected_checksum(site: Site) -> None:
    """L03.FR.01, FR.07, FR.09: the CSMS corrects itself: InvalidChecksum, then Published, by one request."""
    file = firmware(300_000)
    location = site.origin.script(f"/{file.name}", Reply(file.body, stall_after=100_000))
    wrong, right = await scheduled(site, location, WRONG, file.checksum)
    site.origin.release()
    uris = (await site.csms.wait_status(right, "Published"))["location"]
    assert site.statuses(wrong) == INVALID
    assert site.statuses(right) == ["DownloadScheduled", *ORDINARY]
    assert await get(uris[0]) == (200, file.body)
    assert len(site.origin.requests) == 1
    assert list((site.daemon.state_dir / "partial").iterdir()) == []


async def test_a_file_that_was_replaced(site: Site) -> None:
    """L03.FR.07: each is judged by what it fetched itself: two requests, and the right end for both."""
    old, new = firmware(200_000, seed=1), firmware(200_000, seed=2)
    replies = (Reply(old.body, stall_after=100_000), Reply(new.body, etag='"2"'))
    location = site.origin.script("/latest.bin", *replies)
    first, second = await scheduled(site, location, old.checksum, new.checksum)
    site.origin.release()
    for request_id, file in ((first, old), (second, new)):
        uris = (await site.csms.wait_status(request_id, "Published"))["location"]
        assert await get(uris[0]) == (200, file.body)
    assert site.statuses(second) == ["DownloadScheduled", *ORDINARY]
    assert len(site.origin.requests) == 2


async def test_three_at_once(site: Site) -> None:
    """L03.FR.01, L04.FR.04: the third has what the first fetched, the second is withdrawn while it waits."""
    file = firmware(200_000)
    location = site.origin.script("/fw.bin", Reply(file.body, stall_after=100_000))
    first, second, third = await scheduled(site, location, WRONG, "1" * 32, file.checksum)
    assert await site.unpublish("1" * 32) == "Unpublished"
    assert await site.unpublish(WRONG) == "DownloadOngoing"
    site.origin.release()
    await site.csms.wait_status(third, "Published")
    assert site.statuses(first) == INVALID
    assert site.statuses(second) == ["DownloadScheduled"]
    assert site.statuses(third) == ["DownloadScheduled", *ORDINARY]
    assert len(site.origin.requests) == 1


@pytest.fixture
async def calm(open_site: OpenSite) -> Site:
    """A site whose daemon logs little, and looks at no stored file by itself."""
    return await open_site("2.1", {"log": {"level": "info"}, "firmware": {"integrity_rate": "1GiB"}})


@asynccontextmanager
async def killed_at(site: Site, calls: str, nth: int, *places: str) -> AsyncIterator[Callable[[], bool]]:
    """The daemon is killed at its ``nth`` such call; whether it has been. What follows finds it running again."""
    spot = Spot(calls, tuple(site.daemon.state_dir / place for place in places))
    async with injected(site.daemon.pid, spot, f"signal=KILL:when={nth}", site.daemon.state_dir.parent / "trace"):
        yield lambda: not site.daemon.running
    if not site.daemon.running:
        await site.daemon.restart()
        await site.daemon.ready()


async def corrected(site: Site, seed: int, calls: str, nth: int, *places: str) -> bool:
    """A checksum is corrected, the daemon is killed meanwhile, and both come to their ends; whether it was killed."""
    file = firmware(100_000, seed)
    async with Origin() as origin:
        location = origin.script("/fw.bin", Reply(file.body, silent=True))
        wrong, right = await scheduled(site, location, WRONG, file.checksum)
        async with killed_at(site, calls, nth, *places) as is_killed:
            origin.release()
            async with asyncio.timeout(30):
                while not is_killed() and "Published" not in site.statuses(right):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)  # either may come first
            await asyncio.sleep(0.1)  # what follows the last notification: its settling
            killed = is_killed()
        await site.csms.wait_status(wrong, "InvalidChecksum")
        uris = (await site.csms.wait_status(right, "Published"))["location"]
    assert FINAL & set(site.statuses(wrong)) == {"InvalidChecksum"}
    assert FINAL & set(site.statuses(right)) == {"Published"}
    path = uris[0].split("/", 3)[3]  # behind a port that may be another by now
    assert await get(f"http://{site.daemon.listeners['publish.http']}/{path}") == (200, file.body)
    assert list((site.daemon.state_dir / "partial").iterdir()) == []
    assert await site.withdrawn(file.checksum) == "Unpublished"
    return killed


@pytest.mark.parametrize("number", [1, 2])
async def test_row_1_killed_as_the_file_is_handed_over(calm: Site, number: int) -> None:
    """Rows 1 and 2: at the rename that hands it over, and at that which publishes it: both come to their right ends."""
    assert await corrected(calm, number, "rename", 1, f"partial/{number}")


async def test_row_1_killed_at_each_commit_of_a_hand_over(
    calm: Site, rounds: Callable[[int, int], int], chance: random.Random
) -> None:
    """Rows 1 to 3: between InvalidChecksum of the first and Published of the second, at every write to the database."""
    step = rounds(11, 1)
    for turn, nth in enumerate(range(1 + chance.randrange(step), 300, step)):
        if not await corrected(calm, turn, "pwrite64,fdatasync", nth, "localctl.db", "localctl.db-wal"):
            return
    raise AssertionError("no story has so many calls")
