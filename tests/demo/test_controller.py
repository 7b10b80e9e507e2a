import asyncio
import os
import socket
from pathlib import Path

import psutil
import pytest

from localctl.config import Config, load
from localctl.demo.controller import Controller, configuration, last_words
from localctl.demo.csms import Csms
from localctl.demo.patience import DemoFailed
from localctl.demo.plan import CONTROLLER, MIB, Plan

PLAN = Plan(4, 32 * MIB)
URL = "ws://127.0.0.1:1/ocpp"


def written(folder: Path, plan: Plan) -> Config:
    """The configuration, as the daemon reads it."""
    (folder / "config.toml").write_text(configuration(folder / "state", URL, plan), encoding="utf-8")
    return load(folder / "config.toml")


@pytest.mark.parametrize("name", ["plain", 'with "quotes" and \\', "with é and space"])
def test_its_configuration_is_whole(tmp_path: Path, name: str) -> None:
    """The daemon takes the configuration wherever the temporary folder is; every port is free, nothing leaves here."""
    folder = tmp_path / name
    folder.mkdir()
    config = written(folder, PLAN)
    assert (config.controller.identity, config.csms.url) == (CONTROLLER, URL)
    assert config.controller.state_dir == str(folder / "state")
    assert {(address.host, address.port) for address in config.listeners().values()} == {("127.0.0.1", 0)}
    assert set(config.listeners()) == {
        "stations.ws.listen",
        "publish.http.listen",
        "publish.ftp.listen",
        "admin.listen",
    }
    assert config.firmware.allowed_origins == ("127.0.0.1",)


def test_its_limits_are_those_of_the_plan(tmp_path: Path) -> None:
    """The largest demo is not stopped by a default."""
    config = written(tmp_path, Plan(100, 2048 * MIB))
    assert config.firmware.max_file_size == 2048 * MIB
    assert config.stations.max_stations == config.publish.max_transfers == 100


async def test_it_runs_and_stops(tmp_path: Path) -> None:
    """It listens when it is there, its status can be read, and it ends with status 0 and no child left."""
    async with Csms() as csms:
        async with Controller(tmp_path, csms.url, PLAN) as controller:
            assert set(controller.listeners) == {"stations.ws", "publish.http", "publish.ftp", "admin", "admin.socket"}
            await csms.hear(CONTROLLER, "BootNotification", 30)
            assert (await controller.status())["identity"] == CONTROLLER
            assert controller.exit_status != 0
        assert controller.exit_status == 0
    assert psutil.Process().children() == []
    assert last_words(tmp_path, 1)[0].endswith('"message": "stopped"}')
    assert not any('"level": "warning"' in line for line in last_words(tmp_path, 1000))


async def test_it_does_not_take_what_is_meant_for_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run under systemd, or with a configuration in the environment, the demo's controller knows nothing of it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as manager:
        manager.bind(str(tmp_path / "manager"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "manager"))
        monkeypatch.setenv("WATCHDOG_USEC", "1000")
        monkeypatch.setenv("LOCALCTL_CONFIG", "/nowhere")
        async with Csms() as csms, Controller(tmp_path, csms.url, PLAN):
            pass
        with pytest.raises(BlockingIOError):
            manager.recv(4096)


async def test_it_cannot_start(tmp_path: Path) -> None:
    """A controller that ends before it listens is noticed at once, with its exit status."""
    (tmp_path / "state").write_text("in the way", encoding="utf-8")
    with pytest.RaisesGroup(pytest.RaisesExc(DemoFailed, match="^the controller ended by itself with status 1$")):
        async with Controller(tmp_path, URL, PLAN):
            pass
    assert "cannot be used" in last_words(tmp_path, 1)[0]


async def test_it_dies(tmp_path: Path) -> None:
    """Whoever watches it learns of its end; a failure carries the status as a note."""

    async def die() -> None:
        async with Controller(tmp_path, URL, PLAN) as controller:
            psutil.Process().children()[0].kill()
            await controller.watch()

    with pytest.raises(DemoFailed) as failure:
        await die()
    assert str(failure.value) == "the controller ended by itself with status -9"
    assert failure.value.__notes__ == ["the controller ended with status -9"]


async def test_it_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that does not stop is killed, and that fails the demo."""
    monkeypatch.setattr("localctl.demo.controller.STOP_SECONDS", 0.1)
    with pytest.raises(DemoFailed, match=r"^the controller was told to stop and ended with status -9$"):
        async with Controller(tmp_path, URL, PLAN):
            psutil.Process().children()[0].suspend()
    assert psutil.Process().children() == []


async def test_it_is_stopped_whatever_happens(tmp_path: Path) -> None:
    """Cancelled again while it waits for the controller's end, it kills it."""
    controller = Controller(tmp_path, URL, PLAN)
    hanging = asyncio.Event()

    async def run() -> None:
        async with controller:
            psutil.Process().children()[0].suspend()
            hanging.set()

    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(run())
        await hanging.wait()
        while not running.done():
            running.cancel()
            await asyncio.sleep(0)
    assert await controller._process.wait() == -9


async def test_ctrl_c_is_not_its_business(tmp_path: Path) -> None:
    """It is in a process group of its own: a terminal's Ctrl-C reaches the demo, which stops it in order."""
    async with Controller(tmp_path, URL, PLAN):
        assert os.getpgid(psutil.Process().children()[0].pid) != os.getpgid(0)


def test_the_end_of_its_log(tmp_path: Path) -> None:
    """The last lines, whatever bytes are in them; none where there is no log."""
    assert last_words(tmp_path, 2) == []
    (tmp_path / "controller.log").write_bytes(b"one\ntwo\nthr\xff\n")
    assert last_words(tmp_path, 2) == ["two", "thr\N{REPLACEMENT CHARACTER}"]
