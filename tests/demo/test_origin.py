import asyncio
import hashlib
from pathlib import Path

import aiohttp
import pytest

from localctl.demo.origin import Origin, make_firmware

SIZE = 1_000_001
FAST = 1e12


def test_the_firmware_is_random_and_known_by_its_md5(tmp_path: Path) -> None:
    """Two files differ, each has the size asked for, and the MD5 is that of the bytes on disk."""
    files = [tmp_path / "a.bin", tmp_path / "b.bin"]
    checksums = [make_firmware(file, SIZE) for file in files]
    assert checksums[0] != checksums[1]
    assert [file.stat().st_size for file in files] == [SIZE, SIZE]
    assert [hashlib.md5(file.read_bytes()).hexdigest() for file in files] == checksums


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """A file that is there already is somebody's."""
    (tmp_path / "a.bin").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        make_firmware(tmp_path / "a.bin", SIZE)


async def test_every_byte_is_counted(tmp_path: Path) -> None:
    """Each download counts, as it would on the bill for the WAN."""
    checksum = make_firmware(tmp_path / "a.bin", SIZE)
    async with Origin(tmp_path / "a.bin", FAST) as origin, aiohttp.ClientSession() as session:
        for count in (1, 2):
            async with session.get(origin.location) as answer:
                assert answer.content_length == SIZE
                assert hashlib.md5(await answer.read()).hexdigest() == checksum
            assert origin.sent == count * SIZE


async def test_a_download_given_up_counts_what_was_sent(tmp_path: Path) -> None:
    """A client that goes away in the middle leaves the origin as it was."""
    make_firmware(tmp_path / "a.bin", 64 * SIZE)
    async with Origin(tmp_path / "a.bin", FAST) as origin:
        async with aiohttp.ClientSession() as session, session.get(origin.location) as answer:
            await answer.content.read(1)
        async with aiohttp.ClientSession() as session, session.get(origin.location) as answer:
            assert len(await answer.read()) == 64 * SIZE
        assert 64 * SIZE < origin.sent < 128 * SIZE


async def test_it_keeps_its_pace(tmp_path: Path) -> None:
    """A file of SIZE bytes at twice SIZE bytes a second takes at least half a second."""
    make_firmware(tmp_path / "a.bin", SIZE)
    async with Origin(tmp_path / "a.bin", 2.0 * SIZE) as origin, aiohttp.ClientSession() as session:
        begun = asyncio.get_running_loop().time()
        async with session.get(origin.location) as answer:
            await answer.read()
            # the last piece is sent before its share of the time is over
            assert asyncio.get_running_loop().time() - begun > 0.5 * (SIZE - 256 * 1024) / SIZE


async def test_there_is_nothing_else(tmp_path: Path) -> None:
    """Any other path is 404."""
    make_firmware(tmp_path / "a.bin", 1)
    async with Origin(tmp_path / "a.bin", FAST) as origin, aiohttp.ClientSession() as session:
        async with session.get(origin.location + "x") as answer:
            assert answer.status == 404
        assert origin.sent == 0
