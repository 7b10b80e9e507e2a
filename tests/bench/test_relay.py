"""The relay's benchmark works: its load builds, loses nothing, and sees what is damaged. No test asks how fast."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from tests.bench.relay_load import Load, build
from tests.bench.relay_memory import weight
from tests.bench.relay_proxies import PROXIES
from tests.bench.relay_setting import Certificates, Setting

STATIONS = 4


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("load"))


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


@pytest.mark.parametrize("name", ["localctl", "nginx", "websockets", "aiohttp"])
@pytest.mark.parametrize("size", [150, 4096])
async def test_every_message_is_answered(
    name: str, size: int, program: Path, tmp_path: Path, certificates: Certificates
) -> None:
    """Through localctl and through each peer nothing is lost or changed (Part 4 6.4), and all come back (6.3)."""
    async with Load(program) as load, PROXIES[name](Setting(tmp_path, load.port, certificates, on=())) as proxy:
        assert proxy is not None
        await load.open(proxy.port, STATIONS, size)
        rate = await load.rate(0.05, 0.2)
        assert rate.sent == rate.answered >= max(STATIONS, rate.counted)
        assert await load.restart(0.1) >= 0
        trips = await load.timed(0.5)
        assert trips.sent == trips.answered == 1.5 * STATIONS
        assert 0 < trips.p50 <= trips.p90 <= trips.p99 <= trips.most
        await load.close()


async def test_stations_can_do_without_a_proxy(program: Path) -> None:
    """What a proxy adds is told from round trips without one."""
    async with Load(program) as load:
        for _ in range(2):
            await load.open(load.port, STATIONS, 150)
            assert (await load.timed(0.25)).answered == 1.25 * STATIONS
            await load.close()


@pytest.mark.parametrize(("right", "wrong"), [(b"yyy", b"yyz"), (b"[3,", b"[4,"), (b'"0000', b'"0001')])
async def test_damage_is_seen(right: bytes, wrong: bytes, program: Path) -> None:
    """A relay that changes what it passes on has no rate."""
    async with Load(program) as load, _changing(load.port, right, wrong) as port:
        await load.open(port, STATIONS, 150)
        with pytest.raises(AssertionError, match="the load has ended"):
            await load.rate(0.05, 0.2)


@pytest.mark.parametrize("kind", ["plain", "deflate"])
async def test_a_relay_is_weighed(kind: str, tmp_path: Path, certificates: Certificates) -> None:
    """Every station that is held has had its answer."""
    assert await weight("localctl", kind, STATIONS, tmp_path, certificates, on=(), settle=0) is not None


@asynccontextmanager
async def _changing(csms: int, right: bytes, wrong: bytes) -> AsyncIterator[int]:
    """A proxy of bytes that changes those of the CSMS; its port."""

    async def move(source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, changed: bool) -> None:
        with suppress(ConnectionError):
            while data := await source.read(65536):
                sink.write(data.replace(right, wrong) if changed else data)
        sink.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_csms, to_csms = await asyncio.open_connection("127.0.0.1", csms)
        async with asyncio.TaskGroup() as both:
            both.create_task(move(reader, to_csms, changed=False), name="to the CSMS")
            both.create_task(move(from_csms, writer, changed=True), name="to the station")

    async with await asyncio.start_server(relay, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
