"""A real Prometheus watches a real daemon, by the configuration and the rules that an operator is given."""

from pathlib import Path

from tests.actors.csms import Csms
from tests.actors.daemon import Daemon
from tests.actors.prometheus import Prometheus
from tests.actors.station import Station
from tests.watching.series import alerts

LC = {"instance": "LC-0001", "site": "Harbour"}


async def test_an_alert_fires_and_clears(tmp_path: Path) -> None:
    """The CSMS goes away: LocalctlCsmsAway fires, with the gateway's name and site; it comes back: the alert goes."""
    async with (
        Csms() as csms,
        Daemon(tmp_path / "gateway", csms.url) as daemon,
    ):
        await daemon.ready()
        async with Prometheus(tmp_path / "prometheus", daemon.listeners["admin"], **LC) as prometheus:

            async def is_seen() -> bool:
                return await prometheus.value("localctl_csms_connected") == 1

            async def fires() -> bool:
                return bool(await prometheus.firing("LocalctlCsmsAway"))

            async def is_quiet() -> bool:
                return not await fires()

            await prometheus.until(is_seen, "a scrape")
            assert await is_quiet()
            await csms.stop()
            await prometheus.until(fires, "the alert")
            [alert] = await prometheus.firing("LocalctlCsmsAway")
            assert alert["labels"] == {"alertname": "LocalctlCsmsAway", "severity": "critical", "job": "localctl", **LC}
            assert alert["annotations"]["summary"] == "LC-0001 at Harbour has no CSMS."
            await csms.start()
            await prometheus.until(is_quiet, "the alert's end")


async def test_the_rules_work_on_what_is_scraped(tmp_path: Path) -> None:
    """Every rule is evaluated without a fault on a gateway at rest, and none fires."""
    async with Csms() as csms, Daemon(tmp_path / "gateway", csms.url) as daemon:
        await daemon.ready()
        async with (
            Prometheus(tmp_path / "prometheus", daemon.listeners["admin"], **LC) as prometheus,
            Station(daemon.stations_url, "CS-1", "1.6") as station,
        ):
            await station.boot()

            async def is_evaluated() -> bool:
                usual = await prometheus.value("max_over_time(instance:localctl_stations_connected:p90_1d[1h])")
                return usual is not None and usual > 0

            await prometheus.until(is_evaluated, "the usual number of stations")
            groups = (await prometheus.ask("rules"))["groups"]
            rules = [rule for group in groups for rule in group["rules"]]
            assert {rule["name"] for rule in rules} >= {alert["alert"] for alert in alerts()}
            assert [rule["name"] for rule in rules if rule["health"] != "ok"] == []
            found = {alert["labels"]["alertname"] for alert in (await prometheus.ask("alerts"))["alerts"]}
            assert found <= {"LocalctlLoopLate"}  # the machine that runs this may be busy with others
            assert await prometheus.value("up") == 1
