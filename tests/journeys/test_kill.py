"""kill -9 at any moment of a publication: it ends Published under its requestId, and nothing false is ever served."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.actors.csms import IGNORE, Answer, Csms
from tests.actors.daemon import Daemon
from tests.actors.fault import Spot, injected
from tests.actors.link import Call
from tests.actors.nginx import Nginx
from tests.actors.origin import Origin, Reply
from tests.actors.site import LC, Firmware, OpenSite, firmware, get

pytestmark = pytest.mark.timeout(1800)  # a loop that is run to its end

FINAL = {"Published", "DownloadFailed", "InvalidChecksum", "PublishFailed"}


async def test_rows_1_to_3_killed_at_random_moments(
    tmp_path: Path, rounds: Callable[[int, int], int], chance: random.Random
) -> None:
    """Rows 1 to 3: many kills while publications run; each ends with Published, and with no other final status."""
    seed = chance.randrange(2**32)
    www = tmp_path / "www"
    www.mkdir()
    kills, request_id = rounds(5, 100), 0
    async with (
        Csms() as csms,
        Nginx(tmp_path / "nginx", www, limit_rate=4_000_000) as nginx,
        Daemon(tmp_path / "lc", csms.url) as daemon,
    ):
        await daemon.ready()
        while kills:
            request_id += 1
            file = firmware(chance.randrange(1_000_000, 3_000_000), seed + request_id)
            (www / file.name).write_bytes(file.body)
            await csms.controller()
            request = {"requestId": request_id, "location": f"{nginx.url}/{file.name}", "checksum": file.checksum}
            assert await csms.call(LC, "PublishFirmware", request) == {"status": "Accepted"}
            kills -= await _kill_until_published(csms, daemon, file, request_id, chance, kills)
            told = [str(each["status"]) for each in csms.statuses(request_id)]
            assert FINAL & set(told) == {"Published"}, told
            assert await _served(daemon, file) == (200, file.body)


async def _kill_until_published(
    csms: Csms, daemon: Daemon, file: Firmware, request_id: int, chance: random.Random, most: int
) -> int:
    """Kill and restart until the CSMS has seen Published; how many kills that took."""
    kills = 0
    while kills < most:
        published = csms.wait_status(request_id, "Published", timeout=chance.uniform(0, 1.2))
        try:
            await published
        except AssertionError:
            await daemon.restart()
            assert await _served(daemon, file) in {(404, b""), (200, file.body)}
            kills += 1
        else:
            return kills
    await csms.wait_status(request_id, "Published")
    return kills


async def _served(daemon: Daemon, file: Firmware) -> tuple[int, bytes]:
    http = daemon.listeners["publish.http"]
    return await get(f"http://{http}/firmware/{file.checksum}/{file.name}")


@pytest.mark.parametrize("etag", ['"1"', ""], ids=["goes on", "starts afresh"])
async def test_row_1_killed_in_mid_download(etag: str, tmp_path: Path) -> None:
    """Row 1: what was put on the disk before the kill is not fetched again where the origin can prove that it has the
    same file still; else it starts afresh. The kill costs no try, and nothing of it is served before its end.
    """
    file = Firmware(firmware(40 * 2**20).body, "fw.bin")
    async with Csms() as csms, Origin() as origin, Daemon(tmp_path, csms.url) as daemon:
        await daemon.ready()
        await csms.controller()
        location = origin.script(
            "/fw.bin", Reply(file.body, etag=etag, stall_after=36 * 2**20), Reply(file.body, etag=etag)
        )
        request = {"requestId": 1, "location": location, "checksum": file.checksum, "retries": 0}
        assert await csms.call(LC, "PublishFirmware", request) == {"status": "Accepted"}
        await _resumable(daemon)
        assert await _served(daemon, file) == (404, b"")
        await daemon.restart()
        await csms.wait_status(1, "Published")
        assert await _served(daemon, file) == (200, file.body)
        again = origin.requests[1].headers
        if etag:
            assert int(again["range"].removeprefix("bytes=").removesuffix("-")) >= 32 * 2**20
            assert again["if-range"] == etag
        else:
            assert "range" not in again
        assert [told["status"] for told in csms.statuses(1)] == [
            "Downloading",
            "Downloaded",
            "ChecksumVerified",
            "Published",
        ]


async def _resumable(daemon: Daemon) -> None:
    """Wait until the daemon has put the first 32 MiB on the disk: more than that has come, and was counted."""
    async with asyncio.timeout(60):
        while True:
            firmware_here = (await daemon.status())["firmware"]
            if any(int(file.get("received", 0)) >= 35 * 2**20 for file in firmware_here):
                return
            await asyncio.sleep(0.05)  # nothing tells of progress but the status


Place = Callable[[Path, str], Path]
MOMENTS: dict[
    str, tuple[str, Place, Place]
] = {  # a call before which it is killed, and where the verified file is then
    "before the rename": ("rename", lambda state, _: state / "partial" / "1", lambda state, _: state / "partial" / "1"),
    "after the rename": (
        "fsync",
        lambda state, checksum: state / "firmware" / checksum,
        lambda state, checksum: state / "firmware" / checksum / "fw.bin",
    ),
}


@pytest.mark.parametrize("spoilt", [False, True], ids=["whole", "spoilt"])
@pytest.mark.parametrize(("call", "where", "lies"), MOMENTS.values(), ids=MOMENTS)
async def test_row_2_killed_between_verification_and_publishing(
    call: str,
    where: Place,
    lies: Place,
    spoilt: bool,  # noqa: FBT001
    tmp_path: Path,
) -> None:
    """Row 2: published at the next start without being fetched again, but only after hashing the file again: one that
    has changed meanwhile is fetched anew, and no byte of it is served.
    """
    file = Firmware(firmware(300_000).body, "fw.bin")
    async with Csms() as csms, Origin() as origin, Daemon(tmp_path, csms.url) as daemon:
        await daemon.ready()
        await csms.controller()
        spot = Spot(call, (where(daemon.state_dir, file.checksum),))
        request = {"requestId": 1, "location": origin.script("/fw.bin", Reply(file.body)), "checksum": file.checksum}
        async with injected(daemon.pid, spot, "signal=KILL:when=1", tmp_path / "trace"):
            assert await csms.call(LC, "PublishFirmware", request) == {"status": "Accepted"}
            await daemon.runs[-1].over()
        if spoilt:
            verified = lies(daemon.state_dir, file.checksum)
            verified.write_bytes(file.body[:-1] + bytes([file.body[-1] ^ 1]))
        await daemon.start()
        await csms.wait_status(1, "Published")
        assert await _served(daemon, file) == (200, file.body)
        assert len(origin.requests) == 1 + spoilt
        assert FINAL & {str(told["status"]) for told in csms.statuses(1)} == {"Published"}


async def test_row_3_killed_before_the_notification_was_answered(open_site: OpenSite) -> None:
    """Row 3: what the CSMS has not answered is sent again at the next start, with the same URIs; then no more."""
    site = await open_site()

    async def deaf(call: Call) -> Answer | None:
        return IGNORE if call.payload["status"] == "Published" else None

    site.csms.hooks["PublishFirmwareStatusNotification"] = deaf
    request_id, uris = await site.published(firmware(300_000))
    site.csms.hooks.clear()
    for _ in range(2):
        await site.daemon.restart()
        await site.daemon.ready()
        told = await site.triggered("PublishFirmwareStatusNotification")  # its turn comes after what waits
        assert told == {"status": "Idle"}
        published = [told["location"] for told in site.csms.statuses(request_id) if told["status"] == "Published"]
        assert published == [uris, uris]


async def test_row_4_killed_while_unpublishing(
    tmp_path: Path, rounds: Callable[[int, int], int], chance: random.Random
) -> None:
    """Row 4: killed after UnpublishFirmware was sent: the file is gone or whole; once Unpublished, it stays gone."""
    async with Csms() as csms, Origin() as origin, Daemon(tmp_path, csms.url) as daemon:
        for number in range(rounds(2, 30)):
            if not daemon.running:
                await daemon.start()
            await daemon.ready()
            await csms.controller()
            file = firmware(50_000, number)
            request = {
                "requestId": number,
                "location": origin.script("/fw.bin", Reply(file.body)),
                "checksum": file.checksum,
            }
            assert await csms.call(LC, "PublishFirmware", request) == {"status": "Accepted"}
            await csms.wait_status(number, "Published")
            await csms.send_raw(LC, f'[2,"u{number}","UnpublishFirmware",{{"checksum":"{file.checksum}"}}]')
            await asyncio.sleep(chance.uniform(0, 0.02))
            answered = any("Unpublished" in str(f.data) for f in csms.link(LC).frames)
            await daemon.kill()
            await daemon.start()
            await daemon.listening()
            served = await _served(daemon, Firmware(file.body, "fw.bin"))
            assert served == (404, b"") if answered else served in {(404, b""), (200, file.body)}
