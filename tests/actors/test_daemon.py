from pathlib import Path

from localctl.config import load
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
