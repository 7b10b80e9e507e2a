"""What an operator relies on: exit statuses, health, readiness, metrics, logs, systemd's protocol, an orderly stop."""

import asyncio
import json
import shutil
import signal
from pathlib import Path

import aiohttp

from tests.actors.csms import Csms
from tests.actors.daemon import Daemon
from tests.actors.site import LC, OpenSite, downloading, firmware, get
from tests.actors.station import Station


async def test_a_stop_in_order(open_site: OpenSite) -> None:
    """Row 34: SIGTERM closes stations with 1001 and exits 0."""
    site = await open_site()
    async with Station(site.daemon.stations_url, "CS-1", "1.6") as station:
        await station.boot()
        assert await site.daemon.stop() == 0
        await station.until(lambda: station.closed)
        assert station.connection.close_code == 1001
    assert site.daemon.log[-1]["message"] == "stopped"


async def test_a_stop_lets_a_transfer_end(open_site: OpenSite) -> None:
    """Row 34: SIGTERM refuses new transfers and lets one under way end."""
    site = await open_site()
    file = firmware(12_000_000)
    _, (http, _) = await site.published(file)
    async with downloading(http) as answer:
        site.daemon.signal(signal.SIGTERM)
        await site.daemon.logged("stopping")
        while (status := (await get(http))[0]) == 200:
            pass
        assert status == 503
        await answer.read()
    assert await site.daemon.runs[-1].over() == 0


async def test_health_and_readiness(tmp_path: Path) -> None:
    """/healthz is 200 once all is bound; /readyz only once the CSMS has accepted us, with the reason before."""
    async with Csms() as csms, Daemon(tmp_path, csms.url) as daemon:
        csms.boot_status, csms.boot_interval = "Pending", 1
        await daemon.listening()
        await csms.until(lambda: csms.received(LC, "BootNotification"))
        assert (await daemon.get("/healthz"))[0] == 200
        code, body = await daemon.get("/readyz")
        assert (code, json.loads(body)["ok"]) == (503, False)
        assert "BootNotification" in body
        csms.boot_status = "Accepted"
        await daemon.ready()


async def test_metrics_are_clean(open_site: OpenSite) -> None:
    """/metrics after a publication and a transfer: promtool finds nothing to say against it."""
    site = await open_site()
    _, (http, _) = await site.published(firmware(1000))
    await get(http)
    _, text = await site.daemon.get("/metrics")
    promtool = shutil.which("promtool")
    assert promtool, "package prometheus is missing: tests/run.sh installs it"
    check = await asyncio.create_subprocess_exec(
        promtool, "check", "metrics", stdin=-1, stdout=-1, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await check.communicate(text.encode())
    assert (check.returncode, said.decode()) == (0, "")
    for sample in ('localctl_publish_results_total{status="Published"} 1.0', "localctl_csms_connected 1.0"):
        assert sample in text
    async with aiohttp.request(
        "GET", f"{site.daemon.admin_url}/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"}
    ) as answer:
        assert answer.content_type == "application/openmetrics-text"
        assert (await answer.text()).endswith("# EOF\n")


async def test_logs_are_json_and_hold_no_secret(open_site: OpenSite) -> None:
    """Every line of a JSON log is an object, and neither our password nor an origin's is in any."""
    site = await open_site(
        overrides={"csms": {"basic_auth_password": "sesame-open-1234"}}, passwords={LC: "sesame-open-1234"}
    )
    location = f"http://joe:hush-hush@127.0.0.1:{site.origin.port}/none.bin"
    request_id, _ = await site.publish(location, "0" * 32)
    await site.csms.wait_status(request_id, "DownloadFailed")
    assert site.origin.requests[0].headers["authorization"].startswith("Basic ")
    await site.daemon.stop()
    text = "\n".join(site.daemon.runs[-1].err)
    assert all(set(json.loads(line)) >= {"time", "level", "logger", "message"} for line in text.splitlines())
    assert "sesame" not in text
    assert "hush" not in text
