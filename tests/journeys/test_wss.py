"""The stations' listener under TLS, at the real daemon: what OpenSSL's own client finds there, and a renewal."""

import asyncio
import ssl
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tests.actors.authority import EC, RSA, Authority
from tests.actors.csms import Csms
from tests.actors.daemon import Daemon
from tests.actors.station import Station

SUITES: Final = (  # A00.FR.318, FR.421: TLS_ECDHE_ECDSA_WITH_… and TLS_RSA_WITH_…
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
)
ROLES: Final = ("stations.wss", "stations.wss.rsa")
BEFORE, AFTER = datetime(2041, 1, 1, tzinfo=UTC), datetime(2042, 1, 1, tzinfo=UTC)


def listener(authority: Authority, ends: datetime) -> dict[str, Any]:
    """[stations.wss] with an EC certificate and an RSA one, which stand in the place of those before them."""
    own = authority.issue("ec", kind=EC, ends=ends)
    return {"listen": "127.0.0.1:0", **own, **authority.issue("rsa", kind=RSA, ends=ends, prefix="rsa_")}


async def shaken(daemon: Daemon, *options: str) -> str:
    """What `openssl s_client` tells of its handshake with the stations' listener."""
    client = await asyncio.create_subprocess_exec(
        "openssl", "s_client", "-connect", daemon.listeners["stations.wss"], *options,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    told, _ = await client.communicate()
    return told.decode(errors="replace")


def shown(station: Station) -> datetime:
    """When the certificate ends that a station was shown."""
    certificate = station.connection.transport.get_extra_info("ssl_object").getpeercert()
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)


async def test_the_four_suites_and_no_old_tls(tmp_path: Path) -> None:
    """A00.FR.315, FR.318, FR.418, FR.421: with two certificates all four suites of OCPP; TLS 1.1 is refused, and is a
    security event.
    """
    lan = Authority(tmp_path, "lan")
    async with Csms() as csms, Daemon(tmp_path, csms.url, {"stations": {"wss": listener(lan, BEFORE)}}) as daemon:
        await daemon.listening()
        for suite in SUITES:
            told = await shaken(daemon, "-tls1_2", "-cipher", suite, "-CAfile", lan.file, "-verify_return_error")
            assert f"Cipher is {suite}" in told
            assert "Verify return code: 0 (ok)" in told
        told = await shaken(daemon, "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0")
        assert "alert protocol version" in told
        assert "Cipher is (NONE)" in told
        assert await daemon.metric("localctl_security_events_total", type="InvalidTLSVersion") == 1
        assert await daemon.metric("localctl_station_handshakes_total", result="tls") == 1


async def test_renewed_certificates_are_shown_and_drop_no_relay(tmp_path: Path) -> None:
    """Who is relayed stays; who comes is shown the new certificates, of both kinds, without a restart."""
    lan = Authority(tmp_path, "lan")
    async with (
        Csms() as csms,
        Daemon(tmp_path, csms.url, {"stations": {"wss": listener(lan, BEFORE)}}) as daemon,
        AsyncExitStack() as stations,
    ):

        async def comes(identity: str, suite: str) -> Station:
            tls = lan.client()
            tls.maximum_version = ssl.TLSVersion.TLSv1_2
            tls.set_ciphers(suite)
            station = Station(daemon.sealed_stations_url, identity, tls=tls)
            await stations.enter_async_context(station)
            assert await station.boot() == "Accepted"
            return station

        await daemon.ready()
        early = [await comes(f"early {suite}", suite) for suite in SUITES]
        assert {shown(station) for station in early} == {BEFORE}
        listener(lan, AFTER)
        for role in ROLES:
            await daemon.logged(f'the new certificate of {role}"')
        late = [await comes(f"late {suite}", suite) for suite in SUITES]
        assert {shown(station) for station in late} == {AFTER}
        for station in early:
            assert await station.heartbeat()
        assert [link.closed for link in csms.links] == [None] * len(csms.links)
        for role in ROLES:
            expiry = await daemon.metric("localctl_tls_certificate_expiry_timestamp_seconds", role=role)
            assert datetime.fromtimestamp(expiry, UTC) == AFTER
