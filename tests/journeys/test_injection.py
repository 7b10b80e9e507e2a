"""Rows 1 to 6 of the faults: the daemon killed, or failed by its disk, at every call by which it writes to it."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from tests.actors.csms import Answer, Csms
from tests.actors.daemon import Daemon
from tests.actors.fault import Injection, Spot, injected, traced
from tests.actors.link import Call, CallError
from tests.actors.origin import Origin, Reply
from tests.actors.site import LC, Firmware, Site, firmware, get

pytestmark = pytest.mark.timeout(1800)  # a loop that is run to its end

FINAL = {"Published", "DownloadFailed", "InvalidChecksum", "PublishFailed"}
OVER = 300  # no story has so many calls
Rounds = Callable[[int, int], int]
Record = Callable[[str, object], None]


@pytest.fixture
async def calm(tmp_path: Path) -> AsyncIterator[Site]:
    """A site whose daemon looks at no stored file by itself, and logs little: its calls are those of the story."""
    async with Csms() as csms, Origin() as origin:
        quiet = {"log": {"level": "info"}, "firmware": {"retries": 0, "integrity_rate": "1GiB"}}
        async with Daemon(tmp_path, csms.url, quiet) as daemon:
            await daemon.ready()
            yield Site(csms, daemon, origin)


Where = Callable[[Site, Firmware, int], Spot]


def database(call: str) -> Where:
    """What one call does to the database, of which one thread does it all."""

    def where(site: Site, _file: Firmware, _id: int) -> Spot:
        path = site.daemon.state_dir / "localctl.db"
        return Spot(call, (path, path.with_name("localctl.db-wal")))

    return where


def files(call: str, place: str) -> Where:
    """What one call does to ``partial``, ``firmware``, or a file's own place: below them, with its {id}, {checksum}.

    strace counts each call of each thread by itself, and threads of a pool take turns: so each call at each place is a
    spot of its own, and ``Turns`` tries again where a second call was not the second of its thread.
    """

    def where(site: Site, file: Firmware, id_: int) -> Spot:
        ids = range(1, id_ + 3)  # one that was never taken in used none up
        paths = {place.format(id=each, checksum=file.checksum) for each in ids}
        return Spot(call, tuple(site.daemon.state_dir / path for path in paths))

    return where


WRITES, SYNCS = database("pwrite64"), database("fdatasync")


def asked(*spots: tuple[str, str]) -> dict[str, Where]:
    """The spots of a story by their names."""
    own = {f"{call} {place}": files(call, place) for call, place in spots}
    return {"pwrite64 database": WRITES, "fdatasync database": SYNCS, **own}


PUBLISHING = asked(
    ("openat", "partial/{id}"),
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
    ("unlinkat", "firmware/{checksum}"),
    ("rmdir", "firmware/{checksum}"),
    ("fsync", "firmware"),
)
DISCARDING = ("unlink", "partial/{id}")
FAILURES = ("ENOSPC", "EIO", "EROFS")  # row 5, row 6, row 6


class Turns:
    """Each call of a spot in turn, until there is none: its number. A sample of them is two at most, and of the writes
    to the database every ``step``-th, from a random one on.
    """

    def __init__(self, where: Where, rounds: Rounds, step: int, chance: random.Random) -> None:
        self.runs = 0
        self._step = rounds(step, 1) if where is WRITES else 1
        self._most = rounds(2, OVER)
        self._tries = rounds(1, 60)
        self._first = 1 + chance.randrange(self._step)
        self._calls = 0

    def __iter__(self) -> Iterator[int]:
        """The next number; the same again where the call so numbered was not the first, second… of its thread."""
        number, left = self._first, self._tries
        while self.runs < self._most and left:
            before = self.runs
            yield number
            if self.runs > before:
                number, left = number + self._step, self._tries
            elif self._calls < number:
                break
            else:
                left -= 1
        assert self.runs or self._step > 1, "nothing was hit"
        assert left or self._tries == 1, f"call {number} could not be hit"
        assert self.runs < OVER

    def note(self, *, hit: bool, calls: int) -> None:
        """Whether it befell a call, and of how many."""
        self.runs += hit
        self._calls = calls


async def _ask(site: Site, file: Firmware, request_id: int, checksum: str = "") -> object:
    location = site.origin.script(f"/{file.name}", Reply(file.body))
    payload = {"requestId": request_id, "location": location, "checksum": checksum or file.checksum}
    return await site.csms.call(LC, "PublishFirmware", payload)


async def _served(site: Site, file: Firmware) -> tuple[int, bytes]:
    http = site.daemon.listeners["publish.http"]
    return await get(f"http://{http}/firmware/{file.checksum}/{file.name}")


def _at(site: Site, spot: Spot, effect: str) -> AbstractAsyncContextManager[Injection]:
    return injected(site.daemon.pid, spot, effect, site.daemon.state_dir.parent / "trace")


async def _look_until(done: Callable[[], object], timeout: float = 30) -> None:
    """Look until ``done()``: nothing tells of it."""
    async with asyncio.timeout(timeout):
        while not done():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def _gone_or(site: Site, done: Callable[[], object]) -> bool:
    """Wait until ``done()`` or the daemon's end; whether it has ended."""
    await _look_until(lambda: not site.daemon.running or done())
    try:
        await _settled(site)
    except AssertionError:  # the link has broken
        await site.daemon.runs[-1].over()
    return not site.daemon.running


async def _settled(site: Site) -> None:
    """Wait until the last notification is settled, for only then another message has its turn; or for the end."""
    before = len(site.csms.received(LC, "Heartbeat"))
    await site.csms.call(LC, "TriggerMessage", {"requestedMessage": "Heartbeat"})
    await _look_until(lambda: not site.daemon.running or len(site.csms.received(LC, "Heartbeat")) > before)


async def _again(site: Site) -> None:
    """Kill it where it still runs, and start it."""
    await site.daemon.restart()
    await site.daemon.ready()
    await site.csms.controller()


def _ended(site: Site, request_id: int) -> bool:
    return bool(FINAL & set(site.statuses(request_id)))


@pytest.mark.parametrize("where", PUBLISHING.values(), ids=PUBLISHING)
async def test_rows_1_to_3_killed_at_each_call_of_a_publication(
    where: Where, calm: Site, rounds: Rounds, chance: random.Random, record_property: Record
) -> None:
    """Rows 1 to 3: Published under its requestId after the restart, at least once, and nothing else that is final."""
    turns = Turns(where, rounds, 9, chance)
    for request_id, nth in enumerate(turns, 1):
        file = firmware(100_000, request_id)
        async with _at(calm, where(calm, file, request_id), f"signal=KILL:when={nth}") as injection:
            asking = asyncio.get_running_loop().create_task(_ask(calm, file, request_id))
            killed = await _gone_or(calm, partial(_ended, calm, request_id))
        await _seen_out(asking)
        turns.note(hit=killed, calls=injection.calls())
        if killed:
            await _again(calm)
            if not calm.statuses(request_id):  # it may have died before it had taken the request in
                await _ask(calm, file, request_id)
        await calm.csms.wait_status(request_id, "Published")
        assert FINAL & set(calm.statuses(request_id)) == {"Published"}
        assert await _served(calm, file) == (200, file.body)
        assert await calm.withdrawn(file.checksum) == "Unpublished"
    record_property("runs", turns.runs)


async def _seen_out(asking: "asyncio.Task[object]") -> None:
    """The answer may have come, or the link may have broken."""
    asking.cancel()
    with suppress(AssertionError, asyncio.CancelledError):
        await asking


@pytest.mark.parametrize("where", WITHDRAWING.values(), ids=WITHDRAWING)
async def test_row_4_killed_at_each_call_of_a_withdrawal(
    where: Where, calm: Site, rounds: Rounds, chance: random.Random, record_property: Record
) -> None:
    """Row 4: whole or gone after the restart; once Unpublished was said, gone, and it stays gone."""
    turns = Turns(where, rounds, 3, chance)
    for request_id, nth in enumerate(turns, 1):
        file = firmware(100_000, request_id)
        await _ask(calm, file, request_id)
        await calm.csms.wait_status(request_id, "Published")
        await _settled(calm)
        async with _at(calm, where(calm, file, request_id), f"signal=KILL:when={nth}") as injection:
            asking = asyncio.get_running_loop().create_task(calm.unpublish(file.checksum))
            killed = await _gone_or(calm, asking.done)
        answered = asking.done() and not asking.exception() and asking.result() == "Unpublished"
        asking.cancel()
        if killed or not answered:  # of one that nothing befell, a restart would tell what it told before
            await _again(calm)
            await _agree(calm, file, gone=answered)
        turns.note(hit=killed, calls=injection.calls())
    record_property("runs", turns.runs)


async def _agree(site: Site, file: Firmware, *, gone: bool) -> None:
    """After a restart: the file is whole or gone, and if ``gone`` gone; the CSMS is told the same, and may withdraw it,
    and then it stays gone.
    """
    served = await _served(site, file)
    assert served == (404, b"") if gone else served in {(404, b""), (200, file.body)}
    assert await site.withdrawn(file.checksum) == ("NoFirmware" if served[0] == 404 else "Unpublished")
    await _again(site)
    assert await _served(site, file) == (404, b"")


@pytest.mark.parametrize("where", PUBLISHING.values(), ids=PUBLISHING)
async def test_rows_5_and_6_failed_at_each_call_of_a_publication(
    where: Where, calm: Site, rounds: Rounds, chance: random.Random, record_property: Record
) -> None:
    """Rows 5 and 6: from that call on all fail. It ends, with nothing of it served unless Published; what was published
    stays served; nothing partial remains; and once the disk is well again, so is all.
    """
    before, ids, runs = firmware(50_000, 10_000), count(1), 0
    await _ask(calm, before, 10_000)
    await calm.csms.wait_status(10_000, "Published")
    for failure in chance.sample(FAILURES, rounds(1, len(FAILURES))):
        turns = Turns(where, rounds, 12, chance)
        for nth in turns:
            request_id = next(ids)
            file = firmware(100_000, request_id)
            async with _at(calm, where(calm, file, request_id), f"error={failure}:when={nth}+") as injection:
                answer = await _ask(calm, file, request_id)
                if answer == {"status": "Accepted"}:  # else not even that could be kept
                    await _look_until(partial(_ended, calm, request_id))
                    await _settled(calm)
                assert await _served(calm, before) == (200, before.body)
                served = await _served(calm, file)
            told = FINAL & set(calm.statuses(request_id))
            assert isinstance(answer, CallError) or told <= {"Published", "DownloadFailed", "PublishFailed"}
            assert served == ((200, file.body) if "Published" in told else (404, b"")), told
            await _look_until(lambda: not list((calm.daemon.state_dir / "partial").iterdir()))  # after its last word
            if "Published" in told:
                assert await calm.withdrawn(file.checksum) == "Unpublished"
            assert injection.hit() or told == {"Published"}
            turns.note(hit=injection.hit(), calls=injection.calls())
        runs += turns.runs
    record_property("runs", runs)


@pytest.mark.parametrize("where", WITHDRAWING.values(), ids=WITHDRAWING)
async def test_rows_5_and_6_failed_at_each_call_of_a_withdrawal(
    where: Where, calm: Site, rounds: Rounds, chance: random.Random, record_property: Record
) -> None:
    """Rows 5 and 6, L04.FR.02: from that call on all fail. Unpublished is said only of what is gone and stays gone,
    else InternalError; then the file is whole or gone after a restart, and can be withdrawn.
    """
    ids, runs = count(1), 0
    for failure in chance.sample(FAILURES, rounds(1, len(FAILURES))):
        turns = Turns(where, rounds, 3, chance)
        for nth in turns:
            request_id = next(ids)
            file = firmware(100_000, request_id)
            await _ask(calm, file, request_id)
            await calm.csms.wait_status(request_id, "Published")
            await _settled(calm)
            async with _at(calm, where(calm, file, request_id), f"error={failure}:when={nth}+") as injection:
                answer = await calm.csms.call(LC, "UnpublishFirmware", {"checksum": file.checksum})
                served = await _served(calm, file)
            gone = answer == {"status": "Unpublished"}
            assert gone or (isinstance(answer, CallError) and answer.code == "InternalError"), answer
            assert served == (404, b"") if gone else served in {(404, b""), (200, file.body)}
            assert injection.hit() or gone
            if injection.hit():
                await _again(calm)
                await _agree(calm, file, gone=gone)
            turns.note(hit=injection.hit(), calls=injection.calls())
        runs += turns.runs
    record_property("runs", runs)


@pytest.mark.parametrize("effect", ["signal=KILL", *(f"error={failure}" for failure in FAILURES)])
async def test_rows_5_and_6_a_partial_file_that_is_not_removed(
    effect: str, calm: Site, record_property: Record
) -> None:
    """Rows 1, 5 and 6: the last word of it is said all the same; the next start removes it, and work goes on."""
    wrong, right = firmware(100_000, 1), firmware(100_000, 2)
    async with _at(calm, files(*DISCARDING)(calm, wrong, 1), effect) as injection:
        asking = asyncio.get_running_loop().create_task(_ask(calm, wrong, 1, right.checksum))
        await _look_until(lambda: injection.hit() or not calm.daemon.running)
        if killed := "KILL" in effect:
            await calm.daemon.runs[-1].over()
        else:
            await _look_until(partial(_ended, calm, 1))
            await _settled(calm)
    await _seen_out(asking)
    stays = list((calm.daemon.state_dir / "partial").iterdir())
    assert [path.name for path in stays] == ["1"]
    if not killed:
        assert await calm.daemon.metric("localctl_storage_errors_total", operation="unlink") == 1
    await _again(calm)
    await calm.csms.wait_status(1, "InvalidChecksum")
    assert FINAL & set(calm.statuses(1)) == {"InvalidChecksum"}
    assert not stays[0].exists()
    await _ask(calm, right, 2)
    await calm.csms.wait_status(2, "Published")
    record_property("runs", 1)


@pytest.mark.parametrize("effect", ["signal=KILL", *(f"error={failure}" for failure in FAILURES)])
async def test_rows_3_5_and_6_an_answer_that_cannot_be_settled(
    effect: str, calm: Site, rounds: Rounds, chance: random.Random, record_property: Record
) -> None:
    """Rows 3, 5 and 6: the CSMS has answered Published, and that is not kept: it is sent again after a restart, after
    nothing else and before nothing else, and then no more.
    """
    answering, hearing = asyncio.Event(), asyncio.Event()

    async def slow(call: Call) -> Answer | None:
        if call.payload["status"] == "Published":
            hearing.set()
            await answering.wait()
        return None

    calm.csms.hooks["PublishFirmwareStatusNotification"] = slow
    ids, runs = count(1), 0
    for where in chance.sample((WRITES, SYNCS), rounds(1, 2)):
        turns = Turns(where, rounds, 2, chance)
        for nth in turns:
            request_id = next(ids)
            file = firmware(100_000, request_id)
            hearing.clear()
            answering.clear()
            await _ask(calm, file, request_id)
            await asyncio.wait_for(hearing.wait(), 30)
            on = "" if "KILL" in effect else "+"
            async with _at(calm, where(calm, file, request_id), f"{effect}:when={nth}{on}") as injection:
                answering.set()
                hit = await _gone_or(calm, lambda: True) or injection.hit()
            for _ in range(1 + hit):  # where it was settled, once tells
                await _again(calm)
                await calm.triggered("PublishFirmwareStatusNotification")  # its turn comes after what waits
                told = calm.statuses(request_id)
                assert told[:4] == ["Downloading", "Downloaded", "ChecksumVerified", "Published"]
                assert told[4:] in ([], ["Published"])
            assert hit or len(told) == 4
            turns.note(hit=hit, calls=injection.calls())
        runs += turns.runs
    record_property("runs", runs)


async def test_no_call_is_left_out(calm: Site, tmp_path: Path) -> None:
    """Rows 1 to 6: all that a publication, a withdrawal and a failed publication do to the disk has its spot above."""
    file, wrong = firmware(100_000, 1), firmware(100_000, 2)
    writing = (
        "openat,/^mkdir,/^rename,/^unlink,rmdir,/^ftruncate,/^fallocate,/^pwrite,/^writev?$,fsync,fdatasync,/^link"
    )
    async with traced(calm.daemon.pid, writing, tmp_path / "trace") as told:
        await _ask(calm, file, 1)
        await calm.csms.wait_status(1, "Published")
        await _settled(calm)
        assert await calm.withdrawn(file.checksum) == "Unpublished"
        await _ask(calm, wrong, 2, file.checksum)
        await calm.csms.wait_status(2, "InvalidChecksum")
        await _look_until(lambda: ("unlink", str(calm.daemon.state_dir / "partial" / "2")) in told())
    nothing = files("unlink", "firmware/{checksum}")  # of a publication that fails: it was never there
    stories = (*PUBLISHING.values(), *WITHDRAWING.values(), files(*DISCARDING), nothing)
    spots = [where(calm, file, 2) for where in stories]
    known = {(spot.calls, str(path)) for spot in spots for path in spot.paths}
    done = {(call, path) for call, path in told() if path.startswith(str(calm.daemon.state_dir))}
    reading = {("openat", path) for call, path in done if ("openat", path) not in known}  # of folders, to be fsynced
    assert done - known - reading == set()
    assert {call for call, _ in done} >= {
        "write",
        "fsync",
        "rename",
        "mkdir",
        "unlink",
        "rmdir",
        "pwrite64",
        "fdatasync",
    }
