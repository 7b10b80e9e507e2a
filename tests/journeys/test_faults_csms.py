"""A CSMS that leaves, or does not answer, rows 20 to 22 of the faults: what waits for it in the real daemon."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import pytest

from tests.actors.csms import IGNORE, Answer, Csms
from tests.actors.link import Call, answer_frame
from tests.actors.origin import Reply
from tests.actors.site import LC, OpenSite, Site, firmware
from tests.actors.station import Station
from tests.journeys.outcome import AGAIN, FAILED, INVALID, ORDINARY, served

STATUS: Final = "PublishFirmwareStatusNotification"
FILE: Final = firmware(300_000)
BESIDE: Final = firmware(300_000, seed=1)
WHOLE: Final = Reply(FILE.body)


class Desk:
    """Who answers notifications at the CSMS: one at a time, each a moment later. When he is told ``leaves_at`` of the
    publication ``request_id`` he lets the connection end, after his answer or, where not ``answers``, before it.
    """

    def __init__(self, csms: Csms, request_id: int | None, leaves_at: str, *, answers: bool) -> None:
        self.calls: list[Call] = []
        self.left = asyncio.Event()
        self._csms = csms
        self._leaves_at = (request_id, leaves_at)
        self._answers = answers
        self._busy = False
        csms.hooks[STATUS] = self

    async def __call__(self, call: Call) -> Answer | None:
        self.calls.append(call)
        if (call.payload.get("requestId"), call.payload["status"]) == self._leaves_at and not self.left.is_set():
            return await self._leave(call)
        assert not self._busy, "4.1.1: a second notification before the first is answered"
        self._busy = True
        await asyncio.sleep(0.01)  # time in which a second one could come
        self._busy = False
        return None

    async def _leave(self, call: Call) -> Answer | None:
        link = self._csms.link(LC)
        if self._answers:
            await link.send(answer_frame(call.message_id, {}))
        link.connection.transport.abort()
        self.left.set()
        return IGNORE

    def told(self, request_id: int | None, status: str) -> list[Call]:
        """All the times that this was told."""
        return [c for c in self.calls if (c.payload.get("requestId"), c.payload["status"]) == (request_id, status)]


@dataclass(frozen=True)
class Story:
    """How a publication comes into a state and what it tells from its beginning to its end.

    ``replies`` are the origin's, one that stalls goes on once the CSMS is gone; ``slots`` is how many may download.
    """

    told: tuple[str, ...]
    replies: tuple[Reply, ...] = (WHOLE,)
    checksum: str = FILE.checksum
    slots: int = 2


STORIES: Final[Mapping[str, Story]] = {
    "DownloadScheduled": Story(("DownloadScheduled", *ORDINARY), slots=1),
    "Downloading": Story(ORDINARY, (Reply(FILE.body, stall_after=100_000),)),
    "DownloadPaused": Story((*AGAIN, *ORDINARY), (Reply(status=503), WHOLE)),
    "Downloaded": Story(ORDINARY),
    "ChecksumVerified": Story(ORDINARY),
    "Published": Story(ORDINARY),
    "InvalidChecksum": Story(INVALID, checksum="0" * 32),
    "DownloadFailed": Story(FAILED, (Reply(status=404),)),
    "PublishFailed": Story((*ORDINARY[:3], "PublishFailed")),
}


def told(site: Site, request_id: int) -> tuple[str, ...]:
    """What the CSMS was told of a publication, where it was told the same twice in a row, once."""
    return tuple(status for status, _ in groupby(site.statuses(request_id)))


async def begun(site: Site, state: str, story: Story) -> None:
    """Publication 1, whose file comes once the origin is released, and publication 2, the story's own."""
    if state == "PublishFailed":
        (site.daemon.state_dir / "firmware" / story.checksum).write_text("in the way")
    beside = site.origin.script("/beside.bin", Reply(BESIDE.body, stall_after=100_000))
    await site.publish(beside, BESIDE.checksum, requestId=1)
    await site.csms.wait_status(1, "Downloading")
    location = site.origin.script("/fw.bin", *story.replies)
    await site.publish(location, story.checksum, requestId=2, retries=1, retryInterval=1)


async def goes_on_alone(site: Site, desk: Desk, last: str) -> None:
    """Once the CSMS has left it stays away until both publications have come to their ends."""
    await desk.left.wait()
    await site.csms.stop(abruptly=True)
    site.origin.release()
    await site.daemon.logged("publication 1: Published")
    await site.daemon.logged(f"publication 2: {last}")


async def all_told(site: Site) -> None:
    """Wait until nothing waits for the CSMS any more."""
    async with asyncio.timeout(120):
        while not await site.daemon.metric("localctl_csms_connected") or await waiting(site):  # noqa: ASYNC110
            await asyncio.sleep(0.02)  # nothing tells of it but the number: the last answer is on its way


async def waiting(site: Site) -> float:
    """How many notifications wait for the CSMS."""
    return await site.daemon.metric("localctl_csms_queue_messages")


EITHER: Final = pytest.mark.parametrize("answers", [True, False], ids=["answered", "unanswered"])


@EITHER
@pytest.mark.parametrize(("state", "story"), STORIES.items(), ids=STORIES)
async def test_rows_20_and_21_the_csms_leaves(open_site: OpenSite, state: str, story: Story, *, answers: bool) -> None:
    """Rows 20 and 21, L03.FR.01: work goes on without it; back again, it is told each state in order, one at a time,
    the last one always; what it had not answered comes again, with a new message id.
    """
    site = await open_site(overrides={"firmware": {"max_concurrent_downloads": story.slots}})
    desk = Desk(site.csms, 2, state, answers=answers)
    await begun(site, state, story)
    await goes_on_alone(site, desk, story.told[-1])
    await site.csms.start()
    await all_told(site)
    assert told(site, 2) == story.told
    assert told(site, 1) == ORDINARY
    assert len({call.message_id for call in desk.calls}) == len(desk.calls)
    if not answers:
        first, again = desk.told(2, state)[:2]
        assert first.payload == again.payload


@EITHER
async def test_rows_20_and_21_the_csms_leaves_in_idle(open_site: OpenSite, *, answers: bool) -> None:
    """Rows 20 and 21, L03.FR.10: Idle, which was asked for, is sent again where it was not answered; work goes on."""
    site = await open_site()
    desk = Desk(site.csms, None, "Idle", answers=answers)
    asked = {"requestedMessage": STATUS}
    assert await site.csms.call(LC, "TriggerMessage", asked) == {"status": "Accepted"}
    await desk.left.wait()
    await site.csms.stop(abruptly=True)
    await site.csms.start()
    await site.csms.connected(LC)
    await site.published(FILE)
    assert len({call.message_id for call in desk.calls}) == len(desk.calls)
    assert answers or len(desk.told(None, "Idle")) == 2
    assert await site.triggered(STATUS) == {"status": "Idle"}


async def test_row_20_killed_while_the_csms_is_away(open_site: OpenSite) -> None:
    """Row 20: what waits is on the disk: after a kill it is all there, and is told in order."""
    site = await open_site()
    desk = Desk(site.csms, 2, "Downloading", answers=False)
    await begun(site, "Downloading", STORIES["Downloading"])
    await goes_on_alone(site, desk, "Published")
    before = await waiting(site)
    assert before == 7  # three of the one and all four of the other
    await site.daemon.restart()
    assert await waiting(site) == before
    await site.csms.start()
    await all_told(site)
    assert told(site, 1) == told(site, 2) == ORDINARY
    assert len(desk.calls) == 2 + before
    assert await served(site, FILE.checksum, "fw.bin") == (200, FILE.body)


async def test_row_20_many_wait(open_site: OpenSite, rounds: Callable[[int, int], int]) -> None:
    """Row 20: of each publication the last status arrives, after a kill too; beyond a thousand that wait, states that
    were passed through are left out, of the oldest publications.
    """
    site = await open_site(overrides={"log": {"level": "info"}, "firmware": {"max_concurrent_downloads": 20}})
    publications, most = range(1, rounds(20, 520)), 1000

    async def ignore(_call: Call) -> Answer | None:
        return IGNORE

    site.csms.hooks[STATUS] = ignore
    for request_id in publications:
        await site.publish(f"{site.origin.url}/{request_id}.bin", f"{request_id:032}", requestId=request_id)
    for request_id in publications:
        await site.daemon.logged(f"publication {request_id}: DownloadFailed")
    await site.daemon.restart()
    assert await waiting(site) == min(most, len(publications) * len(FAILED))
    del site.csms.hooks[STATUS]
    await all_told(site)
    short = [request_id for request_id in publications if told(site, request_id) == FAILED[-1:]]
    assert len(short) == max(0, len(publications) * len(FAILED) - most)
    assert max(short, default=0) <= len(short) + 2  # the first one was on its way; two go side by side
    assert all(told(site, request_id) == FAILED for request_id in publications if request_id not in short)


PAUSES: Final = (30, 60, 120)  # seconds, as the design has them


async def test_row_22_stations_are_not_delayed(open_site: OpenSite) -> None:
    """Row 22: while our call waits for its answer, a station talks as ever; then all is told in order."""
    site = await open_site("2.0.1")
    answer = asyncio.Event()

    async def wait(_call: Call) -> Answer | None:
        await answer.wait()
        return None

    site.csms.hooks[STATUS] = wait
    request_id, _ = await site.publish(site.origin.script("/fw.bin", WHOLE), FILE.checksum)
    await site.daemon.logged(f"publication {request_id}: Published")
    async with Station(site.daemon.stations_url, "CS-1") as station:
        assert await station.boot() == "Accepted"
        await station.transaction()
        for _ in range(20):
            assert await station.heartbeat()
    assert site.statuses(request_id) == ["Downloading"]
    answer.set()
    await site.csms.wait_status(request_id, "Published")
    assert tuple(site.statuses(request_id)) == ORDINARY


@pytest.mark.timeout(600)
async def test_row_22_the_csms_does_not_answer(open_site: OpenSite, rounds: Callable[[int, int], int]) -> None:
    """Row 22: the call times out; the same is sent again after 30, 60 and 120 s, then on the next connection, with new
    ids; nothing overtakes it, the late answer is ignored, and stations and our own heartbeats go on meanwhile.
    """
    site = await open_site("2.0.1", {"csms": {"call_timeout_seconds": 0.5}})
    calls: list[tuple[float, Call]] = []

    async def ignore(call: Call) -> Answer | None:
        calls.append((time.monotonic(), call))
        return IGNORE

    site.csms.hooks[STATUS] = ignore
    async with Station(site.daemon.stations_url, "CS-1") as station:
        request_id, _ = await site.publish(site.origin.script("/fw.bin", WHOLE), FILE.checksum)
        await timed_out(site, 1)
        for sent, pause in enumerate(PAUSES[: rounds(0, 3)], 1):
            await station.heartbeat()
            await timed_out(site, sent + 1, pause + 30)
            assert calls[sent][0] - calls[sent - 1][0] >= pause
        await site.csms.send_raw(LC, answer_frame(calls[-1][1].message_id, {}))
        await site.daemon.logged("ignored an answer to nothing, or a late one")
        await site.triggered("Heartbeat")
        await station.heartbeat()
        assert set(site.statuses(request_id)) == {"Downloading"}
        assert await waiting(site) == len(ORDINARY)
        del site.csms.hooks[STATUS]
        site.csms.link(LC).connection.transport.abort()
        await site.csms.wait_status(request_id, "Published")
        await station.heartbeat()
    assert site.statuses(request_id) == ["Downloading"] * len(calls) + list(ORDINARY)
    assert len({call.message_id for _, call in calls}) == len(calls)


async def timed_out(site: Site, times: int, timeout: float = 30) -> None:
    """Wait until so many of our notifications have timed out."""
    run = site.daemon.runs[-1]
    what = f"the CSMS did not answer {STATUS}"
    await run.until(lambda: sum(what in line for line in run.err) >= times, f"{what} for the {times}th time", timeout)
