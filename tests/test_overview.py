"""The status document of the real daemon, and the reasons in it."""

import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from prometheus_client import CollectorRegistry

from localctl.metrics import Metrics
from localctl.overview import SILENT_SECONDS, Rooms
from localctl.pulse import Pulse
from tests.actors.authority import Authority
from tests.actors.csms import Csms
from tests.actors.daemon import Daemon
from tests.actors.origin import Reply
from tests.actors.site import LC, OpenSite, downloading, firmware
from tests.actors.station import Station


async def test_everything_at_once(open_site: OpenSite) -> None:
    """A station, a published file, a transfer and a download under way: each with what is promised of it."""
    site = await open_site()
    file, coming = firmware(12_000_000), firmware(50_000, 1)
    _, uris = await site.published(file)
    request_id, _ = await site.publish(
        site.origin.script("/coming.bin", Reply(coming.body, stall_after=20_000)), coming.checksum
    )
    await site.csms.wait_status(request_id, "Downloading")
    async with Station(site.daemon.stations_url, "CS-1", "1.6") as station, downloading(uris[0]):
        await station.boot()
        status = await site.daemon.status()
    assert (status["ready"], status["reasons"], status["identity"]) == (True, [], LC)
    assert set(status) >= {"version", "uplink", "disk", "listeners"}
    assert (status["uplink"]["connected"], status["uplink"]["registration"]) == (True, "Accepted")
    assert status["disk"]["size"] >= status["disk"]["free"] > 0
    (relayed,) = status["stations"]
    assert (relayed["identity"], relayed["ocpp_version"], relayed["peer"]) == ("CS-1", "1.6", "127.0.0.1")
    assert relayed["since"] <= relayed["last_message_at"]
    published, under_way = status["firmware"]
    assert (published["state"], published["size"], published["uris"]) == ("published", len(file.body), uris)
    assert (under_way["state"], under_way["request_id"], under_way["total"]) == ("downloading", request_id, 50_000)
    (transfer,) = status["transfers"]
    assert (transfer["protocol"], transfer["name"], transfer["size"]) == ("http", file.name, len(file.body))
    assert 0 <= transfer["sent"] < transfer["size"]
    assert transfer["station"] == "CS-1"  # the only one of that address
    assert status["uplink"]["since"] <= status["uplink"]["last_seen"]
    assert status["events"][-1]["text"].startswith("station 'CS-1' at 127.0.0.1 is relayed")
    assert {event["level"] for event in status["events"]} == {"info"}


async def test_our_certificates(open_site: OpenSite, tmp_path: Path) -> None:
    """Each that is in use, by the section that it is shown for, with its file, its name and its end."""
    ends = datetime(2049, 1, 1, tzinfo=UTC)
    authority = Authority(tmp_path)
    https = {"listen": "127.0.0.1:0", **authority.issue("https", "gateway.lan", ends=ends)}
    wss = {"listen": "127.0.0.1:0", **authority.issue("wss")}
    site = await open_site(overrides={"publish": {"https": https}, "stations": {"wss": wss}})
    told = {each["role"]: each for each in (await site.daemon.status())["certificates"]}
    assert set(told) == {"stations.wss", "publish.https"}
    assert told["publish.https"] == {
        "role": "publish.https",
        "path": str(tmp_path / "https.pem"),
        "name": "gateway.lan",
        "expires_at": ends.timestamp(),
    }
    assert told["stations.wss"]["name"] == "127.0.0.1"


async def test_whose_a_transfer_is(open_site: OpenSite) -> None:
    """Where several stations come from one address, as behind a router, nobody can tell."""
    site = await open_site()
    _, uris = await site.published(firmware(12_000_000))
    url = site.daemon.stations_url
    async with Station(url, "CS-1", "1.6"), Station(url, "CS-2", "1.6"), downloading(uris[0]):
        (transfer,) = (await site.daemon.status())["transfers"]
    assert (transfer["peer"], transfer["station"]) == ("127.0.0.1", None)


async def test_why_it_is_not_ready(tmp_path: Path) -> None:
    """Not connected, then not accepted: each reason in words."""
    async with Csms() as csms, Daemon(tmp_path, csms.url) as daemon:
        csms.refusals[LC] = 401
        await daemon.listening()
        await daemon.logged("refused our identity or password")
        (reason,) = json.loads((await daemon.get("/readyz"))[1])["reasons"]
        assert reason == "not connected to the CSMS: the CSMS refused our identity or password: HTTP 401"
        csms.boot_status = "Rejected"
        csms.refusals.clear()
        await daemon.logged("answered BootNotification with Rejected")
        (reason,) = json.loads((await daemon.get("/readyz"))[1])["reasons"]
        assert reason == "the CSMS has not accepted our BootNotification: it answered Rejected"


def test_a_loop_that_hangs() -> None:
    """A loop that has not turned for SILENT_SECONDS makes us unhealthy; the watchdog is not fed then."""
    now = [100.0]
    pulses = [Pulse(loop, Metrics(CollectorRegistry(), "0"), lambda: now[0]) for loop in ("main", "ftp")]
    nobody: Any = SimpleNamespace()
    rooms = Rooms(nobody, "0", nobody, nobody, None, nobody, nobody, pulses, {}, nobody, lambda *_: (), (), nobody)
    assert rooms.unhealthy() == ()
    now[0] += SILENT_SECONDS + 1
    pulses[0].beat()
    assert rooms.unhealthy() == ("the ftp loop has not turned for 11 s",)
