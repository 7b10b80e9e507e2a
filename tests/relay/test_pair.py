"""What passes and what ends: through a whole relay, between a station and a CSMS that are somebody else's code."""

import asyncio
import json
import zlib
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.utils import accept_key

from localctl.relay.frames import split
from tests.relay.conftest import (
    PATIENCE,
    House,
    OpenHouse,
    Peer,
    close_of,
    csms_peer,
    handshake,
    raw_csms,
    raw_station,
    until,
)
from tests.relay.raw import frame

MESSAGES = [
    '[2,"1","Heartbeat",{}]',
    ' [ 3 , "1", {"currentTime":"2026-01-01T00:00:00Z"} ] ',
    '[4,"1","GenericError","",{}]',
    '[5,"1","GenericError","",{}]',
    '[6,"1","NotifyPeriodicEventStream",{}]',
    '[2,"1","NoSuchAction",{"a":1.0e5,"b":null}]',
    '[99,"1"]',
    "{not json",
    "",
    "\ufeff[2,\u0000 é 漢 \U0001f50c]",
    json.dumps([2, "1", "DataTransfer", {"data": "x" * 900_000}]),
]
Ends = tuple[ClientConnection, ServerConnection]


async def relayed(peer: Peer, house: House, **options: Any) -> Ends:
    """A relayed station and the CSMS's end of it."""
    station = await house.station(**options)
    return station, await peer.accepted()


@pytest.mark.parametrize("compression", ["deflate", None])
async def test_every_message_passes_unchanged_and_in_order(
    peer: Peer, open_house: OpenHouse, compression: str | None
) -> None:
    """Part 4 §6.4: known or not, JSON or not, message types 2 to 6 and others, with or without deflate (3.3)."""
    house = await open_house(peer.url)
    station, csms = await relayed(peer, house, compression=compression)
    for source, sink in ((station, csms), (csms, station)):
        for message in MESSAGES:
            await source.send(message)
        assert [await asyncio.wait_for(sink.recv(), PATIENCE) for _ in MESSAGES] == MESSAGES
    await station.send([b"frag", b"ments"], text=True)
    assert await csms.recv() == "fragments"
    await csms.send(b"\x00\xffbinary")
    assert await station.recv() == b"\x00\xffbinary"
    await station.close()


async def test_what_passes_is_counted(peer: Peer, open_house: OpenHouse) -> None:
    """By direction and kind, and in bytes of the messages; the status page shows it for each station."""
    house = await open_house(peer.url)
    station, csms = await relayed(peer, house, compression=None)
    for message in ('[2,"1","A",{}]', '[3,"2",{"a":"é"}]'):
        await station.send(message)
        await csms.recv()
    await csms.send("[7]")
    await station.recv()
    await until(lambda: house.value("relay_bytes_total", direction="to_station") > 0)
    assert house.value("relay_messages_total", direction="to_csms", type="call") == 1
    assert house.value("relay_messages_total", direction="to_csms", type="callresult") == 1
    assert house.value("relay_messages_total", direction="to_station", type="other") == 1
    assert house.value("relay_bytes_total", direction="to_csms") == 14 + 18
    assert house.value("relay_bytes_total", direction="to_station") == 3
    (seen,) = house.door.stations()
    assert (seen.messages_to_csms, seen.messages_to_station) == (2, 1)
    assert seen.last_message_at is not None
    assert seen.last_message_at >= seen.since
    await station.close()


@pytest.mark.parametrize(
    ("code", "reason"), [(1000, ""), (1001, "leaving"), (1008, "no"), (1012, "é"), (3000, "x"), (4999, "r" * 123)]
)
@pytest.mark.parametrize("side", ["station", "csms"])
async def test_close_code_and_reason_pass_on(
    peer: Peer, open_house: OpenHouse, side: str, code: int, reason: str
) -> None:
    """Part 4 §6.3: either side's end is the other's, in the same words."""
    house = await open_house(peer.url)
    station, csms = await relayed(peer, house)
    closing, other = (station, csms) if side == "station" else (csms, station)
    await closing.close(code, reason)
    await asyncio.wait_for(other.wait_closed(), PATIENCE)
    assert close_of(other) == (code, reason)
    await house.gone()
    await until(lambda: house.value("station_disconnects_total", reason=side) == 1)


@pytest.mark.parametrize(("payload", "code"), [(b"", 1000), (None, 1001)])
@pytest.mark.parametrize("side", ["station", "csms"])
async def test_close_codes_that_were_never_sent(
    peer: Peer, open_house: OpenHouse, side: str, payload: bytes | None, code: int
) -> None:
    """Part 4 §6.3: a close frame without a code (1005) goes on as 1000, a lost connection (1006) as 1001."""
    house = await open_house(peer.url)
    station, csms = await relayed(peer, house)
    closing, other = (station, csms) if side == "station" else (csms, station)
    if payload is None:
        closing.transport.abort()
    else:
        async with closing.send_context():
            closing.protocol.send_close()
    await asyncio.wait_for(other.wait_closed(), PATIENCE)
    assert close_of(other) == (code, "")


@pytest.mark.parametrize("side", ["station", "csms"])
async def test_what_was_sent_before_the_end_arrives(peer: Peer, open_house: OpenHouse, side: str) -> None:
    """Part 4 §6.4: a side that speaks and leaves has spoken."""
    house = await open_house(peer.url)
    station, csms = await relayed(peer, house)
    closing, other = (station, csms) if side == "station" else (csms, station)
    sent = [f'[2,"{number}"]' for number in range(300)]
    for message in sent:
        await closing.send(message)
    got: list[str | bytes] = []
    async with asyncio.TaskGroup() as group:
        group.create_task(closing.close(4000, "done"))
        try:
            while True:
                got.append(await asyncio.wait_for(other.recv(), PATIENCE))
        except ConnectionClosed:
            pass
    assert got == sent
    assert close_of(other) == (4000, "done")


async def test_a_sender_waits_for_a_reader_that_does_not(open_house: OpenHouse) -> None:
    """Back-pressure: what nobody takes is not taken from the station for ever, and all of it arrives in the end."""
    async with csms_peer(compression=None, max_queue=1) as peer:
        house = await open_house(peer.url)
        station, csms = await relayed(peer, house, compression=None)
        message, sent = "x" * 100_000, 0

        async def flood() -> None:
            nonlocal sent
            while sent < 400:
                await station.send(message)
                sent += 1

        async with asyncio.TaskGroup() as group:
            flooding = group.create_task(flood())
            await until(lambda: station.paused)
            async with asyncio.timeout(PATIENCE):
                before = -1
                while before != sent:
                    before = sent
                    await asyncio.sleep(0.2)
            assert not flooding.done()
            for _ in range(400):
                assert await asyncio.wait_for(csms.recv(), PATIENCE) == message
        await station.close()


@pytest.mark.parametrize("side", ["station", "csms"])
async def test_oversize_ends_that_relay_only(peer: Peer, open_house: OpenHouse, side: str) -> None:
    """1009 to who sent it, 1001 to its peer, counted; the other relays live."""
    house = await open_house(peer.url, max_message_size=1000)
    ends = await relayed(peer, house, compression=None)
    bystander, witness = await relayed(peer, house, target="/ocpp/CS-2")
    guilty, other = ends if side == "station" else ends[::-1]
    await guilty.send("x" * 1000)
    assert await other.recv() == "x" * 1000
    await guilty.send("x" * 1001)
    for connection in ends:
        await asyncio.wait_for(connection.wait_closed(), PATIENCE)
    assert (close_of(guilty)[0], close_of(other)[0]) == (1009, 1001)
    await until(lambda: house.value("station_disconnects_total", reason="oversize") == 1)
    assert house.value("relay_rejected_messages_total", reason="oversize") == 1
    await bystander.send("[2]")
    assert await witness.recv() == "[2]"
    await bystander.close()


@pytest.mark.parametrize("side", ["station", "csms"])
async def test_bad_utf8_ends_that_relay(peer: Peer, open_house: OpenHouse, side: str) -> None:
    """Row 25: text that is no UTF-8 is the far end's to judge; its 1007 reaches who sent it."""
    house = await open_house(peer.url)
    ends = await relayed(peer, house)
    guilty, other = ends if side == "station" else ends[::-1]
    await guilty.send(b'[2,"\xff"]', text=True)
    with pytest.raises(ConnectionClosed):
        await asyncio.wait_for(other.recv(), PATIENCE)
    for connection in ends:
        await asyncio.wait_for(connection.wait_closed(), PATIENCE)
    assert close_of(guilty)[0] == 1007
    await house.gone()


async def test_a_deflate_bomb_is_oversize(peer: Peer, open_house: OpenHouse) -> None:
    """A few kilobytes that would become a gigabyte: 1009, before they do."""
    house = await open_house(peer.url)
    squeezer = zlib.compressobj(wbits=-12)
    bomb = b"".join(squeezer.compress(bytes(2**20)) for _ in range(64)) + squeezer.flush(zlib.Z_SYNC_FLUSH)[:-4]
    frame = b"\xc1\xff" + len(bomb).to_bytes(8, "big") + bytes(4) + bomb
    offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
    async with raw_station(house, handshake("/ocpp/CS-1", offer)) as station:
        assert "permessage-deflate" in await station.head()
        csms = await peer.accepted()
        station.writer.write(frame)
        assert (await station.rest())[2:4] == (1009).to_bytes(2, "big")
        await asyncio.wait_for(csms.wait_closed(), PATIENCE)


async def test_a_protocol_error_ends_that_relay(peer: Peer, open_house: OpenHouse) -> None:
    """A frame that is no frame: 1002 to who sent it."""
    house = await open_house(peer.url)
    async with raw_station(house, handshake("/ocpp/CS-1")) as station:
        await station.head()
        csms = await peer.accepted()
        station.writer.write(b"\x81\x02hi")  # a client's frame must be masked
        assert (await station.rest())[2:4] == (1002).to_bytes(2, "big")
        await asyncio.wait_for(csms.wait_closed(), PATIENCE)
    assert csms.close_code == 1001


async def test_a_talkative_csms_is_closed_in_order(peer: Peer, open_house: OpenHouse) -> None:
    """A CSMS that goes on talking to a station that has gone gets its closing handshake all the same."""
    house = await open_house(peer.url)
    station, csms = await relayed(peer, house)

    async def talk() -> None:
        try:
            while True:
                await csms.send('[2,"1"]')
                await asyncio.sleep(0)
        except ConnectionClosed:
            pass

    async with asyncio.TaskGroup() as group:
        group.create_task(talk())
        await station.recv()
        await station.close(4001)
        await asyncio.wait_for(csms.wait_closed(), PATIENCE)
    assert csms.close_code == 4001
    await house.gone()


def switching(head: bytes) -> bytes:
    """The answer that accepts that request."""
    fields = head.decode().split("\r\n")
    key = next(line.split(": ")[1] for line in fields if line.startswith("Sec-WebSocket-Key"))
    lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
    lines += [f"Sec-WebSocket-Accept: {accept_key(key)}", "Sec-WebSocket-Protocol: ocpp2.0.1", "", ""]
    return "\r\n".join(lines).encode()


async def test_nothing_follows_a_close_frame(open_house: OpenHouse) -> None:
    """What a station says between the CSMS's close frame and its own goes nowhere, and is not counted (§5.5.1)."""
    first, heard = frame(1, b'[2,"first","A",{}]'), asyncio.Queue[bytes]()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(switching(await reader.readuntil(b"\r\n\r\n")))
        await reader.readexactly(len(first))
        writer.write(b"\x88\x02\x03\xe8")
        heard.put_nowait(await reader.read())

    async with raw_csms(talk) as url:
        house = await open_house(url)
        async with raw_station(house, handshake("/ocpp/CS-1")) as station:
            await station.head()
            station.writer.write(first)
            assert await station.reader.readexactly(4) == b"\x88\x02\x03\xe8"
            station.writer.write(frame(1, b'[2,"late","A",{}]'))
            assert [one.opcode for one in split(await asyncio.wait_for(heard.get(), PATIENCE), masked=True)] == [8]
        await house.gone()
    assert house.value("relay_bytes_total", direction="to_csms") == len(b'[2,"first","A",{}]')


async def test_a_csms_that_speaks_with_its_answer(open_house: OpenHouse) -> None:
    """What comes in one segment with the CSMS's 101 is passed on as well."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(switching(await reader.readuntil(b"\r\n\r\n")) + b"\x81\x03[2]")
        await reader.read(1)

    async with raw_csms(talk) as url:
        house = await open_house(url)
        station = await house.station()
        assert await asyncio.wait_for(station.recv(), PATIENCE) == "[2]"
        station.transport.abort()
        await house.gone()
