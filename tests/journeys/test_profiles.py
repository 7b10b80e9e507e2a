"""Security profiles 0 to 3 on each leg by itself, in all their combinations (Part 4 §6.5): the real daemon, real TLS.

0 is WebSocket alone, 1 has a password, 2 a password under TLS, 3 a client's certificate. Towards stations the
controller is the CSMS, towards the CSMS it is a station.
"""

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.actors.authority import Authority
from tests.actors.csms import Csms
from tests.actors.daemon import Daemon
from tests.actors.link import Link
from tests.actors.site import LC
from tests.actors.station import Station

PROFILES: Final = (0, 1, 2, 3)
WITH_PASSWORD: Final = (1, 2)
WITH_TLS: Final = (2, 3)
OWN_PASSWORD: Final = "the-controllers-9QkWm2"
ASKED: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "1.6": ("RemoteStartTransaction", {"idTag": "TAG"}),
    "2.0.1": ("RequestStartTransaction", {"remoteStartId": 7, "idToken": {"idToken": "TAG", "type": "ISO14443"}}),
}


@dataclass(frozen=True)
class Unit:
    """A station: its certificate carries its serial number, which is its identity or stands in ``serials``."""

    version: str
    identity: str
    serial: str
    password: str


UNITS: Final = (
    Unit("1.6", "CS-1", "CS-1", "the-first-stations-x7Rt"),
    Unit("2.0.1", "CS-2", "SN-4711", "the-second-stations-Zp3L"),
)


class Town:
    """The authorities of both legs, and what a profile is to either side of each."""

    def __init__(self, folder: Path) -> None:
        self.lan, self.wan, self.makers = (Authority(folder, name) for name in ("lan", "wan", "makers"))

    def stations(self, profile: int) -> dict[str, Any]:
        """[stations]."""
        if profile not in WITH_TLS:
            return {}
        wss: dict[str, Any] = {"listen": "127.0.0.1:0", **self.lan.issue("stations")}
        if profile == 3:
            wss |= {"client_ca_file": self.makers.file, "serials": {"CS-2": "SN-4711"}}
        return {"ws": None, "wss": wss}

    def csms(self, profile: int) -> dict[str, Any]:
        """[csms]."""
        keys: dict[str, Any] = {}
        if profile in WITH_PASSWORD:
            keys["basic_auth_password"] = OWN_PASSWORD
        if profile in WITH_TLS:
            keys["ca_file"] = self.wan.file
        if profile == 3:
            keys |= self.wan.issue("own", LC)
        return keys

    def office(self, profile: int, passwords: dict[str, str]) -> Csms:
        """The CSMS, which asks for these passwords in the profiles that have some."""
        tls = self.wan.server(demanding=profile == 3) if profile in WITH_TLS else None
        known = {LC: OWN_PASSWORD, **passwords} if profile in WITH_PASSWORD else {}
        return Csms(tls=tls, passwords=known)

    def station(self, daemon: Daemon, profile: int, unit: Unit) -> Station:
        """A station that does as its profile says."""
        sealed = profile in WITH_TLS
        return Station(
            daemon.sealed_stations_url if sealed else daemon.stations_url,
            unit.identity,
            unit.version,
            password=unit.password if profile in WITH_PASSWORD else "",
            tls=self.lan.client(unit.serial if profile == 3 else "", shown_by=self.makers) if sealed else None,
        )


def certificate_at(link: Link) -> str | None:
    """The commonName that the client of a connection has shown to the CSMS."""
    sealed = link.connection.transport.get_extra_info("ssl_object")
    names = (sealed.getpeercert() or {}).get("subject", ()) if sealed else ()
    return next((value for name in names for key, value in name if key == "commonName"), None)


def credentials(identity: str, password: str) -> str:
    """The header's value."""
    return "Basic " + base64.b64encode(f"{identity}:{password}".encode()).decode()


@pytest.mark.parametrize("csms_leg", PROFILES)
@pytest.mark.parametrize("stations_leg", PROFILES)
async def test_each_leg_has_a_profile_of_its_own(stations_leg: int, csms_leg: int, tmp_path: Path) -> None:
    """6.5, A00.FR.2xx to 4xx: in each combination a 1.6 and a 2.0.1 station boot, and are asked by the CSMS; the CSMS
    sees their passwords (6.1), and of certificates the controller's alone; no secret is logged.
    """
    town = Town(tmp_path)
    passwords = {unit.identity: unit.password for unit in UNITS} if stations_leg in WITH_PASSWORD else {}
    async with town.office(csms_leg, passwords) as csms:
        sections = {"stations": town.stations(stations_leg), "csms": town.csms(csms_leg)}
        async with Daemon(tmp_path, csms.url, sections) as daemon:
            await daemon.ready()
            for unit in UNITS:
                async with town.station(daemon, stations_leg, unit) as station:
                    assert await station.boot(unit.serial) == "Accepted"
                    action, payload = ASKED[unit.version]
                    assert await csms.call(unit.identity, action, payload) == {"status": "Accepted"}
                    assert [asked for asked, _ in station.called] == [action]
                    link = csms.link(unit.identity)
                    told = credentials(unit.identity, unit.password) if passwords else None
                    assert link.handshake.headers.get("Authorization") == told
                    assert certificate_at(link) == (LC if csms_leg == 3 else None)
                    assert csms.received(unit.identity, "BootNotification")
            assert certificate_at(csms.link(LC)) == (LC if csms_leg == 3 else None)
            logged = "\n".join(daemon.runs[-1].err)
        for identity, password in {LC: OWN_PASSWORD, **{unit.identity: unit.password for unit in UNITS}}.items():
            assert password not in logged
            assert credentials(identity, password).split()[1] not in logged
