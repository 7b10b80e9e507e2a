"""What an operator relies on: exit statuses, health, readiness, metrics, logs, systemd's protocol, an orderly stop."""

import asyncio
import json
import shutil
import signal
import socket
from pathlib import Path

import aiohttp
import pytest

from tests.actors.csms import Csms
from tests.actors.daemon import Daemon, executable
from tests.actors.process import Process
from tests.actors.station import Station
from tests.journeys.conftest import LC, OpenSite, Site, downloading, firmware, get


async def _localctl(*arguments: str) -> tuple[int, str, str]:
    """Run a command; its exit status, stdout and stderr."""
    run = await Process.start([str(executable()), *arguments])
    return await run.over(), "\n".join(run.out), "\n".join(run.err)


async def test_a_stop_in_order(open_site: OpenSite) -> None:
    """Row 34: SIGTERM closes stations with 1001 and exits 0."""
    site: Site = await open_site()
    async with Station(site.daemon.stations_url, "CS-1", "1.6") as station:
        await station.boot()
        assert await site.daemon.stop() == 0
        await station.until(lambda: station.closed)
        assert station.connection.close_code == 1001
    assert site.daemon.log[-1]["message"] == "stopped"


async def test_a_stop_lets_a_transfer_end(open_site: OpenSite) -> None:
    """Row 34: SIGTERM refuses new transfers and lets one under way end."""
    site: Site = await open_site()
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


async def test_status_tells_by_its_exit_status(tmp_path: Path) -> None:
    """`localctl status`: 3 not running, 1 running and not ready, 0 ready; as text and as JSON."""
    async with Csms() as csms:
        daemon = Daemon(tmp_path, csms.url)
        command = ("status", "--config", str(daemon.config_file))
        code, _, told = await _localctl(*command)
        assert code == 3
        assert told.startswith("localctl: no localctl answers at ")
        csms.boot_status = "Rejected"
        async with daemon:
            await daemon.listening()
            await csms.until(lambda: csms.received(LC, "BootNotification"))
            assert (await _localctl(*command))[0] == 1
            csms.boot_status = "Accepted"
            await daemon.restart()
            await daemon.ready()
            code, text, _ = await _localctl(*command)
            assert code == 0
            assert text.startswith("LC-0001: localctl ")
            code, text, _ = await _localctl(*command, "--json")
            assert (code, json.loads(text)["ready"]) == (0, True)


async def test_metrics_are_clean(open_site: OpenSite) -> None:
    """/metrics after a publication and a transfer: promtool finds nothing to say against it."""
    site: Site = await open_site()
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


async def test_systemd_is_told(tmp_path: Path) -> None:
    """READY once all is bound, WATCHDOG while the loops turn, STOPPING at the end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as manager:
        manager.bind(str(tmp_path / "notify"))
        environ = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
        loop = asyncio.get_running_loop()
        async with Csms() as csms, Daemon(tmp_path, csms.url, environ=environ) as daemon:
            told = ""
            async with asyncio.timeout(30):
                while "READY=1" not in told or told.count("WATCHDOG=1") < 3:
                    told += (await loop.sock_recv(manager, 4096)).decode() + "\n"
                daemon.signal(signal.SIGTERM)
                while "STOPPING=1" not in told:
                    told += (await loop.sock_recv(manager, 4096)).decode() + "\n"
            assert await daemon.runs[-1].over() == 0
            assert told.index("READY=1") < told.index("WATCHDOG=1") < told.index("STOPPING=1")


async def test_a_bad_configuration(tmp_path: Path) -> None:
    """A line a fault on stderr and exit status 78, for `run`, `check` and `status` alike."""
    path = tmp_path / "bad.toml"
    path.write_text('[controller]\nidentity = "a:b"\n[csms]\nurl = "http://x"\n', encoding="utf-8")
    for command in ("run", "check", "status"):
        code, out, err = await _localctl(command, "--config", str(path))
        assert (code, out) == (78, "")
        assert [line.partition(": ")[2].partition(":")[0] for line in err.splitlines()] == [
            "controller.identity",
            "csms.url",
        ]


async def test_what_keeps_it_from_starting(tmp_path: Path) -> None:
    """A port in use, a second daemon on one state directory, a state directory that is a file: a line and status 1."""
    async with Csms() as csms, Daemon(tmp_path / "a", csms.url) as daemon:
        await daemon.listening()
        for folder, overrides, words in (
            (
                "b",
                {"publish": {"http": {"listen": daemon.listeners["publish.http"]}}},
                "publish.http.listen: cannot listen",
            ),
            ("c", {"controller": {"state_dir": str(daemon.state_dir)}}, "another localctl is running"),
            ("d", {"controller": {"state_dir": str(daemon.config_file)}}, "cannot be used: File exists"),
        ):
            other = Daemon(tmp_path / folder, csms.url, overrides)
            code, _, err = await _localctl("run", "--config", str(other.config_file))
            last = err.splitlines()[-1]
            assert code == 1
            assert last.startswith("localctl: ")
            assert words in last
            assert "Traceback" not in err


async def test_sighup_ends_nothing(open_site: OpenSite) -> None:
    """SIGHUP is not obeyed yet: it is said so, and nothing else happens."""
    site: Site = await open_site()
    site.daemon.signal(signal.SIGHUP)
    await site.daemon.logged("SIGHUP")
    assert (await site.daemon.get("/readyz"))[0] == 200


async def test_logs_are_json_and_hold_no_secret(open_site: OpenSite) -> None:
    """Every line of a JSON log is an object, and neither our password nor an origin's is in any."""
    site: Site = await open_site(
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


@pytest.mark.parametrize("arguments", [(), ("frobnicate",), ("run", "--nonsense")])
async def test_wrong_usage(arguments: tuple[str, ...]) -> None:
    """Wrong usage ends with status 2 and says how it goes."""
    code, out, err = await _localctl(*arguments)
    assert code == 2
    assert "Usage: localctl" in out + err


async def test_version_and_help() -> None:
    """--version and --help end with 0."""
    assert (await _localctl("--version"))[:2] == (0, "localctl, version 0.1.0")
    code, out, _ = await _localctl("--help")
    assert code == 0
    assert all(command in out for command in ("run", "check", "status", "demo"))
