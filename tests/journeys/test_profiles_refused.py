"""Stations that cannot prove who they are, at the real daemon: what they are answered, and what is counted."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from websockets.exceptions import InvalidHandshake, InvalidStatus

from localctl.relay.scrypt import SALT_BYTES, hashed
from tests.actors.authority import Authority
from tests.actors.csms import Csms
from tests.actors.daemon import Daemon
from tests.actors.link import call_frame
from tests.actors.station import Station
from tests.journeys.test_profiles import credentials

PASSWORD: Final = "the-stations-own-x7RtQ"
GUESS: Final = "a-guess-of-somebody-4f"
CERTIFICATE: Final = "InvalidChargingStationCertificate"
REFUSED: Final = (ssl.SSLError, InvalidHandshake, OSError)  # by TLS: whichever the client's system notices first

TELLS_ANOTHER: Final[dict[str, dict[str, Any]]] = {
    "1.6": {"chargePointModel": "m", "chargePointVendor": "v", "chargePointSerialNumber": "SN-9"},
    "2.0.1": {"chargingStation": {"model": "m", "vendorName": "v", "serialNumber": "SN-9"}, "reason": "PowerUp"},
}


@asynccontextmanager
async def sealed_site(folder: Path, **keys: Any) -> AsyncIterator[tuple[Csms, Daemon, Authority]]:
    """A site that asks stations for certificates of an authority, ``lan.pem``; its CSMS asks for nothing."""
    lan = Authority(folder, "lan")
    wss = {"listen": "127.0.0.1:0", **lan.issue("stations"), "client_ca_file": lan.file, **keys}
    async with Csms() as csms, Daemon(folder, csms.url, {"stations": {"wss": wss}}) as daemon:
        await daemon.ready()
        yield csms, daemon, lan


async def counted(daemon: Daemon, listener: str, event: str) -> tuple[float, float]:
    """How many failed to prove who they are at a listener, and how many security events of a type there were."""
    return (
        await daemon.metric("localctl_auth_failures_total", listener=listener),
        await daemon.metric("localctl_security_events_total", type=event),
    )


def heard_of(csms: Csms, identity: str) -> bool:
    """Whether the CSMS was dialled for a station."""
    return any(shake.identity == identity for shake in csms.handshakes)


@pytest.mark.parametrize("password", [GUESS, ""])
async def test_a_wrong_password_of_the_site(password: str, tmp_path: Path) -> None:
    """Row 29, A00.FR.207: 401 by our own file, of which the CSMS never hears; the right one goes on to it (6.1)."""
    (tmp_path / "passwords").write_text(f"CS-1:{hashed(PASSWORD.encode(), bytes(SALT_BYTES))}\n", encoding="utf-8")
    local = {"authentication": "local", "password_file": str(tmp_path / "passwords")}
    async with Csms() as csms, Daemon(tmp_path, csms.url, {"stations": local}) as daemon:
        await daemon.ready()
        with pytest.raises(InvalidStatus) as refused:
            await Station(daemon.stations_url, "CS-1", password=password).__aenter__()
        assert refused.value.response.status_code == 401
        assert refused.value.response.headers["WWW-Authenticate"].startswith("Basic ")
        assert not heard_of(csms, "CS-1")
        assert await counted(daemon, "stations.ws", "FailedToAuthenticateAtCsms") == (1, 1)
        assert await daemon.metric("localctl_station_handshakes_total", result="password") == 1
        async with Station(daemon.stations_url, "CS-1", password=PASSWORD) as station:
            assert await station.boot() == "Accepted"
            told = csms.link("CS-1").handshake.headers["Authorization"]
            assert told == credentials("CS-1", PASSWORD)
        logged = "\n".join(daemon.runs[-1].err)
        for secret in (PASSWORD, GUESS, *(credentials("CS-1", each).split()[1] for each in (PASSWORD, GUESS))):
            assert secret not in logged


async def test_a_certificate_of_another_station(tmp_path: Path) -> None:
    """A00.FR.405: a commonName that is neither the identity nor its serial number is 403; the CSMS hears of none."""
    async with sealed_site(tmp_path, serials={"CS-2": "SN-4711"}) as (csms, daemon, lan):
        for identity in ("CS-1", "CS-2"):
            with pytest.raises(InvalidStatus) as refused:
                await Station(daemon.sealed_stations_url, identity, tls=lan.client("CS-3")).__aenter__()
            assert refused.value.response.status_code == 403
            assert not heard_of(csms, identity)
        assert await counted(daemon, "stations.wss", CERTIFICATE) == (2, 2)
        assert await daemon.metric("localctl_station_handshakes_total", result="certificate") == 2


async def test_no_certificate_or_one_of_somebody_else(tmp_path: Path) -> None:
    """A00.FR.403, FR.407, FR.408: TLS itself fails, with a security event each; the next station gets in."""
    async with sealed_site(tmp_path) as (csms, daemon, lan):
        strangers = Authority(tmp_path, "strangers")
        for count, tls in enumerate((lan.client(), lan.client("CS-1", shown_by=strangers)), 1):
            with pytest.raises(REFUSED):
                await Station(daemon.sealed_stations_url, "CS-1", tls=tls).__aenter__()
            await daemon.logged("the TLS handshake of the station at 127.0.0.1 failed")
            assert await counted(daemon, "stations.wss", CERTIFICATE) == (count, count)
        assert await daemon.metric("localctl_station_handshakes_total", result="tls") == 2
        assert not heard_of(csms, "CS-1")
        async with Station(daemon.sealed_stations_url, "CS-1", tls=lan.client("CS-1")) as station:
            assert await station.boot() == "Accepted"


@pytest.mark.parametrize("version", TELLS_ANOTHER)
async def test_another_serial_number_than_the_certificate_s(version: str, tmp_path: Path) -> None:
    """B01.FR.11, FR.12: whole or in fragments, packed or not, the boot never reaches the CSMS and the socket is closed
    with 1008; what was said before it has arrived.
    """
    boot = call_frame("b", "BootNotification", TELLS_ANOTHER[version])
    ways = [(deflate, parts) for deflate in (True, False) for parts in ([boot], [boot[:9], boot[9:50], boot[50:]])]
    async with sealed_site(tmp_path) as (csms, daemon, lan):
        url, tls = daemon.sealed_stations_url, lan.client("CS-1")
        for count, (deflate, parts) in enumerate(ways, 1):
            async with Station(url, "CS-1", version, tls=tls, deflate=deflate) as station:
                assert await station.heartbeat()
                link = csms.link("CS-1")
                await station.connection.send(parts if len(parts) > 1 else boot)
                await station.until(lambda: station.closed)
                assert station.connection.close_code == 1008
            await csms.until(lambda: link.closed)  # noqa: B023
            assert link.closed == (1001, "")
            assert [call.action for call in link.received] == ["Heartbeat"]
            assert await counted(daemon, "stations.wss", CERTIFICATE) == (count, count)
            await daemon.counted(count, "localctl_station_disconnects_total", reason="certificate")


async def test_any_certificate_where_the_installer_says_so(tmp_path: Path) -> None:
    """``certificate_identity = "any"``: the maker's names in certificates are nobody's concern, nor is the boot's."""
    async with (
        sealed_site(tmp_path, certificate_identity="any") as (_, daemon, lan),
        Station(daemon.sealed_stations_url, "CS-1", tls=lan.client("WALLBOX 22")) as station,
    ):
        assert await station.boot("SN-9") == "Accepted"


async def test_who_shows_a_certificate_needs_no_password(tmp_path: Path) -> None:
    """Each listener by itself: with passwords of the site's own, a station under TLS comes with its certificate alone,
    and one without TLS gets 401 (A00.FR.207, FR.403).
    """
    (tmp_path / "passwords").write_text("# nobody\n", encoding="utf-8")
    local = {"authentication": "local", "password_file": str(tmp_path / "passwords")}
    lan = Authority(tmp_path, "lan")
    wss = {"listen": "127.0.0.1:0", **lan.issue("stations"), "client_ca_file": lan.file}
    async with Csms() as csms, Daemon(tmp_path, csms.url, {"stations": {**local, "wss": wss}}) as daemon:
        await daemon.ready()
        async with Station(daemon.sealed_stations_url, "CS-1", tls=lan.client("CS-1")) as station:
            assert await station.boot("CS-1") == "Accepted"
        with pytest.raises(InvalidStatus) as refused:
            await Station(daemon.stations_url, "CS-1", password=GUESS).__aenter__()
        assert refused.value.response.status_code == 401
        assert len([shake for shake in csms.handshakes if shake.identity == "CS-1"]) == 1
