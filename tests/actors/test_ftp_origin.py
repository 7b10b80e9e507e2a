from pathlib import Path

import pytest

from tests.actors.ftp_origin import FtpOrigin, Retrieval, Sending
from tests.actors.process import Process

IMAGE = bytes(range(256)) * 1000


async def curl(url: str, target: Path, *options: str) -> tuple[int, bytes]:
    """The exit status of curl, and what it has fetched."""
    run = await Process.start(["curl", "-sS", "-m", "20", *options, "-o", str(target), url])
    return await run.over(), target.read_bytes() if target.exists() else b""


async def test_a_file_and_the_rest_of_it(tmp_path: Path) -> None:
    """Whole, then from an offset by REST; SIZE and MDTM are told; what is not scripted is not there."""
    async with FtpOrigin() as origin:
        url = origin.script("/fw.bin", Sending(IMAGE))
        assert await curl(url, tmp_path / "whole") == (0, IMAGE)
        (tmp_path / "part").write_bytes(IMAGE[:1000])
        assert await curl(url, tmp_path / "part", "-C", "-", "-R") == (0, IMAGE)
        assert (tmp_path / "part").stat().st_mtime == 1769860800  # the MDTM
        assert origin.retrievals == [
            Retrieval("/fw.bin", 0, len(IMAGE)),
            Retrieval("/fw.bin", 1000, len(IMAGE) - 1000),
        ]
        assert (await curl(f"{origin.url}/none", tmp_path / "none"))[0] == 78


@pytest.mark.parametrize(
    ("sending", "status", "sent"),
    [
        (Sending(IMAGE, cut_after=1000), 18, 1000),
        (Sending(IMAGE, stall_after=1000), 28, 1000),
        (Sending(refusal="450 Busy"), 19, 0),
        (Sending(IMAGE, size=len(IMAGE) + 1), 18, len(IMAGE)),
    ],
)
async def test_what_goes_wrong(tmp_path: Path, sending: Sending, status: int, sent: int) -> None:
    """Cut, stalled, refused, or of another size than was told; the next RETR gets the next sending."""
    async with FtpOrigin() as origin:
        url = origin.script("/fw.bin", sending, Sending(IMAGE))
        code, got = await curl(url, tmp_path / "first", "-m", "1" if sending.stall_after else "20")
        assert (code, got) == (status, IMAGE[:sent])
        assert await curl(url, tmp_path / "second") == (0, IMAGE)


async def test_rest_is_refused(tmp_path: Path) -> None:
    """A server that cannot go on somewhere says so."""
    async with FtpOrigin() as origin:
        url = origin.script("/fw.bin", Sending(IMAGE, restarts=False))
        (tmp_path / "part").write_bytes(IMAGE[:1000])
        assert (await curl(url, tmp_path / "part", "-C", "-"))[0] == 31
