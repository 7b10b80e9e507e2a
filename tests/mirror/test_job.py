"""One publication from its beginning to its end, through failures, faults of ours and restarts."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from localctl.mirror.gate import Gate
from localctl.mirror.throttle import Throttle
from localctl.mirror.window import LOOK_SECONDS
from localctl.ocpp.messages import PublishFirmwareRequest
from localctl.store.catalogue import Withdrawal
from localctl.store.records import Notification, Publication, Resume, State
from localctl.values import parse_window
from tests.actors.nginx import Nginx
from tests.actors.origin import Origin, Reply
from tests.mirror.workshop import Mirror, image, md5, mirror, until, uris

BODY: Final = image(1_500_000)
MD5: Final = md5(BODY)
OTHER: Final = image(1_500_000, seed=1)
CUT: Final = 600_000
UNAVAILABLE: Final = Reply(status=503)
WHOLE: Final = ["Downloading", "Downloaded", "ChecksumVerified", "Published"]


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    """An origin that does as it is told."""
    async with Origin() as made:
        yield made


async def nothing_is_left(made: Mirror) -> None:
    """No partial file, nothing published, and nothing to go on with after a restart."""
    await until(lambda: not made.partial() and not made.published())
    assert (await made.kept()).publications == ()
    assert made.publisher.jobs() == ()


async def test_tc_l_17_published(origin: Origin, tmp_path: Path) -> None:
    """TC_L_17, L03.FR.01, FR.04: all states in order under the requestId; only Published tells URIs, one a listener."""
    async with mirror(tmp_path) as made:
        await made.publish(origin.script("/firmware-1.2.bin", Reply(BODY)), MD5, request_id=7)
        assert await made.ended(7) == WHOLE
        assert {each.request_id for each in made.told} == {7}
        assert [each.location for each in made.told] == [(), (), (), uris(MD5, "firmware-1.2.bin")]
        await until(lambda: not made.publisher.jobs())
        file = made.shop.catalogue.find(MD5)
        assert file is not None
        assert (file.path, file.size) == (tmp_path / "firmware" / MD5 / "firmware-1.2.bin", len(BODY))
        assert made.published() == [file.path]
        assert made.published()[0].read_bytes() == BODY
        assert made.partial() == []
        kept = await made.kept()
        assert kept.publications == ()
        assert [each.status for each in kept.outbox] == WHOLE
        assert [each.id for each in kept.outbox] == [each.id for each in made.told]
        assert made.count("publish_results_total", status="Published") == 1
        assert made.count("download_attempts_total", result="complete") == 1
        assert made.count("firmware_published_bytes") == len(BODY)


async def test_tc_l_24_download_failed(origin: Origin, tmp_path: Path) -> None:
    """TC_L_24, L03.FR.06: the origin has no such file; it is asked once, whatever ``retries`` says."""
    async with mirror(tmp_path) as made:
        await made.publish(origin.url + "/missing.bin", MD5, retries=5)
        assert await made.ended() == ["Downloading", "DownloadFailed"]
        await nothing_is_left(made)
        assert made.count("publish_results_total", status="DownloadFailed") == 1
        assert made.count("download_attempts_total", result="refused") == 1
    assert len(origin.requests) == 1


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_tc_l_19_invalid_checksum(origin: Origin, tmp_path: Path, framing: Any) -> None:
    """TC_L_19, L03.FR.07: after one uninterrupted fetch the file is deleted, and not fetched again."""
    async with mirror(tmp_path) as made:
        await made.publish(origin.script("/fw.bin", Reply(OTHER, framing=framing)), MD5, retries=5)
        assert await made.ended() == ["Downloading", "Downloaded", "InvalidChecksum"]
        await nothing_is_left(made)
    assert len(origin.requests) == 1


async def test_tc_l_20_publish_failed(origin: Origin, tmp_path: Path) -> None:
    """TC_L_20, L03.FR.08: nothing that could serve it."""
    async with mirror(tmp_path, uris=lambda _checksum, _name: ()) as made:
        await made.publish(origin.script("/fw.bin", Reply(BODY)), MD5)
        assert await made.ended() == ["Downloading", "Downloaded", "ChecksumVerified", "PublishFailed"]
        await nothing_is_left(made)


async def test_a_file_that_cannot_be_put_in_its_place(origin: Origin, tmp_path: Path) -> None:
    """L03.FR.08: the disk refuses the rename; counted, told, and nothing is left."""
    async with mirror(tmp_path) as made:
        (tmp_path / "firmware" / MD5).write_bytes(b"in the way")
        await made.publish(origin.script("/fw.bin", Reply(BODY)), MD5)
        assert (await made.ended())[-1] == "PublishFailed"
        await nothing_is_left(made)
        assert made.count("storage_errors_total", operation="write") == 1


async def test_a_disk_that_will_not_take_it(origin: Origin, tmp_path: Path) -> None:
    """Faults, row 6: DownloadFailed, and not tried again."""
    async with mirror(tmp_path) as made:
        made.files.partial(1).mkdir()
        await made.publish(origin.script("/fw.bin", Reply(BODY)), MD5, retries=5)
        assert await made.ended() == ["Downloading", "DownloadFailed"]
        assert made.count("storage_errors_total", operation="write") >= 1


async def test_every_try_is_told(origin: Origin, tmp_path: Path) -> None:
    """L03.FR.01: DownloadPaused between tries, Downloading again at each."""
    async with mirror(tmp_path) as made:
        await made.publish(origin.script("/fw.bin", UNAVAILABLE, UNAVAILABLE, Reply(BODY)), MD5, retries=2)
        assert await made.ended() == ["Downloading", "DownloadPaused"] * 2 + WHOLE
        assert made.count("download_attempts_total", result="failed") == 2


async def test_all_tries_are_spent(origin: Origin, tmp_path: Path) -> None:
    """L03.FR.06: one try and ``retries`` more."""
    async with mirror(tmp_path) as made:
        await made.publish(origin.script("/fw.bin", UNAVAILABLE), MD5, retries=2)
        assert await made.ended() == ["Downloading", "DownloadPaused"] * 2 + ["Downloading", "DownloadFailed"]
    assert len(origin.requests) == 3


async def test_the_configured_number_of_tries(origin: Origin, tmp_path: Path) -> None:
    """L03: ``retries`` and ``retryInterval`` absent: the configured default."""
    async with mirror(tmp_path, retries=1, retry_interval_seconds=0.001) as made:
        await made.publish(origin.script("/fw.bin", UNAVAILABLE), MD5, retryInterval=None)
        assert await made.ended() == ["Downloading", "DownloadPaused", "Downloading", "DownloadFailed"]


@pytest.mark.parametrize(
    ("header", "interval", "wait"), [("3000", 0, 3000), ("3", 2000, 2000), ("", 2000, 2000), ("", None, 60)]
)
async def test_how_long_it_waits(
    origin: Origin, tmp_path: Path, caplog: pytest.LogCaptureFixture, header: str, interval: int | None, wait: int
) -> None:
    """The CSMS's interval, or our default; Retry-After where it is longer (faults, row 10)."""
    caplog.set_level(logging.INFO, "localctl.mirror")
    headers = [("Retry-After", header)] if header else []
    async with mirror(tmp_path) as made:
        await made.publish(origin.script("/fw.bin", Reply(status=503, headers=headers)), MD5, retryInterval=interval)
        await until(lambda: f"publication 1 is tried again in {wait} s" in caplog.text)
        assert made.statuses() == ["Downloading", "DownloadPaused"]


async def test_a_cut_file_is_continued(origin: Origin, tmp_path: Path) -> None:
    """Faults, row 13: the next try fetches only what is missing."""
    async with mirror(tmp_path) as made:
        await made.publish(origin.script("/fw.bin", Reply(BODY, cut_after=CUT), Reply(BODY)), MD5, retries=1)
        assert await made.ended() == ["Downloading", "DownloadPaused", *WHOLE]
        assert made.count("download_bytes_total") == len(BODY)
    assert origin.requests[1].headers["range"] == f"bytes={CUT}-"


@pytest.mark.parametrize("framing", ["length", "close"])
async def test_a_doubtful_file_is_fetched_once_more(origin: Origin, tmp_path: Path, framing: Any) -> None:
    """Faults, rows 13 and 19: put together from two files, or cut unnoticed: once more from 0, and no try is spent."""
    cut = Reply(BODY, framing=framing, cut_after=CUT)
    replies = (cut, Reply(OTHER), Reply(BODY)) if framing == "length" else (cut, Reply(BODY))
    async with mirror(tmp_path) as made:
        retries = 1 if framing == "length" else 0
        await made.publish(origin.script("/fw.bin", *replies), MD5, retries=retries)
        assert await made.ended() == ["Downloading", "DownloadPaused"] * retries + WHOLE
    assert "range" not in origin.requests[-1].headers


async def test_a_doubtful_file_is_decided_the_second_time(origin: Origin, tmp_path: Path) -> None:
    """Faults, row 19: fetched once more from 0, then InvalidChecksum, however often it could be tried."""
    async with mirror(tmp_path) as made:
        await made.publish(origin.script("/fw.bin", Reply(OTHER, cut_after=CUT), Reply(OTHER)), MD5, retries=9)
        assert (await made.ended())[-2:] == ["Downloaded", "InvalidChecksum"]
    assert [request.headers.get("range") for request in origin.requests] == [None, f"bytes={CUT}-", None]


async def test_nginx_that_restarts(tmp_path: Path) -> None:
    """A real web server that goes away in the middle and comes back: the rest is fetched, and published."""
    root = tmp_path / "root"
    root.mkdir()
    body = image(5_000_000)
    (root / "fw.bin").write_bytes(body)
    async with Nginx(tmp_path / "nginx", root, limit_rate=2_500_000) as nginx, mirror(tmp_path / "state") as made:
        await made.publish(f"{nginx.url}/fw.bin", md5(body), retries=1000)
        await until(lambda: made.count("download_bytes_total") > CUT)
        await nginx.stop()
        await made.status("DownloadPaused")
        await nginx.start()
        assert (await made.ended())[-4:] == WHOLE
        assert made.count("download_bytes_total") == len(body)
        assert nginx.requests()[-1].status == 206


# Restarts: a second mirror on what the first has left.


def added(state: State, location: str, **more: Any) -> Publication:
    """A publication as the database holds it."""
    return Publication(0, 1, location, MD5, "fw.bin", 0, 0.0, 1e9, state, **more)


async def left(state_dir: Path, publication: Publication, partial: bytes = b"", named: bytes = b"") -> None:
    """A kill has left this behind."""
    async with mirror(state_dir) as made:
        kept = await made.shop.database.add_publication(publication)
        await made.shop.database.record(replace(publication, id=kept.id))
        made.files.partial(kept.id).write_bytes(partial)
        if named:
            made.files.partial(kept.id).unlink()
            path = made.files.published(MD5, "fw.bin")
            path.parent.mkdir()
            path.write_bytes(named)


@pytest.mark.parametrize("state", [State.ACCEPTED, State.SCHEDULED, State.PAUSED])
async def test_what_waited_goes_on(origin: Origin, tmp_path: Path, state: State) -> None:
    """State that lasts: accepted, scheduled or paused before the restart, published after it."""
    await left(tmp_path, added(state, origin.script("/fw.bin", Reply(BODY))))
    async with mirror(tmp_path) as made:
        assert await made.ended() == WHOLE


@pytest.mark.parametrize("state", [State.DOWNLOADING, State.PAUSED])
async def test_a_partial_download_goes_on(origin: Origin, tmp_path: Path, state: State) -> None:
    """Faults, row 1: by Range from its last fsynced offset; what was not fsynced is not trusted."""
    location = origin.script("/fw.bin", Reply(BODY))
    publication = added(state, location, resume=Resume(CUT, len(BODY), '"1"'), failures=0)
    await left(tmp_path, publication, BODY[:CUT] + b"torn by the power cut")
    async with mirror(tmp_path) as made:
        told = await made.ended()
    assert told == (WHOLE[1:] if state is State.DOWNLOADING else WHOLE)
    assert origin.requests[0].headers["range"] == f"bytes={CUT}-"


async def test_a_restart_is_no_failure(origin: Origin, tmp_path: Path) -> None:
    """Faults, row 1: a stop in mid-download keeps what came and uses up no try."""
    location = origin.script("/fw.bin", Reply(BODY, stall_after=CUT), Reply(BODY))
    async with mirror(tmp_path) as made:
        await made.publish(location, MD5, retries=0)
        await until(lambda: made.count("download_bytes_total") == CUT)
    async with mirror(tmp_path) as made:
        (publication,) = made.snapshot.publications
        assert (publication.state, publication.failures) == (State.DOWNLOADING, 0)
        assert publication.resume == Resume(CUT, len(BODY), '"1"')
        assert await made.ended() == WHOLE[1:]
    assert origin.requests[1].headers["range"] == f"bytes={CUT}-"


@pytest.mark.parametrize(("partial", "named"), [(BODY, b""), (b"", BODY)])
async def test_a_verified_file_is_published(origin: Origin, tmp_path: Path, partial: bytes, named: bytes) -> None:
    """Faults, rows 2 and 3: hashed again, wherever the kill left it, and published without the origin."""
    await left(tmp_path, added(State.VERIFIED, origin.script("/fw.bin", Reply(BODY))), partial, named)
    async with mirror(tmp_path) as made:
        assert await made.ended() == ["Published"]
        assert [path.read_bytes() for path in made.published()] == [BODY]
    assert origin.requests == []


@pytest.mark.parametrize("partial", [BODY[:-1], OTHER, b""])
async def test_a_verified_file_that_is_damaged_is_fetched_again(origin: Origin, tmp_path: Path, partial: bytes) -> None:
    """Faults, row 2: what is not what was verified is never published."""
    await left(tmp_path, added(State.VERIFIED, origin.script("/fw.bin", Reply(BODY))), partial)
    async with mirror(tmp_path) as made:
        assert await made.ended() == WHOLE
    assert "range" not in origin.requests[0].headers


async def test_a_verified_file_that_was_published_meanwhile(origin: Origin, tmp_path: Path) -> None:
    """The file is there already, by another publication: Published, with the URIs first given."""
    async with mirror(tmp_path) as made:
        await made.publish(origin.script("/first.bin", Reply(BODY)), MD5, request_id=9)
        await made.ended(9)
    await left(tmp_path, added(State.VERIFIED, origin.url + "/fw.bin"), BODY)
    async with mirror(tmp_path) as made:
        assert await made.ended() == ["Published"]
        assert made.told[-1].location == uris(MD5, "first.bin")
        await until(lambda: not made.partial())
        assert [path.name for path in made.published()] == ["first.bin"]


# "The WAN is dear": the download window, and the rate.


class Hours:
    """A wall clock that the test sets, and a gate at it whose window is from 01:00 to 05:00 on that clock."""

    def __init__(self, hour: float) -> None:
        self.set(hour)
        self.gate = Gate(parse_window("01:00-05:00"), lambda: self.now, self._sleep)

    def set(self, hour: float) -> None:
        """It is so many hours after midnight."""
        self.now = 1768435200.0 + hour * 3600

    async def _sleep(self, seconds: float) -> None:
        assert 0 < seconds <= LOOK_SECONDS
        await asyncio.sleep(0.002)  # the wall clock is the test's: look again soon


@pytest.mark.usefixtures("in_utc")
async def test_before_the_window_it_is_scheduled(origin: Origin, tmp_path: Path) -> None:
    """``download_window``: DownloadScheduled, the origin is not asked, and it begins when the window does."""
    hours = Hours(0.5)
    async with mirror(tmp_path, gate=hours.gate) as made:
        await made.publish(origin.script("/fw.bin", Reply(BODY)), MD5)
        await made.status("DownloadScheduled")
        assert origin.requests == []
        hours.set(1.0)
        assert await made.ended() == ["DownloadScheduled", *WHOLE]


@pytest.mark.usefixtures("in_utc")
async def test_a_window_that_closes_in_mid_download(origin: Origin, tmp_path: Path) -> None:
    """DownloadPaused though no try is left, Downloading again when it opens, and only the rest is fetched."""
    hours = Hours(4.9)
    async with mirror(tmp_path, gate=hours.gate) as made:
        await made.publish(origin.script("/fw.bin", Reply(BODY, stall_after=CUT), Reply(BODY)), MD5, retries=0)
        await until(lambda: made.count("download_bytes_total") == CUT)
        hours.set(5.0)
        await made.status("DownloadPaused")
        (publication,) = (await made.kept()).publications
        assert (publication.state, publication.failures) == (State.PAUSED, 0)
        assert publication.resume == Resume(CUT, len(BODY), '"1"')
        assert not made.shop.slots.locked()
        assert len(origin.requests) == 1
        hours.set(25.0)
        assert await made.ended() == ["Downloading", "DownloadPaused", *WHOLE]
        assert made.count("download_bytes_total") == len(BODY)
        assert made.count("download_attempts_total", result="cancelled") == 1
        assert made.count("download_attempts_total", result="failed") == 0
    assert origin.requests[1].headers["range"] == f"bytes={CUT}-"


@pytest.mark.usefixtures("in_utc")
@pytest.mark.parametrize(
    ("state", "told"),
    [
        (State.ACCEPTED, ["DownloadScheduled"]),
        (State.SCHEDULED, []),
        (State.DOWNLOADING, ["DownloadPaused"]),
        (State.PAUSED, []),
    ],
)
async def test_a_restart_outside_the_window(origin: Origin, tmp_path: Path, state: State, told: list[str]) -> None:
    """What a restart finds waits for the window, says so where that is news, and goes on from where it was."""
    resume = Resume(CUT, len(BODY), '"1"') if state in {State.DOWNLOADING, State.PAUSED} else Resume()
    await left(tmp_path, added(state, origin.script("/fw.bin", Reply(BODY)), resume=resume), BODY[: resume.offset])
    hours = Hours(12.0)
    async with mirror(tmp_path, gate=hours.gate) as made:
        await made.until(lambda: made.statuses() == told, "what is told of it")
    async with mirror(tmp_path, gate=hours.gate) as made:
        for _ in range(5):
            await asyncio.sleep(0)
        assert made.statuses() == []
        hours.set(2.0)
        assert await made.ended() == WHOLE
    assert origin.requests[0].headers.get("range") == (f"bytes={CUT}-" if resume.offset else None)


@pytest.mark.usefixtures("in_utc")
@pytest.mark.parametrize("begun", [False, True])
async def test_what_waits_for_the_window_can_be_withdrawn(
    origin: Origin,
    tmp_path: Path,
    begun: bool,  # noqa: FBT001
) -> None:
    """L04.FR.04: scheduled before it or paused after it: cancelled, Unpublished, and nothing is left."""
    hours = Hours(2.0 if begun else 0.5)
    async with mirror(tmp_path, gate=hours.gate) as made:
        await made.publish(origin.script("/fw.bin", Reply(BODY, stall_after=CUT)), MD5)
        if begun:
            await until(lambda: made.count("download_bytes_total") == CUT)
            assert await made.publisher.withdraw(MD5) is Withdrawal.LENT
            hours.set(6.0)
        await made.status("DownloadPaused" if begun else "DownloadScheduled")
        assert await made.publisher.withdraw(MD5) is Withdrawal.WITHDRAWN
        await nothing_is_left(made)
        assert made.count("publish_results_total", status="cancelled") == 1


@pytest.mark.usefixtures("in_utc")
async def test_the_window_closes_while_it_waits_for_a_slot(origin: Origin, tmp_path: Path) -> None:
    """A slot that becomes free after the window is not used before the next."""
    hours = Hours(4.9)
    async with mirror(tmp_path, gate=hours.gate, max_concurrent_downloads=1) as made:
        location = origin.script("/other.bin", Reply(OTHER, stall_after=CUT), Reply(OTHER))
        await made.publish(location, md5(OTHER), 1)
        await until(lambda: made.count("download_bytes_total") == CUT)
        await made.publish(origin.script("/fw.bin", Reply(BODY)), MD5, 2)
        await made.status("DownloadScheduled", 2)
        hours.set(5.0)
        await made.status("DownloadPaused", 1)
        await until(lambda: not made.shop.slots.locked())
        assert len(origin.requests) == 1
        hours.set(26.0)
        assert await made.ended(2) == ["DownloadScheduled", *WHOLE]
        assert await made.ended(1) == ["Downloading", "DownloadPaused", *WHOLE]


@pytest.mark.usefixtures("in_utc")
async def test_what_is_published_already_needs_no_window(origin: Origin, tmp_path: Path) -> None:
    """The same checksum again costs nothing of the WAN: Published at once."""
    hours = Hours(2.0)
    async with mirror(tmp_path, gate=hours.gate) as made:
        await made.publish(origin.script("/fw.bin", Reply(BODY)), MD5, 1)
        await made.ended(1)
        hours.set(12.0)
        await made.publish(origin.url + "/fw.bin", MD5, 2)
        assert await made.ended(2) == ["Published"]


async def test_two_downloads_keep_to_the_rate_together(origin: Origin, tmp_path: Path) -> None:
    """``max_rate``: both take from one bucket, and what they wait for is what both have read."""
    waited: list[float] = []
    now = 0.0

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        await asyncio.sleep(0)

    throttle = Throttle(100_000, lambda: now, sleep)
    async with mirror(tmp_path, throttle=throttle, max_rate=100_000) as made:
        await made.publish(origin.script("/fw.bin", Reply(BODY)), MD5, 1)
        await made.publish(origin.script("/other.bin", Reply(OTHER)), md5(OTHER), 2)
        assert await made.ended(1) == await made.ended(2) == WHOLE
    assert max(waited) == pytest.approx((len(BODY) + len(OTHER)) / 100_000 - 1.0)
    assert len(waited) > 30  # in pieces of about a quarter of a second's worth, not in one


# Faults of ours, and of the database.


async def test_a_fault_of_ours_ends_one_publication(
    origin: Origin, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither another publication nor the daemon feels it, and the CSMS is told an end."""

    def faulty(checksum: str, name: str) -> tuple[str, ...]:
        if checksum == MD5:
            raise KeyError("a fault of ours")
        return uris(checksum, name)

    async with mirror(tmp_path, uris=faulty) as made:
        await made.publish(origin.script("/fw.bin", Reply(BODY)), MD5, 1)
        await made.publish(origin.script("/other.bin", Reply(OTHER)), md5(OTHER), 2)
        assert (await made.ended(1))[-1] == "PublishFailed"
        assert (await made.ended(2))[-1] == "Published"
        await until(lambda: not made.publisher.jobs())
    assert "publication 1 failed by a fault of localctl" in caplog.text


@pytest.mark.usefixtures("in_utc")
async def test_a_fault_of_ours_in_a_download_within_its_window(
    origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """L03.FR.06: it is logged, told as DownloadFailed, and the next publication has the slot and the window."""

    async def faulty(*_: object) -> None:
        raise KeyError("a fault of ours")

    async with mirror(tmp_path, gate=Hours(2.0).gate, max_concurrent_downloads=1) as made:
        with monkeypatch.context() as patched:
            patched.setattr(made.shop.downloading.origin, "fetch", faulty)
            await made.publish(origin.url + "/fw.bin", MD5, 1, retries=5)
            assert await made.ended(1) == ["Downloading", "DownloadFailed"]
        assert "publication 1 failed by a fault of localctl" in caplog.text
        await made.publish(origin.script("/fw.bin", Reply(BODY)), MD5, 2)
        assert await made.ended(2) == WHOLE


@pytest.mark.parametrize("status", ["DownloadScheduled", "Downloading", "DownloadPaused"])
async def test_a_fault_of_ours_in_any_state_is_told(origin: Origin, tmp_path: Path, status: str) -> None:
    """L03.FR.06: even what had not begun is ended, so that the CSMS does not wait for ever."""
    told: list[str] = []

    def notify(kept: Iterable[Notification]) -> None:
        for each in kept:
            if each.request_id == 1:
                told.append(each.status)
                if told == (["Downloading", status] if status == "DownloadPaused" else [status]):
                    raise KeyError("a fault of ours")

    async with mirror(tmp_path, notify=notify, max_concurrent_downloads=1) as made:
        if status == "DownloadScheduled":
            await made.publish(origin.script("/slow.bin", Reply(OTHER, stall_after=1)), md5(OTHER), 2)
            await until(lambda: made.publisher.jobs()[0].is_flowing)
        await made.publish(origin.script("/fw.bin", Reply(status=503, headers=[("Retry-After", "99")])), MD5, 1)
        await until(lambda: "DownloadFailed" in told)


async def test_two_faults_in_a_row(origin: Origin, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where not even the end can be told the publication stays for the next start; the others go on."""
    others: list[str] = []

    def notify(kept: Iterable[Notification]) -> None:
        for each in kept:
            if each.request_id == 1:
                raise KeyError("a fault of ours")
            others.append(each.status)

    async with mirror(tmp_path, notify=notify) as made:
        await made.publish(origin.script("/fw.bin", Reply(BODY)), MD5, 1)
        await made.publish(origin.script("/other.bin", Reply(OTHER)), md5(OTHER), 2)
        await until(lambda: others == WHOLE)
        await until(lambda: "publication 1 is left as it is" in caplog.text)


async def test_a_database_that_refuses_does_not_silence_us(origin: Origin, tmp_path: Path) -> None:
    """Faults, row 6: the CSMS is told each state; what cannot be put on record is not published."""
    async with mirror(tmp_path) as made:
        location = origin.script("/fw.bin", Reply(BODY, stall_after=CUT))
        await made.publish(location, MD5)
        await made.status("Downloading")
        made.refuse_writes(refuse=True)
        origin.release()
        assert await made.ended() == ["Downloading", "Downloaded", "ChecksumVerified", "PublishFailed"]
        assert made.shop.catalogue.files() == ()
        assert made.count("storage_errors_total", operation="commit") >= 1
        made.refuse_writes(refuse=False)


async def test_no_secret_of_the_location_is_logged(
    origin: Origin, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """User, password and query of a location are in no line of the log, whatever becomes of it."""
    caplog.set_level(logging.DEBUG)
    address = f"http://user:s3cret@127.0.0.1:{origin.port}"
    origin.script("/fw.bin", Reply(BODY, cut_after=CUT), UNAVAILABLE, Reply(BODY))
    async with mirror(tmp_path) as made:
        await made.publish(f"{address}/fw.bin?sig=s3cret", MD5, 1, retries=2)
        await made.publish(f"{address}/missing.bin?sig=s3cret", md5(b""), 2)
        await made.publish("http://user:s3cret@127.0.0.1:1/fw.bin?sig=s3cret", md5(b"0"), 3, retries=0)
        for request_id in (1, 2, 3):
            await made.ended(request_id)
    assert "publication 1 accepted" in caplog.text
    assert "s3cret" not in caplog.text


async def test_accepted_and_never_begun(origin: Origin, tmp_path: Path) -> None:
    """State that lasts: a kill between the answer and the beginning; the request is on record and goes on."""
    location = origin.script("/fw.bin", Reply(BODY))
    async with mirror(tmp_path) as made:
        request = PublishFirmwareRequest(location=location, checksum=MD5, requestId=1)
        answered, _then = await made.publisher.accept(request)
        assert answered == {"status": "Accepted"}
    async with mirror(tmp_path) as made:
        assert await made.ended() == WHOLE
