"""Messages that end a relay, row 25 of the faults, at the real daemon: too large, no UTF-8, a deflate bomb."""

import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.actors.csms import Csms
from tests.actors.daemon import Daemon
from tests.actors.link import Link
from tests.actors.station import Station

LIMIT: Final = 64 * 1024
BOMB: Final = 48 * 2**20  # bytes, once it has gone off; before that it is within the limit
PEAK: Final = BOMB // 4


@asynccontextmanager
async def site(folder: Path, *, deflate: bool = True) -> AsyncIterator[tuple[Csms, Daemon, Station]]:
    """A site whose messages are small, and a bystander; the CSMS takes compression, or does not."""
    keys = {"stations": {"max_message_size": LIMIT}}
    async with Csms(deflate=deflate) as csms, Daemon(folder, csms.url, keys) as daemon:
        await daemon.ready()
        async with Station(daemon.stations_url, "bystander") as bystander:
            assert await bystander.boot() == "Accepted"
            yield csms, daemon, bystander
            assert await bystander.heartbeat()


async def ended(csms: Csms, station: Station, link: Link) -> tuple[int, int]:
    """The close codes that the station and the CSMS have got, once both have one."""
    await station.until(lambda: station.closed)
    await csms.until(lambda: link.closed)
    assert station.connection.close_code is not None
    assert link.closed is not None
    return station.connection.close_code, link.closed[0]


def frame(first: int, payload: bytes, *, masked: bool) -> bytes:
    """A frame, under a mask of zeros where it is a client's."""
    return bytes([first, 0xFF if masked else 0x7F]) + len(payload).to_bytes(8, "big") + bytes(4 * masked) + payload


@pytest.mark.parametrize("sender", ["station", "csms"])
async def test_row_25_oversize(sender: str, tmp_path: Path) -> None:
    """Row 25: 1009 to who sent it, to the other 1001; the bystander lives; a message of just the limit passes."""
    async with site(tmp_path, deflate=False) as (csms, daemon, _), Station(daemon.stations_url, "CS-1") as station:
        link = await csms.connected("CS-1")
        send: Callable[[str], Awaitable[None]] = station.send if sender == "station" else link.send
        for size in (LIMIT, LIMIT + 1):
            await send("x" * size)
        codes = await ended(csms, station, link)
        assert codes == ((1009, 1001) if sender == "station" else (1001, 1009))
        got = link.frames if sender == "station" else station.frames
        assert [len(each.data) for each in got if each.direction == "received"] == [LIMIT]
        assert await daemon.metric("localctl_relay_rejected_messages_total", reason="oversize") == 1


@pytest.mark.parametrize("sender", ["station", "csms"])
async def test_row_25_bad_utf8(sender: str, tmp_path: Path) -> None:
    """Row 25: the far end's 1007 reaches who sent it, and that relay alone ends."""
    async with site(tmp_path, deflate=False) as (csms, daemon, _), Station(daemon.stations_url, "CS-1") as station:
        link = await csms.connected("CS-1")
        guilty = station.connection if sender == "station" else link.connection
        await guilty.send(b"\xc3\x28", text=True)
        codes = await ended(csms, station, link)
        assert codes[sender == "csms"] == 1007


def bomb() -> bytes:
    """Zeros, packed for a window of 4 KiB, which every agreement allows."""
    packer = zlib.compressobj(wbits=-12)
    packed = b"".join(packer.compress(bytes(2**20)) for _ in range(BOMB // 2**20))
    return packed + packer.flush(zlib.Z_SYNC_FLUSH)[:-4]


@pytest.mark.parametrize(
    ("sender", "station_deflates", "csms_deflates"),
    [("station", True, False), ("csms", False, True), ("station", True, True), ("csms", True, True)],
)
async def test_row_25_a_deflate_bomb(
    sender: str,
    station_deflates: bool,  # noqa: FBT001  a parameter of the test
    csms_deflates: bool,  # noqa: FBT001
    tmp_path: Path,
) -> None:
    """Row 25, 3.3: where one leg alone compresses it is unpacked no further than the limit; where both do it passes
    packed, and the far end's 1009 reaches who sent it. Memory stays flat either way.
    """
    packed = bomb()
    assert len(packed) < LIMIT
    async with site(tmp_path, deflate=csms_deflates) as (csms, daemon, _):
        before = daemon.peak()
        for _ in range(3):
            async with Station(daemon.stations_url, "CS-1", deflate=station_deflates) as station:
                link = await csms.connected("CS-1")
                ends = station.connection, link.connection
                assert [bool(end.protocol.extensions) for end in ends] == [station_deflates, csms_deflates]
                guilty = ends[sender == "csms"]
                guilty.transport.write(frame(0xC1, packed, masked=sender == "station"))
                codes = await ended(csms, station, link)
                assert codes[sender == "csms"] == 1009
        rejected = await daemon.metric("localctl_relay_rejected_messages_total", reason="oversize")
        assert rejected == (0 if station_deflates and csms_deflates else 3)
        assert daemon.peak() - before < PEAK
