import asyncio
import hashlib
import random
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from localctl.demo.fetch import fetch
from localctl.demo.patience import DemoFailed
from localctl.demo.plan import MIB
from tests.serve.conftest import Shop

SCHEMES = ("http", "ftp")


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """The smallest firmware that the demo has, for sale."""
    content = random.Random(7).randbytes(MIB)
    (tmp_path / "source").write_bytes(content)
    opened = Shop(tmp_path / "shop", tmp_path / "source", content)
    with opened.stack:
        yield opened


@pytest.fixture(params=SCHEMES)
def location(request: pytest.FixtureRequest, shop: Shop) -> str:
    """Its URI, over each protocol."""
    scheme = str(request.param)
    return shop.url(scheme, shop.http()[1] if scheme == "http" else shop.ftp()[1])


async def ignore(_: bytes) -> None:
    """Take a piece and forget it."""


async def test_the_whole_file_comes(shop: Shop, location: str) -> None:
    """Every byte, in order, over either protocol, and the transfer ends as a complete one."""
    digest = hashlib.md5()

    async def take(piece: bytes) -> None:
        digest.update(piece)

    await fetch(location, take)
    assert digest.hexdigest() == shop.file.checksum
    await asyncio.to_thread(shop.until_settled)
    assert shop.results(location.partition(":")[0]) == {"complete": 1, "aborted": 0, "idle": 0}


async def test_half_a_file_is_a_download_under_way(shop: Shop, location: str) -> None:
    """Who has read half of the smallest file and reads no further cannot have the rest: it stays lent (L04.FR.04)."""
    count = 0
    half, on = asyncio.Event(), asyncio.Event()

    async def take(piece: bytes) -> None:
        nonlocal count
        count += len(piece)
        if count >= MIB // 2:
            half.set()
            await on.wait()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(fetch(location, take))
        await half.wait()
        for _ in range(25):  # for longer than the server takes to look whether all is acknowledged
            (loan,) = shop.catalogue.loans()
            assert loan.sent < MIB
            await asyncio.sleep(0.01)
        on.set()
    assert count == MIB


async def test_a_download_can_be_given_up(shop: Shop, location: str) -> None:
    """Cancelled in the middle, it ends at once and leaves nothing lent."""
    begun = asyncio.Event()

    async def take(_: bytes) -> None:
        begun.set()
        await asyncio.Event().wait()

    async with asyncio.TaskGroup() as tasks:
        fetching = tasks.create_task(fetch(location, take))
        await begun.wait()
        fetching.cancel()
    assert fetching.cancelled()
    await asyncio.to_thread(shop.until_settled)


async def test_what_is_not_published_fails(shop: Shop, location: str) -> None:
    """A file that is not there is told with its location, whatever the protocol says about it."""
    with pytest.raises(DemoFailed, match=r"^the download of .*/other\.bin broke off: .*(404|550)"):
        await fetch(location.replace(shop.file.name, "other.bin"), ignore)


@pytest.fixture
async def hangs_up() -> AsyncIterator[int]:
    """The port of a server that closes every connection."""
    async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_a_server_that_hangs_up_fails(scheme: str, hangs_up: int) -> None:
    """A connection that ends is a sentence, not a traceback."""
    with pytest.raises(DemoFailed, match=rf"^the download of {scheme}://127.0.0.1:{hangs_up}/a broke off: \w"):
        await fetch(f"{scheme}://127.0.0.1:{hangs_up}/a", ignore)


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_a_server_that_is_not_there_fails(scheme: str) -> None:
    """A port that nobody listens on is a sentence, not a traceback."""
    with socket.socket() as held:  # bound and not listening: nobody else gets it
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        with pytest.raises(DemoFailed, match=rf"^the download of {scheme}://127.0.0.1:{port}/a broke off: "):
            await fetch(f"{scheme}://127.0.0.1:{port}/a", ignore)
