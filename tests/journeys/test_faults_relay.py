"""Faults of what passes through, rows 24, 26, 28 and 29, at the real daemon."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from localctl.values import parse_address
from tests.actors.bytewise import CLOSE, HEAD_END, frames, payload_of
from tests.actors.crowd import handshake
from tests.actors.csms import IGNORE, Answer
from tests.actors.daemon import Daemon
from tests.actors.link import Call
from tests.actors.site import LC, OpenSite, Site
from tests.actors.station import Station

ENDED: Final = "localctl_station_disconnects_total"
ODD: Final[tuple[str | bytes, ...]] = (
    "",
    "{",
    "[]",
    "null",
    '[2,"1","Boot',
    "[2]",
    '[2,17,"Heartbeat",{}]',
    '[2,"1","Heartbeat"]',
    '[2,"1","Heartbeat",[]]',
    '[2,"2","NoSuchAction",{"a":1e999,"a":"\\ud800"}]',
    '[7,"3","Heartbeat",{}]',
    '["2","4","Heartbeat",{}]',
    '[4,"-1","NoSuchCode","",{}]',
    ' [ 2 ,\n"5","NoSuchAction",{}] ',
    "\ufeff[]",
    "[" * 500,
    b"\x00\xff binary",
    b"",
)


@asynccontextmanager
async def raw(daemon: Daemon, request: bytes) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to the stations' listener, on which that has been sent."""
    place = parse_address(daemon.listeners["stations.ws"])
    reader, writer = await asyncio.open_connection(place.host, place.port)
    try:
        writer.write(request)
        yield reader, writer
    finally:
        writer.close()


async def status_of(daemon: Daemon, request: bytes) -> int:
    """The status of the answer to a handshake."""
    async with raw(daemon, request) as (reader, _):
        return int((await reader.readuntil(HEAD_END)).split()[1])


async def refusal(site: Site, identity: str, password: str = "") -> InvalidStatus:
    """What a station is refused with."""
    with pytest.raises(InvalidStatus) as refused:
        async with Station(site.daemon.stations_url, identity, password=password):
            pass
    return refused.value


async def ignored(_call: Call) -> Answer:
    """The answer of a CSMS that says nothing."""
    return IGNORE


async def test_row_24_what_is_no_ocpp_is_relayed_unchanged(open_site: OpenSite) -> None:
    """Row 24, 6.4: malformed JSON, unknown actions, wrong types and unknown message types, in both directions."""
    site = await open_site("2.0.1")
    site.csms.hooks = {"NoSuchAction": ignored, "Heartbeat": ignored}
    url = f"{site.daemon.stations_url}/CS-1"
    async with connect(url, subprotocols=[Subprotocol("ocpp2.0.1")], proxy=None) as station:
        link = await site.csms.connected("CS-1")
        for data in ODD:
            await station.send(data)
        await site.csms.until(lambda: len(link.frames) == len(ODD))
        assert [frame.data for frame in link.frames] == list(ODD)
        for data in ODD:
            await link.send(data)
        assert [await station.recv() for _ in ODD] == list(ODD)
        assert link.closed is None


async def test_row_26_a_station_half_open(open_site: OpenSite) -> None:
    """Row 26, 5.2, 6.3: both legs are closed within ping, timeout and close, though nothing says that it has gone."""
    site = await open_site("2.0.1", {"stations": {"ping_interval_seconds": 0.3}, "csms": {"ping_interval_seconds": 0}})
    before = site.daemon.descriptors()
    async with raw(site.daemon, handshake("/ocpp/CS-1")) as (reader, _):
        link = await site.csms.connected("CS-1")
        await site.csms.until(lambda: link.closed)
        assert link.closed == (1001, "")
        await reader.readuntil(HEAD_END)
        codes = [payload_of(each)[:2] async for each in frames(reader) if each[0] & 0x0F == CLOSE]
        assert codes == [(1011).to_bytes(2, "big")]
        await site.daemon.counted(1, ENDED, reason="timeout")
        await site.daemon.down_to(before)


async def test_row_26_the_csms_half_open(open_site: OpenSite) -> None:
    """Row 26 on the other leg: the station is told with 1001, as if the CSMS had gone."""
    site = await open_site("2.0.1", {"stations": {"ping_interval_seconds": 0}, "csms": {"ping_interval_seconds": 0.3}})
    async with Station(site.daemon.stations_url, "CS-1") as station:
        assert await station.boot() == "Accepted"
        link = site.csms.link("CS-1")
        link.connection.transport.pause_reading()
        await station.until(lambda: station.closed)
        assert station.connection.close_code == 1001
        await site.daemon.counted(1, ENDED, reason="timeout")
        link.connection.transport.resume_reading()
        await site.csms.until(lambda: link.closed)


async def test_row_28_two_stations_with_one_identity(open_site: OpenSite) -> None:
    """Row 28: one whom the CSMS refuses leaves the other alone; one whom it accepts takes his place, and keeps it."""
    site = await open_site("2.0.1", passwords={"CS-1": "right"})
    async with Station(site.daemon.stations_url, "CS-1", password="right") as old:
        assert await old.boot() == "Accepted"
        assert (await refusal(site, "CS-1", "wrong")).response.status_code == 401
        assert await old.heartbeat()
        link = site.csms.link("CS-1")
        async with Station(site.daemon.stations_url, "CS-1", password="right") as newcomer:
            await old.until(lambda: old.closed)
            assert old.connection.close_code == 1001
            await site.csms.until(lambda: link.closed)
            await site.daemon.counted(1, ENDED, reason="replaced")
            assert await newcomer.boot() == "Accepted"
            assert [each["identity"] for each in (await site.daemon.status())["stations"]] == ["CS-1"]
            assert await site.daemon.metric("localctl_stations_connected") == 1


async def test_row_29_who_is_not_let_in(open_site: OpenSite) -> None:
    """Row 29, 3.2, 6.2: an identity that is empty or not allowed is 404, ours 403 and a security event; the CSMS hears
    of none. Its 401 for a wrong password is the station's.
    """
    allowed = {"stations": {"allowed_identities": ["CS-*", "LC-*"]}}
    site = await open_site("2.0.1", allowed, passwords={"CS-1": "right"})
    known = len(site.csms.handshakes)
    assert await status_of(site.daemon, handshake("/ocpp/")) == 404
    assert await status_of(site.daemon, handshake("/ocpp/XX-1")) == 404
    assert await site.daemon.metric("localctl_security_events_total", type="OwnIdentityClaimed") == 0
    for count, own in enumerate((LC, LC.lower()), 1):
        assert await status_of(site.daemon, handshake(f"/ocpp/{own}")) == 403
        assert await site.daemon.metric("localctl_security_events_total", type="OwnIdentityClaimed") == count
    assert await site.daemon.metric("localctl_station_handshakes_total", result="identity") == 4
    assert len(site.csms.handshakes) == known
    refused = await refusal(site, "CS-1", "wrong")
    assert (refused.response.status_code, "WWW-Authenticate" in refused.response.headers) == (401, True)
    assert await site.daemon.metric("localctl_security_events_total", type="FailedToAuthenticateAtCsms") == 1
    assert await site.daemon.metric("localctl_auth_failures_total", listener="stations.ws") == 3
    assert site.csms.link(LC).closed is None


async def test_row_29_no_common_subprotocol(open_site: OpenSite) -> None:
    """Row 29, OCPP-J 3.2: 101 without a subprotocol, then the socket is closed; the CSMS is not dialled."""
    site = await open_site("2.0.1", {"stations": {"ocpp_versions": ["2.0.1"]}})
    async with Station(site.daemon.stations_url, "CS-1", subprotocols=["ocpp1.6", "ocpp1.5"]) as station:
        await station.until(lambda: station.closed)
        assert (station.connection.subprotocol, station.connection.close_code) == (None, 1002)
    assert {shake.identity for shake in site.csms.handshakes} == {LC}
    assert await site.daemon.metric("localctl_station_handshakes_total", result="subprotocol") == 1
