"""Whether the daemon of a configuration runs."""

import asyncio
import fcntl
import json
import os
from pathlib import Path

import pytest

from localctl.checking.running import Running, about, find
from localctl.config import load
from tests.actors.csms import Csms
from tests.actors.daemon import Daemon
from tests.checking.site import config, lines


async def test_a_daemon_that_runs(tmp_path: Path) -> None:
    """It is found with its process, its listeners and its status; once it has ended nothing is."""
    async with Csms() as csms:
        daemon = Daemon(tmp_path, csms.url)
        settings = load(daemon.config_file)
        assert await asyncio.to_thread(find, settings) is None
        async with daemon:
            await daemon.ready()
            found = await asyncio.to_thread(find, settings)
            assert found
            assert (found.pid, found.status["ready"]) == (daemon.pid, True)
            assert found.listeners == daemon.listeners
            assert lines([about(found, settings)]) == [f"ok localctl: it runs (process {daemon.pid}) and is ready"]
            await daemon.stop()
        assert await asyncio.to_thread(find, settings) is None


def test_one_that_cannot_be_asked(tmp_path: Path) -> None:
    """Its lock tells of it, and listeners.json of its addresses, where it has no admin listener or hangs."""
    controller: dict[str, object] = {"state_dir": str(tmp_path)}
    silent = config(controller=controller, admin={"listen": ""})
    (tmp_path / "listeners.json").write_text(json.dumps({"stations.ws": "0.0.0.0:8887", "admin": "x"}))
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = find(silent)
        assert found == Running({}, os.getpid(), {"stations.ws": "0.0.0.0:8887"})
        assert lines([about(found, silent)])[0].endswith("it cannot be asked, for admin.listen is empty")
        hanging = config(controller=controller, admin={"listen": "127.0.0.1:0"})
        (tmp_path / "listeners.json").write_text("nonsense")
        found = find(hanging)
        assert found == Running({}, os.getpid(), {})
        assert lines([about(found, hanging)])[0].startswith("warn localctl: it runs")


def test_how_it_is() -> None:
    """Not ready with its reasons; and what runs under another identity has not read the file anew."""
    status = {"identity": "LC-0001", "ready": False, "reasons": ["not connected to the CSMS: x", "y"]}
    assert lines([about(Running(status, None, {}), config())]) == [
        "warn localctl: it runs and is not ready: not connected to the CSMS: x; y"
    ]
    assert lines([about(Running({**status, "identity": "LC-2"}, 7, {}), config())]) == [
        "warn localctl: it runs (process 7) under the identity LC-2"
    ]


def test_another_one_s_answer_is_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else's daemon at the same address is none of this configuration."""
    monkeypatch.setattr("localctl.checking.running.ask_status", lambda _: {"identity": "LC-2"})
    assert find(config(controller={"state_dir": str(tmp_path)})) is None
