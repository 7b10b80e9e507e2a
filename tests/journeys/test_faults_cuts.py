"""Row 13 at length: a large file whose origin ends the connection twenty times is not paid for twice."""

import hashlib
import mmap
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.actors.origin import Reply
from tests.actors.site import OpenSite
from tests.journeys.outcome import AGAIN, ORDINARY, outcome

MEBIBYTE: Final = 2**20
CUTS: Final = 20
PATIENCE: Final = 1800  # seconds: at each of the tries what is here is hashed again


@pytest.fixture(autouse=True)
def _clean(tmp_path: Path) -> Iterator[None]:
    """Large files are not kept for three runs, as pytest keeps its folders."""
    yield
    shutil.rmtree(tmp_path, ignore_errors=True)


def written(path: Path, mebibytes: int) -> str:
    """Make a file of blocks no two of which are alike; its MD5."""
    md5, block = hashlib.md5(usedforsecurity=False), bytes(range(256)) * (MEBIBYTE // 256)
    with path.open("wb") as file:
        for number in range(mebibytes):
            piece = number.to_bytes(8) + block[8:]
            md5.update(piece)
            file.write(piece)
    return md5.hexdigest()


@pytest.mark.timeout(PATIENCE)
async def test_row_13_cut_twenty_times(open_site: OpenSite, tmp_path: Path, rounds: Callable[[int, int], int]) -> None:
    """Row 13: a cut costs what was in memory at most: 2 GiB cut twenty times take less than 2.1; memory stays flat."""
    mebibytes = rounds(64, 2048)
    size = mebibytes * MEBIBYTE
    checksum = written(tmp_path / "image", mebibytes)
    site = await open_site(overrides={"log": {"level": "info"}})
    before = site.daemon.peak()
    with (
        (tmp_path / "image").open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
        memoryview(mapped) as body,
    ):
        cuts = [Reply(body, cut_after=size // (CUTS + 1))] * CUTS
        location = site.origin.script("/image.bin", *cuts, Reply(body))
        told = await outcome(site, location, checksum, PATIENCE, retries=CUTS)
    assert told == (*AGAIN * CUTS, *ORDINARY)
    sent = sum(request.sent for request in site.origin.requests)
    print(f"{sent} bytes were sent for {size}")
    assert sent <= size + CUTS * MEBIBYTE
    assert site.daemon.peak() - before < 40 * MEBIBYTE
