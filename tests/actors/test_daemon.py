from pathlib import Path

import pytest

from localctl.config import load
from tests.actors.csms import Csms
from tests.actors.daemon import Daemon, executable


def test_its_configuration_is_accepted(tmp_path: Path) -> None:
    """The defaults and what is laid over them are a configuration that localctl takes."""
    overrides = {"firmware": {"retries": 0}, "publish": {"ftp": None}, "controller": {"vendor_name": 'Ö "x" \\'}}
    daemon = Daemon(tmp_path, "ws://127.0.0.1:1/ocpp", overrides)
    config = load(daemon.config_file)
    assert config.firmware.retries == 0
    assert config.publish.ftp is None
    assert config.publish.http is not None
    assert config.controller.vendor_name == 'Ö "x" \\'
    daemon.configure({"publish": {"ftp": {"listen": "127.0.0.1:0"}}})
    assert load(daemon.config_file).publish.ftp is not None


def test_it_is_the_command_of_this_environment() -> None:
    """The daemon that is tested is the one that is installed where the tests run."""
    assert executable().is_file()


async def test_it_boots_stops_and_comes_back(tmp_path: Path) -> None:
    """The daemon gets ready, tells of itself, stops with 0, and finds its state again after a kill."""
    async with Csms() as csms, Daemon(tmp_path, csms.url) as daemon:
        await daemon.ready()
        await csms.controller()
        assert set(daemon.listeners) == {"stations.ws", "publish.http", "publish.ftp", "admin", "admin.socket"}
        assert (await daemon.status())["ready"] is True
        assert await daemon.metric("localctl_csms_connected") == 1
        assert daemon.rss() > 2**20
        assert daemon.peak() > 2**20
        assert daemon.log
        await daemon.restart()
        await csms.until(lambda: len(csms.received("LC-0001", "BootNotification")) == 2)
        assert await daemon.stop() == 0
        assert not daemon.running


async def test_a_configuration_that_is_refused_is_told(tmp_path: Path) -> None:
    """A daemon that ends at once fails the wait for it with what it wrote."""
    async with Daemon(tmp_path, "ws://127.0.0.1:1/ocpp", {"controller": {"nonsense": 1}}) as daemon:
        with pytest.raises(AssertionError, match=r"(?s)ended before listeners.json.*with 78.*nonsense"):
            await daemon.listening()
