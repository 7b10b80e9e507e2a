"""Row 9 of the faults: a gateway without a battery starts in 1970, and its clock jumps by years when it is told."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.actors.clock import WallClock, year
from tests.actors.csms import IGNORE, Answer, Csms
from tests.actors.daemon import Daemon
from tests.actors.link import Call
from tests.actors.nginx import Nginx
from tests.actors.origin import Origin, Reply
from tests.actors.site import LC, Site, firmware, get

JUMPS = (year(2041), year(1999), year(1970), datetime.now(UTC))


@asynccontextmanager
async def site_at(
    clock: WallClock, csms: Csms, tmp_path: Path, overrides: dict[str, Any] | None = None
) -> AsyncIterator[Site]:
    """A site whose daemon believes ``clock``."""
    settings = {"csms": {"call_timeout_seconds": 1}, "firmware": {"retries": 1000}}
    daemon = Daemon(tmp_path, csms.url, settings, environ=clock.environ)
    daemon.configure(overrides or {})
    async with csms, Origin() as origin, daemon:
        yield Site(csms, daemon, origin)


def _now() -> float:
    return asyncio.get_running_loop().time()


async def test_row_9_heartbeats_and_timeouts_keep_their_pace(tmp_path: Path) -> None:
    """Row 9: whatever the clock says, a Heartbeat comes each interval, no more and no less, and one that is not
    answered times out after its time.
    """
    clock, csms, began = WallClock(tmp_path, year(1970)), Csms(), _now()
    csms.boot_interval = 1
    silent = False

    async def maybe(_: Call) -> Answer | None:
        return IGNORE if silent else None

    csms.hooks["Heartbeat"] = maybe
    async with site_at(clock, csms, tmp_path) as site:
        await site.daemon.ready()
        assert (await site.daemon.logged("ready for stations"))["time"] < year(1971).timestamp()
        for said in JUMPS:
            before = len(csms.received(LC, "Heartbeat"))
            clock.set(said)
            await csms.until(lambda: len(csms.received(LC, "Heartbeat")) >= before + 2, "two heartbeats", 10)  # noqa: B023
        silent = True
        clock.set(year(2060))
        await site.daemon.logged("the CSMS did not answer Heartbeat within 1 s")
        assert len(csms.received(LC, "Heartbeat")) <= _now() - began + 1


async def test_row_9_how_wrong_the_clock_is_can_be_seen(tmp_path: Path) -> None:
    """Row 9: the metrics tell by how much it is behind the CSMS's, and that it is right once it is."""
    clock, csms = WallClock(tmp_path, year(1970)), Csms()
    csms.boot_interval = 1

    async def offset() -> float:
        return await site.daemon.metric("localctl_clock_offset_seconds")

    async with site_at(clock, csms, tmp_path) as site:
        await site.daemon.ready()
        assert await offset() < -(year(2020) - year(1970)).total_seconds()
        clock.set_right()
        while not abs(await offset()) < 60:
            beats = len(csms.received(LC, "Heartbeat"))
            await csms.until(lambda: len(csms.received(LC, "Heartbeat")) > beats, "a heartbeat", 10)  # noqa: B023


async def test_row_9_a_publication_keeps_its_pace(tmp_path: Path) -> None:
    """Row 9: the pause between two tries neither ends early nor lasts for years; each status is sent, and the file is
    published and served.
    """
    clock, interval = WallClock(tmp_path, year(1970)), 3
    async with site_at(clock, Csms(), tmp_path) as site:
        await site.daemon.ready()
        file, told = firmware(300_000), ["Downloading", "DownloadPaused"]
        location = site.origin.script("/x", *[Reply(status=503)] * len(JUMPS), Reply(file.body))
        request_id, _ = await site.publish(location, file.checksum, retryInterval=interval)
        began = _now()
        for tries, said in enumerate(JUMPS, 1):
            await site.csms.until(lambda: site.statuses(request_id) == told * tries, f"pause {tries}", 20)  # noqa: B023
            clock.set(said)
        uris = (await site.csms.wait_status(request_id, "Published"))["location"]
        assert _now() - began >= interval * len(JUMPS) - 1
        assert site.statuses(request_id)[len(told) * len(JUMPS) :] == [
            "Downloading",
            "Downloaded",
            "ChecksumVerified",
            "Published",
        ]
        assert await get(uris[0]) == (200, file.body)
        assert await site.withdrawn(file.checksum) == "Unpublished"


@pytest.fixture
def authority() -> trustme.CA:
    """Whom the controller trusts."""
    return trustme.CA(key_type=trustme.KeyType.ECDSA)


@pytest.fixture
def certificate(authority: trustme.CA, tmp_path: Path) -> trustme.LeafCert:
    """That of a peer, from yesteryear until 2090; ``ca.pem``, ``peer.pem`` and ``peer.key`` lie in ``tmp_path``."""
    issued = authority.issue_cert(
        "127.0.0.1", key_type=trustme.KeyType.ECDSA, not_before=year(2020), not_after=year(2090)
    )
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    issued.cert_chain_pems[0].write_to_path(str(tmp_path / "peer.pem"))
    issued.private_key_pem.write_to_path(str(tmp_path / "peer.key"))
    return issued


@pytest.mark.parametrize("wrong", [year(1970), year(2095)], ids=["1970", "2095"])
async def test_row_9_the_csms_over_tls(wrong: datetime, certificate: trustme.LeafCert, tmp_path: Path) -> None:
    """Row 9: a certificate that is not valid by our clock is told as a problem of the clock; it goes on trying, and the
    link stands once the clock is right.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    clock = WallClock(tmp_path, wrong)
    trust = {"csms": {"ca_file": str(tmp_path / "ca.pem")}}
    async with site_at(clock, Csms(tls=context), tmp_path, trust) as site:
        told = await site.daemon.logged(f"is this machine's clock right? it says {wrong:%Y-%m-%d}")
        assert told["level"] == "warning"
        assert "no connection to the CSMS" in told["message"]
        (reason,) = (await site.daemon.status())["reasons"]
        assert "is this machine's clock right?" in reason
        clock.set_right()
        await site.daemon.ready()
        assert await site.daemon.metric("localctl_csms_connection_failures_total", reason="tls") >= 1
        await site.published(firmware(50_000))


@pytest.mark.parametrize("wrong", [year(1970), year(2095)], ids=["1970", "2095"])
@pytest.mark.usefixtures("certificate")
async def test_row_9_an_origin_over_tls(wrong: datetime, tmp_path: Path) -> None:
    """Row 9: the same for an origin: told as a problem of the clock, tried again, published once the clock is right."""
    file, www, clock = firmware(300_000), tmp_path / "www", WallClock(tmp_path, wrong)
    www.mkdir()
    (www / file.name).write_bytes(file.body)
    own = (tmp_path / "peer.pem", tmp_path / "peer.key")
    trust = {"firmware": {"ca_file": str(tmp_path / "ca.pem")}}
    async with (
        Nginx(tmp_path / "nginx", www, certificate=own) as nginx,
        site_at(clock, Csms(), tmp_path, trust) as site,
    ):
        await site.daemon.ready()
        request_id, _ = await site.publish(f"{nginx.url}/{file.name}", file.checksum, retryInterval=0)
        await site.csms.wait_status(request_id, "DownloadPaused")
        told = await site.daemon.logged(f"is this machine's clock right? it says {wrong:%Y-%m-%d}")
        assert f"publication {request_id}" in told["message"]
        clock.set_right()
        uris = (await site.csms.wait_status(request_id, "Published"))["location"]
        assert await get(uris[0]) == (200, file.body)
