"""FTP origins that misbehave, rows 10 to 19 of the faults: a scripted one, and vsftpd whose session is cut."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import psutil
import pytest

from tests.actors.ftp_origin import FtpOrigin, Sending
from tests.actors.site import OpenSite, Site, firmware
from tests.actors.vsftpd import Vsftpd
from tests.journeys.outcome import AGAIN, FAILED, INVALID, ORDINARY, outcome, received, served

FILE: Final = firmware(1_000_000)
OTHER: Final = firmware(1_000_000, seed=1)
CUT: Final = 600_000
WHOLE: Final = Sending(FILE.body)
STALLED: Final = Sending(FILE.body, stall_after=CUT)


@pytest.fixture
async def site(open_site: OpenSite) -> Site:
    """A site whose controller soon has enough of silence."""
    return await open_site(overrides={"firmware": {"idle_timeout_seconds": 2}})


@pytest.fixture
async def ftp() -> AsyncIterator[FtpOrigin]:
    """An FTP origin that does as it is told."""
    async with FtpOrigin() as made:
        yield made


def offsets(ftp: FtpOrigin) -> list[int]:
    """Where each RETR began."""
    return [each.offset for each in ftp.retrievals]


async def test_row_10_no_such_file(site: Site, ftp: FtpOrigin) -> None:
    """Row 10: 550 is final; 450 and 421 are asked again."""
    assert await outcome(site, f"{ftp.url}/none.bin", "0" * 32) == FAILED
    assert ftp.lines.count("RETR none.bin") == 1
    location = ftp.script("/fw.bin", Sending(refusal="450 Busy"), Sending(refusal="421 Full"), WHOLE)
    assert await outcome(site, location, FILE.checksum) == (*AGAIN * 2, *ORDINARY)


async def test_row_12_stalled(site: Site, ftp: FtpOrigin) -> None:
    """Row 12: ended after ``idle_timeout_seconds``, counted as a try, and continued by REST from where it was."""
    location = ftp.script("/fw.bin", STALLED, WHOLE)
    assert await outcome(site, location, FILE.checksum) == (*AGAIN, *ORDINARY)
    assert offsets(ftp) == [0, CUT]
    assert await received(site) == len(FILE.body)
    assert await served(site, FILE.checksum, "fw.bin") == (200, FILE.body)


async def test_row_13_cut(site: Site, ftp: FtpOrigin) -> None:
    """Row 13: fewer bytes than SIZE has told cost a try; no byte is fetched twice."""
    location = ftp.script("/fw.bin", Sending(FILE.body, cut_after=CUT), WHOLE)
    assert await outcome(site, location, FILE.checksum) == (*AGAIN, *ORDINARY)
    assert offsets(ftp) == [0, CUT]
    assert await received(site) == len(FILE.body)


async def test_row_13_cut_again_and_again(site: Site, ftp: FtpOrigin) -> None:
    """Row 13: never Published."""
    location = ftp.script("/fw.bin", Sending(FILE.body, cut_after=100_000))
    assert await outcome(site, location, FILE.checksum, retries=2) == (*AGAIN * 2, *FAILED)
    assert offsets(ftp) == [0, 100_000, 200_000]


@pytest.mark.parametrize(
    "changed", [Sending(FILE.body, modified="20260201120000"), Sending(FILE.body + b"more")], ids=["time", "size"]
)
async def test_row_14_the_file_has_changed(site: Site, ftp: FtpOrigin, changed: Sending) -> None:
    """Row 14: another time or size: what is here is dropped, and it starts at 0."""
    location = ftp.script("/fw.bin", Sending(OTHER.body, stall_after=CUT), changed)
    told = await outcome(site, location, FILE.checksum)
    assert told == (*AGAIN, *(ORDINARY if len(changed.body) == len(FILE.body) else INVALID))
    assert offsets(ftp) == [0, 0]


async def test_row_15_rest_is_refused(site: Site, ftp: FtpOrigin) -> None:
    """Row 15: starts at 0, and no byte is there twice."""
    location = ftp.script("/fw.bin", STALLED, Sending(FILE.body, restarts=False))
    assert await outcome(site, location, FILE.checksum) == (*AGAIN, *ORDINARY)
    assert offsets(ftp) == [0, 0]
    assert await served(site, FILE.checksum, "fw.bin") == (200, FILE.body)


async def test_row_17_a_size_above_the_limit(open_site: OpenSite, ftp: FtpOrigin) -> None:
    """Row 17: refused before a byte is taken, or counted where SIZE has told less."""
    site = await open_site(overrides={"firmware": {"max_file_size": 100_000}})
    assert await outcome(site, ftp.script("/a.bin", WHOLE), "0" * 32) == FAILED
    assert await received(site) == 0
    location = ftp.script("/b.bin", Sending(FILE.body, size=100_000))
    assert "Published" not in await outcome(site, location, FILE.checksum, retries=0)


async def test_row_19_put_together_wrongly(site: Site, ftp: FtpOrigin) -> None:
    """Row 19: parts of two files of one size and time are found out by the MD5, and the whole file is fetched."""
    location = ftp.script("/fw.bin", Sending(OTHER.body, stall_after=CUT), WHOLE)
    assert await outcome(site, location, FILE.checksum) == (*AGAIN, *ORDINARY)
    assert offsets(ftp) == [0, CUT, 0]


async def test_row_13_vsftpd_ends_a_session(site: Site, tmp_path: Path) -> None:
    """Row 13: the process of the session is killed in the middle of the file: continued by REST."""
    file = firmware(6_000_000)
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / file.name).write_bytes(file.body)
    async with Vsftpd(tmp_path / "vsftpd", tmp_path / "root", limit_rate=3_000_000) as vsftpd:
        request_id, _ = await site.publish(f"{vsftpd.url}/{file.name}", file.checksum, retries=1, retryInterval=0)
        async with asyncio.timeout(20):
            while await received(site) < 1_000_000:  # noqa: ASYNC110
                await asyncio.sleep(0.02)  # nothing tells of progress but the numbers
        for session in psutil.Process(vsftpd.pid).children(recursive=True):
            session.kill()
        await site.csms.wait_status(request_id, "Published")
        assert "REST " in vsftpd.log()
    assert tuple(site.statuses(request_id)) == (*AGAIN, *ORDINARY)
    assert await received(site) == len(file.body)
    assert await served(site, file.checksum, file.name) == (200, file.body)


async def test_credentials_of_a_location_stay_secret(site: Site, ftp: FtpOrigin) -> None:
    """Rows 10 to 17: user and password of an FTP URL are in no log, no status and no metric, however it ends."""
    for path, sending in {"/a.bin": WHOLE, "/b.bin": Sending(refusal="530 s3cr3t-word"), "/c.bin": STALLED}.items():
        location = ftp.script(path, sending).replace("ftp://", "ftp://s3cr3t-user:s3cr3t-word@")
        await outcome(site, location, FILE.checksum, retries=1)
        await site.unpublish(FILE.checksum)
    assert ftp.lines.count("PASS s3cr3t-word") >= 3
    read = [*site.daemon.runs[0].err, (await site.daemon.get("/api/status"))[1], (await site.daemon.get("/metrics"))[1]]
    assert [line for line in read if "s3cr3t" in line] == []
