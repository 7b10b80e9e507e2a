"""A real Prometheus watches a real daemon, by the configuration and the rules that an operator is given."""

import re
from functools import partial
from pathlib import Path

from tests.actors.csms import Csms
from tests.actors.daemon import Daemon
from tests.actors.prometheus import Prometheus
from tests.actors.station import Station
from tests.watching.boards import BOARDS, expressions
from tests.watching.series import alerts

QUIET = re.compile("[<>]|ALERTS")  # what shows nothing while all is well
LC = {"instance": "LC-0001", "site": "Harbour"}


async def test_an_alert_fires_and_clears(tmp_path: Path) -> None:
    """The CSMS goes away: LocalctlCsmsAway fires, with the gateway's name and site; it comes back: the alert goes."""
    async with (
        Csms() as csms,
        Daemon(tmp_path / "gateway", csms.url) as daemon,
    ):
        await daemon.ready()
        async with Prometheus(tmp_path / "prometheus", daemon.listeners["admin"], LC) as prometheus:

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


async def test_rules_and_dashboards_work_on_what_is_scraped(tmp_path: Path) -> None:
    """Two gateways at rest, with every series that there may be: each rule and each query of a dashboard is evaluated
    without a fault, and nothing fires.
    """
    other = {"instance": "LC-0002", "site": "Station Square"}
    admin = {"admin": {"per_station_metrics": True}}
    async with Csms() as csms, Daemon(tmp_path / "gateway", csms.url, admin) as daemon:
        await daemon.ready()
        async with (
            Prometheus(tmp_path / "prometheus", daemon.listeners["admin"], LC, other) as prometheus,
            Station(daemon.stations_url, "CS-1", "1.6") as station,
        ):
            await station.boot()

            async def is_evaluated() -> bool:
                return await prometheus.value("sum(instance:localctl_stations_connected:p90_1d)") == 2

            async def has_an_answer(query: str) -> bool:
                return bool(QUIET.search(query) or (await prometheus.ask("query", query=query))["result"])

            await prometheus.until(is_evaluated, "the usual number of stations")
            groups = (await prometheus.ask("rules"))["groups"]
            rules = [rule for group in groups for rule in group["rules"]]
            assert {rule["name"] for rule in rules} >= {alert["alert"] for alert in alerts()}
            assert [rule["name"] for rule in rules if rule["health"] != "ok"] == []
            found = {alert["labels"]["alertname"] for alert in (await prometheus.ask("alerts"))["alerts"]}
            assert found <= {"LocalctlLoopLate"}  # the machine that runs this may be busy with others
            for query in (query for name in BOARDS for query in expressions(name)):
                await prometheus.until(partial(has_an_answer, query), query)
