"""Publishing by hand within the mirror: what is kept, what is counted, and what stands still meanwhile."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from localctl.errors import ByHandRefused, OriginFailed, OriginRefused, StorageError
from localctl.mirror.byhand import ByHand
from localctl.store.files import FirmwareFiles
from tests.actors.origin import Origin, Reply
from tests.mirror.workshop import Mirror, image, md5, mirror, until, uris

BODY = image(700_000)


async def blocks(*parts: bytes) -> AsyncIterator[bytes]:
    """The parts, one by one."""
    for part in parts:
        yield part


async def never(part: bytes, at_it: asyncio.Event) -> AsyncIterator[bytes]:
    """A part, and then nothing more."""
    yield part
    at_it.set()
    await asyncio.Event().wait()


def by_hand(made: Mirror) -> ByHand:
    """What the daemon makes of it."""
    return ByHand(made.shop, made.publisher)


async def test_what_is_kept(tmp_path: Path) -> None:
    """A published file, and nothing else: no publication, no notification; a restart finds it whole."""
    async with mirror(tmp_path) as made:
        told = await by_hand(made).receive(blocks(BODY[:9], BODY[9:]), len(BODY), "fw?#/1.bin", "")
        assert told == (md5(BODY), uris(md5(BODY), "1.bin"))
        assert await by_hand(made).receive(blocks(BODY), None, "other", md5(BODY).upper()) == told
        assert made.partial() == []
        assert made.count("firmware_published_files") == 1
        kept = await made.kept()
        assert ([file.name for file in kept.files], kept.publications, kept.outbox) == (["1.bin"], (), ())
        assert made.count("publish_requests_total", status="Accepted") == 0
    async with mirror(tmp_path) as made:
        assert made.shop.catalogue.find(md5(BODY)) is not None
        assert await by_hand(made).withdraw(md5(BODY).upper()) == "Unpublished"
        assert made.published() == []
        assert made.count("unpublish_requests_total", status="Unpublished") == 0


async def test_what_is_refused(tmp_path: Path) -> None:
    """Empty, too long (said or not), shorter than said, another MD5, no MD5: nothing is left of it."""
    async with mirror(tmp_path, max_file_size=1000) as made:
        hand = by_hand(made)
        for parts, size, checksum, words in (
            ((), 0, "", "empty"),
            ((bytes(2000),), 2000, "", "max_file_size = 1000"),
            ((bytes(900), bytes(900)), None, "", "max_file_size"),
            ((bytes(9),), 10, "", "9 of 10 bytes"),
            ((bytes(9),), 9, "0" * 32, "its MD5 is"),
            ((bytes(9),), 9, "0", "32 hexadecimal"),
        ):
            with pytest.raises(ByHandRefused, match=words):
                await hand.receive(blocks(*parts), size, "n", checksum)
        assert (made.partial(), made.published()) == ([], [])
    async with mirror(tmp_path, uris=lambda *_: ()) as made:
        with pytest.raises(ByHandRefused, match="no listener"):
            await by_hand(made).receive(blocks(BODY), None, "n", "")
        assert (made.partial(), made.published()) == ([], [])


async def test_a_disk_that_fails(tmp_path: Path) -> None:
    """Row 6 by hand: a commit, or a rename, that fails is told and counted; no file is left without its record."""

    class Failing(FirmwareFiles):
        def publish(self, publication_id: int, checksum: str, name: str) -> Path:
            super().publish(publication_id, checksum, name)
            raise StorageError("rename", name, OSError(errno.EIO, os.strerror(errno.EIO)))

    async with mirror(tmp_path, files=Failing(tmp_path)) as made:
        with pytest.raises(StorageError, match="rename"):
            await by_hand(made).receive(blocks(BODY), None, "n", "")
        assert (made.partial(), made.published()) == ([], [])
        assert made.count("storage_errors_total", operation="rename") == 1
    async with mirror(tmp_path) as made:
        made.refuse_writes(refuse=True)
        with pytest.raises(StorageError, match="commit"):
            await by_hand(made).receive(blocks(BODY), None, "n", "")
        assert (made.partial(), made.published()) == ([], [])
        made.refuse_writes(refuse=False)
        await by_hand(made).receive(blocks(BODY), None, "n", "")
        assert len(made.published()) == 1


async def test_cancelled(tmp_path: Path) -> None:
    """Who sends it goes away: the partial file goes too."""
    async with mirror(tmp_path) as made:
        at_it = asyncio.Event()
        task = asyncio.get_running_loop().create_task(by_hand(made).receive(never(BODY, at_it), None, "n", ""))
        await at_it.wait()
        assert len(made.partial()) == 1
        task.cancel()
        await asyncio.wait([task])
        assert made.partial() == []


async def test_a_kill_leaves_nothing(tmp_path: Path) -> None:
    """What no publication is of is swept at the next start, whatever number it has."""
    FirmwareFiles(tmp_path).prepare()
    (tmp_path / "partial" / "-1").write_bytes(BODY)
    async with mirror(tmp_path) as made:
        assert made.partial() == []


async def test_what_the_csms_asked_for(tmp_path: Path) -> None:
    """Publications of it that flow, are paused or wait become Published with its URIs; one of another file goes on."""
    async with Origin() as origin, mirror(tmp_path) as made:
        slow = origin.script("/slow.bin", Reply(BODY, stall_after=100_000))
        failing = origin.script("/failing.bin", Reply(status=503))
        other = image(5000, 1)
        await made.publish(slow, md5(BODY), 1)
        await made.publish(slow, md5(BODY), 2)
        await made.publish(failing, md5(other), 3, retryInterval=3600)
        await made.status("DownloadPaused", 3)
        await until(lambda: any(request.sent >= 100_000 for request in origin.requests))
        told = await by_hand(made).receive(blocks(BODY), None, "stick.bin", "")
        for request_id in (1, 2):
            assert (await made.ended(request_id))[-1] == "Published"
        assert {each.location for each in made.told if each.status == "Published"} == {told[1]}
        await by_hand(made).receive(blocks(other), None, "other.bin", "")
        assert (await made.ended(3))[-1] == "Published"
        await until(lambda: made.partial() == [])
        assert len(made.published()) == 2


async def test_the_same_twice_at_once(tmp_path: Path) -> None:
    """Two people with the same file, which the CSMS wants too: all are told the same URIs, each once."""
    async with Origin() as origin, mirror(tmp_path) as made:
        slow = origin.script("/slow.bin", Reply(BODY, stall_after=100_000))
        await made.publish(slow, md5(BODY))
        await until(lambda: origin.requests and origin.requests[0].sent >= 100_000)
        hand = by_hand(made)
        names = [f"{number}.bin" for number in range(4)]
        told = await asyncio.gather(*(hand.receive(blocks(BODY), None, name, "") for name in names))
        assert len(set(told)) == 1
        assert await made.ended() == ["Downloading", "Published"]
        await until(lambda: made.partial() == [])
        assert len(made.published()) == 1
        assert len((await made.kept()).files) == 1


async def test_what_the_csms_asked_for_goes_on(tmp_path: Path) -> None:
    """Where the disk refuses what came by hand, the CSMS's own publication goes on where it was."""
    async with Origin() as origin, mirror(tmp_path) as made:
        location = origin.script("/fw.bin", Reply(BODY, stall_after=100_000), Reply(BODY))
        await made.publish(location, md5(BODY))
        await until(lambda: origin.requests and origin.requests[0].sent >= 100_000)
        made.refuse_writes(refuse=True)
        with pytest.raises(StorageError):
            await by_hand(made).receive(blocks(BODY), None, "n", "")
        made.refuse_writes(refuse=False)
        assert await made.ended() == ["Downloading", "Downloaded", "ChecksumVerified", "Published"]
        assert [path.read_bytes() for path in made.published()] == [BODY]


async def test_fetching(tmp_path: Path) -> None:
    """A location: retried as the configuration says, named as it is called there."""
    async with Origin() as origin, mirror(tmp_path, retry_interval_seconds=0.01) as made:
        location = origin.script("/dir/fw.bin", Reply(status=503), Reply(BODY, cut_after=200_000), Reply(BODY))
        errand = by_hand(made).fetch(location, "", "")
        assert errand.progress() == {"state": "waiting"}
        assert await errand.run() == (md5(BODY), uris(md5(BODY), "fw.bin"))
        assert errand.progress() == {"state": "publishing"}
        assert made.count("download_attempts_total", result="complete") == 1
        assert made.count("download_attempts_total", result="failed") == 2
        asked = len(origin.requests)
        assert (await by_hand(made).fetch(location, "", md5(BODY)).run())[0] == md5(BODY)
        assert len(origin.requests) == asked  # known by its MD5: not fetched again
        assert made.partial() == []


async def test_progress(tmp_path: Path) -> None:
    """How far it is, why it is paused, and that it waits for a slot."""
    async with Origin() as origin, mirror(tmp_path, retry_interval_seconds=3600, max_concurrent_downloads=1) as made:
        slow = by_hand(made).fetch(origin.script("/slow.bin", Reply(BODY, stall_after=600_000)), "", "")
        second = by_hand(made).fetch(origin.script("/2.bin", Reply(status=503)), "", "")
        async with asyncio.TaskGroup() as tasks:
            first_task = tasks.create_task(slow.run())
            await until(lambda: slow.progress().get("received", 0) > 0)
            assert slow.progress()["total"] == len(BODY)
            second_task = tasks.create_task(second.run())
            await asyncio.sleep(0)
            assert second.progress() == {"state": "waiting"}
            first_task.cancel()
            await until(lambda: second.progress()["state"] == "paused")
            assert "503" in second.progress()["reason"]
            assert second.progress()["seconds"] > 0
            second_task.cancel()
        assert made.partial() == []


async def test_fetches_that_fail(tmp_path: Path) -> None:
    """No URL, all tries spent, a wrong MD5 (once more from the start where it came in parts), a body without an end."""
    async with Origin() as origin, mirror(tmp_path, retry_interval_seconds=0.01, retries=1) as made:
        hand = by_hand(made)
        with pytest.raises(ByHandRefused, match="scheme"):
            await hand.fetch("mailto:x", "", "").run()
        with pytest.raises(OriginFailed, match="503"):
            await hand.fetch(origin.script("/503.bin", Reply(status=503)), "", "").run()
        assert len(origin.requests) == 2
        parts = origin.script("/parts.bin", Reply(BODY, cut_after=200_000), Reply(BODY))
        with pytest.raises(ByHandRefused, match=f"its MD5 is {md5(BODY)}"):
            await hand.fetch(parts, "", "0" * 32).run()
        assert "range" not in origin.requests[-1].headers
        endless = origin.script("/endless.bin", Reply(BODY, framing="close"))
        with pytest.raises(OriginRefused, match="--md5"):
            await hand.fetch(endless, "", "").run()
        assert (await hand.fetch(endless, "", md5(BODY)).run())[0] == md5(BODY)
        assert made.partial() == []


async def test_what_the_csms_asks_for_as_well(tmp_path: Path) -> None:
    """Row 7, L03.FR.08: from a stick first, then asked for by the CSMS: repaired from its origin, else it is told."""
    async with Origin() as origin:
        location = origin.script("/fw.bin", Reply(BODY), Reply(status=404))
        async with mirror(tmp_path) as made:
            await by_hand(made).receive(blocks(BODY), len(BODY), "stick.bin", "")
            await made.publish(location, md5(BODY), 7)
            assert await made.ended(7) == ["Published"]
            made.published()[0].write_bytes(BODY[:-1])
        async with mirror(tmp_path) as made:
            await until(lambda: made.shop.catalogue.find(md5(BODY)))
            assert made.told == []
            made.published()[0].write_bytes(BODY[:-1])
        async with mirror(tmp_path) as made:
            assert await made.ended(7) == ["PublishFailed"]
