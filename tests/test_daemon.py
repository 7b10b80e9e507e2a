"""Starting and stopping the daemon; what it does in between, the journeys prove."""

import asyncio
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from prometheus_client import CollectorRegistry

from localctl import daemon as module
from localctl.config import parse
from localctl.errors import DatabaseDamaged
from localctl.metrics import Metrics
from localctl.store.database import Database
from tests.actors.csms import Csms
from tests.actors.daemon import Daemon, defaults
from tests.actors.station import Station
from tests.test_cli import localctl


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
            code, _, err = await localctl("run", "--config", str(other.config_file))
            last = err.splitlines()[-1]
            assert code == 1
            assert last.startswith("localctl: ")
            assert words in last
            assert "Traceback" not in err


async def test_systemd_is_told(tmp_path: Path) -> None:
    """READY once all is bound, WATCHDOG while the loops turn, RELOADING until READY again, STOPPING at the end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as manager:
        manager.bind(str(tmp_path / "notify"))
        environ = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
        loop = asyncio.get_running_loop()
        async with Csms() as csms, Daemon(tmp_path, csms.url, environ=environ) as daemon:
            told = ""
            async with asyncio.timeout(30):
                while "READY=1" not in told or told.count("WATCHDOG=1") < 3:
                    told += (await loop.sock_recv(manager, 4096)).decode() + "\n"
                daemon.signal(signal.SIGHUP)
                while told.count("READY=1") < 2:
                    told += (await loop.sock_recv(manager, 4096)).decode() + "\n"
                daemon.signal(signal.SIGTERM)
                while "STOPPING=1" not in told:
                    told += (await loop.sock_recv(manager, 4096)).decode() + "\n"
            assert await daemon.runs[-1].over() == 0
            places = [told.index(word) for word in ("READY=1", "WATCHDOG=1", "RELOADING=1\nMONOTONIC_USEC=")]
            places += [told.rindex("READY=1"), told.index("STOPPING=1")]
            assert places == sorted(places)


def test_what_is_loaded_behind_it() -> None:
    """Stations are relayed before aiohttp is there, which is as much to load as all that they need."""
    code = "import localctl.cli, localctl.daemon, sys; print('aiohttp' in sys.modules, 'websockets' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False True\n"


async def test_a_database_that_is_damaged_ends_it(tmp_path: Path) -> None:
    """Row 8: damage that shows while it runs: it ends with a word, and the next start makes the database anew."""

    async def opened(path: Path, *_: Any) -> Database:
        database = await Database.open(path)
        asyncio.get_running_loop().call_later(0.3, database.damaged.set)
        return database

    (tmp_path / "state").mkdir()
    config = parse(defaults(tmp_path, "ws://127.0.0.1:9"), "test", {})
    with patch.object(module, "open_or_rebuild", opened), pytest.raises(DatabaseDamaged, match="started again"):
        await module.Daemon(config, Metrics(CollectorRegistry(), "0"), tmp_path / "config.toml").run()


async def test_a_series_a_station_where_it_is_asked_for(tmp_path: Path) -> None:
    """[admin] per_station_metrics: named in /metrics, 0 once it has gone; without it no station is."""
    async with Csms() as csms, Daemon(tmp_path, csms.url, {"admin": {"per_station_metrics": True}}) as daemon:
        await daemon.ready()
        async with Station(daemon.stations_url, "CS-1", "1.6") as station:
            await station.boot()
            await daemon.counted(1, "localctl_station_connected", station="CS-1")
        await daemon.counted(0, "localctl_station_connected", station="CS-1")
        daemon.configure({"admin": {"per_station_metrics": None}})
        await daemon.restart()
        assert "localctl_station_connected" not in (await daemon.get("/metrics"))[1]
