"""Row 35 of the faults: SIGHUP with a good and with a bad file, while stations are relayed and files on their way."""

import asyncio
import signal
import ssl
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from tests.actors.csms import Csms
from tests.actors.daemon import Daemon
from tests.actors.fetch import WAYS, Download
from tests.actors.origin import Reply
from tests.actors.site import LC, OpenSite, Site, downloading, firmware, get
from tests.actors.station import Station

SUCCESSFUL = "localctl_config_last_reload_successful"
SINCE = "localctl_config_last_reload_success_timestamp_seconds"
SECRET = "sesame-open-1234"


async def told(daemon: Daemon, text: str, times: int = 1) -> dict[str, Any]:
    """The record of the ``times``-th line of the log that holds ``text``, once it is there."""
    run = daemon.runs[-1]
    await run.until(lambda: sum(text in line for line in run.err) >= times, f"{text!r}, {times} times")
    return [record for record in daemon.log if text in str(record["message"])][-1]


async def reloaded(daemon: Daemon, overrides: dict[str, Any], text: str = "was read again") -> dict[str, Any]:
    """Lay ``overrides`` over its configuration, send SIGHUP, and wait for a further line that holds ``text``."""
    before = sum(text in line for line in daemon.runs[-1].err)
    daemon.configure(overrides)
    daemon.signal(signal.SIGHUP)
    return await told(daemon, text, before + 1)


async def answered(daemon: Daemon, identity: str) -> int:
    """The HTTP status that a newcomer of that identity gets; 101 where it is relayed."""
    try:
        async with Station(daemon.stations_url, identity, "1.6"):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


async def test_row_35_a_good_file_drops_neither_a_relay_nor_a_download(open_site: OpenSite) -> None:
    """Row 35: what is new counts for who comes, what was begun goes on, and what takes a restart is named."""
    site = await open_site()
    file = firmware(12_000_000)
    _, (http, _) = await site.published(file)
    began = await site.daemon.metric(SINCE)
    async with Station(site.daemon.stations_url, "CS-1", "1.6") as station, downloading(http) as answer:
        await station.boot()
        record = await reloaded(
            site.daemon,
            {
                "controller": {"model": "other"},
                "stations": {"allowed_identities": ["CS-2"]},
                "publish": {"max_transfers": 1, "host": "localhost"},
                "log": {"level": "info"},
            },
        )
        assert record["level"] == "info"
        assert record["message"].endswith(
            "taken over: stations.allowed_identities, publish.host, publish.max_transfers, log.level"
        )
        warned = await site.daemon.logged("until a restart")
        assert warned["level"] == "warning"
        assert warned["message"].endswith("systemctl restart localctl): controller.model")
        assert await answered(site.daemon, "CS-1") == 404
        assert await answered(site.daemon, "CS-2") == 101
        assert (await get(http))[0] == 503
        assert await station.heartbeat()
        await answer.read()
        assert [link.closed for link in site.csms.links if link.identity in {LC, "CS-1"}] == [None, None]
    _, (http, _) = await site.published(firmware(1000, 1))
    assert http.startswith("http://localhost:")
    assert await site.daemon.metric(SUCCESSFUL) == 1
    assert await site.daemon.metric(SINCE) > began
    assert await site.daemon.stop() == 0


async def test_row_35_downloads_over_every_protocol_go_on(open_serving: OpenSite, trust: ssl.SSLContext) -> None:
    """Row 35: though their network is served no more; newcomers of it are refused."""
    site = await open_serving()
    file = firmware(12_000_000)
    _, uris = await site.published(file)
    under_way = [await asyncio.to_thread(Download, way, uris, trust) for way in WAYS]
    await reloaded(
        site.daemon, {"publish": {"allowed_networks": ["192.0.2.0/24"], "idle_timeout_seconds": 60, "max_transfers": 1}}
    )
    assert (await get(uris[0]))[0] == 403
    for each in under_way:
        assert await asyncio.to_thread(each.rest) == file.body


async def test_row_35_a_bad_file_changes_nothing(open_site: OpenSite) -> None:
    """Row 35: refused as a whole, told with line and key and without a secret; then a good one, and all is well."""
    site = await open_site()
    since = await site.daemon.metric(SINCE)
    status = (await site.daemon.status())["configuration"]
    assert status == {"path": str(site.daemon.config_file), "loaded_at": since, "reload_error": None}
    async with Station(site.daemon.stations_url, "CS-1", "1.6") as station:
        await station.boot()
        record = await reloaded(
            site.daemon,
            {
                "csms": {"basic_auth_password": SECRET, "connect_timeout_seconds": "10"},
                "stations": {"allowed_identities": ["CS-2"]},
            },
            "is refused",
        )
        lines = site.daemon.config_file.read_text(encoding="utf-8").splitlines()
        line = 1 + next(at for at, text in enumerate(lines) if text.startswith("connect_timeout_seconds"))
        fault = f"{site.daemon.config_file}: line {line}: csms.connect_timeout_seconds: "
        assert record["level"] == "error"
        assert record["message"].startswith(f"The configuration is refused, and the one before it stays: {fault}")
        status = (await site.daemon.status())["configuration"]
        assert status["reload_error"].startswith(fault)
        assert status["loaded_at"] == since == await site.daemon.metric(SINCE)
        assert await site.daemon.metric(SUCCESSFUL) == 0
        assert await answered(site.daemon, "CS-3") == 101
        assert await station.heartbeat()
        await reloaded(site.daemon, {"csms": {"connect_timeout_seconds": 10}})
        assert await site.daemon.metric(SUCCESSFUL) == 1
        assert (await site.daemon.status())["configuration"]["reload_error"] is None
        assert await answered(site.daemon, "CS-3") == 404
        assert await station.heartbeat()
    assert SECRET not in "\n".join(site.daemon.runs[-1].err)


@pytest.mark.parametrize(
    ("spoilt", "words"),
    [
        ("[log\n", "line 1, column 5: is not TOML"),
        (None, "cannot be read: No such file or directory"),
    ],
)
async def test_row_35_a_file_that_is_none(tmp_path: Path, spoilt: str | None, words: str) -> None:
    """Row 35: no TOML, and no file at all."""
    async with Csms() as csms, Daemon(tmp_path, csms.url) as daemon:
        await daemon.ready()
        daemon.config_file.unlink()
        if spoilt:
            daemon.config_file.write_text(spoilt, encoding="utf-8")
        daemon.signal(signal.SIGHUP)
        assert words in (await told(daemon, "is refused"))["message"]
        assert (await daemon.get("/readyz"))[0] == 200


async def test_row_35_a_file_that_it_names_is_bad(open_site: OpenSite, tmp_path: Path) -> None:
    """Row 35: passwords that cannot be read are found before anything is taken over; right ones count at once."""
    site = await open_site()
    passwords = tmp_path / "passwords"
    passwords.write_text("CS-1:nonsense\n", encoding="utf-8")
    local = {"authentication": "local", "password_file": str(passwords), "max_stations": 7}
    record = await reloaded(site.daemon, {"stations": local}, "is refused")
    assert f': stations.password_file: "{passwords}" line 1 ' in record["message"]
    assert await answered(site.daemon, "CS-1") == 101
    passwords.write_text("# nobody yet\n", encoding="utf-8")
    await reloaded(site.daemon, {})
    assert await answered(site.daemon, "CS-1") == 401
    await reloaded(site.daemon, {"stations": {"authentication": None, "password_file": None}})
    assert await answered(site.daemon, "CS-1") == 101
    record = await reloaded(site.daemon, {"firmware": {"ca_file": "/none", "max_rate": 1}}, "is refused")
    assert record["message"].endswith(': firmware.ca_file: "/none" cannot be read: No such file or directory')


async def test_row_35_a_password_that_is_set_right_is_tried_at_once(tmp_path: Path) -> None:
    """Row 35: the files that secrets come from are read again, and who mends one need not wait for the back-off."""
    secret = tmp_path / "secret"
    secret.write_text("wrong\n", encoding="utf-8")
    patient = {"basic_auth_password_file": str(secret), "retry_backoff_wait_minimum_seconds": 3600}
    async with Csms(passwords={LC: SECRET}) as csms, Daemon(tmp_path, csms.url, {"csms": patient}) as daemon:
        await daemon.logged("refused our identity or password")
        secret.write_text(f"{SECRET}\n", encoding="utf-8")
        daemon.signal(signal.SIGHUP)
        await told(daemon, "taken over: csms.basic_auth_password")
        await daemon.ready()
        assert SECRET not in "\n".join(daemon.runs[-1].err)


async def test_row_35_a_download_that_is_under_way_heeds_the_new_rate(open_site: OpenSite) -> None:
    """Row 35: it is not begun anew."""
    site = await open_site(overrides={"firmware": {"max_rate": 10_000}})
    file = firmware(2_000_000)
    request_id, _ = await site.publish(site.origin.script(f"/{file.name}", Reply(file.body)), file.checksum)
    await site.csms.wait_status(request_id, "Downloading")
    await _arriving(site)
    await reloaded(site.daemon, {"firmware": {"max_rate": 0, "max_concurrent_downloads": 5}})
    await site.csms.wait_status(request_id, "Published")
    assert len(site.origin.requests) == 1
    assert await site.daemon.metric("localctl_download_attempts_total", result="complete") == 1


async def _arriving(site: Site) -> None:
    """Return once bytes of a file have come."""
    async with asyncio.timeout(20):
        while not await site.daemon.metric("localctl_download_bytes_total"):  # noqa: ASYNC110  nobody tells of it
            await asyncio.sleep(0.05)


async def test_row_35_signals_upon_signals(open_site: OpenSite) -> None:
    """Row 35: SIGHUPs at once, and SIGTERM in the midst of them: an orderly end."""
    site = await open_site()
    async with Station(site.daemon.stations_url, "CS-1", "1.6") as station:
        await station.boot()
        for _ in range(5):
            site.daemon.signal(signal.SIGHUP)
        assert await station.heartbeat()
        site.daemon.signal(signal.SIGHUP)
        assert await site.daemon.stop() == 0
        await station.until(lambda: station.closed)
        assert station.connection.close_code == 1001


async def test_row_35_a_series_a_station_that_is_asked_for_while_one_is_there(open_site: OpenSite) -> None:
    """Row 35: a station that came before has its series at once, and an alert names it when it goes."""
    site = await open_site()
    async with Station(site.daemon.stations_url, "CS-1", "1.6") as station:
        await station.boot()
        await reloaded(site.daemon, {"admin": {"per_station_metrics": True}})
        assert await site.daemon.metric("localctl_station_connected", station="CS-1") == 1
    await site.daemon.counted(0, "localctl_station_connected", station="CS-1")
