"""The commands as an installer types them: exit statuses, and what is printed where."""

import json
from pathlib import Path

import pytest

from tests.actors.csms import Csms
from tests.actors.daemon import Daemon, executable
from tests.actors.process import Process

LC = "LC-0001"


async def localctl(*arguments: str) -> tuple[int, str, str]:
    """Run a command; its exit status, stdout and stderr."""
    run = await Process.start([str(executable()), *arguments])
    return await run.over(), "\n".join(run.out), "\n".join(run.err)


async def test_status_tells_by_its_exit_status(tmp_path: Path) -> None:
    """`localctl status`: 3 not running, 1 running and not ready, 0 ready; as text and as JSON."""
    async with Csms() as csms:
        daemon = Daemon(tmp_path, csms.url)
        command = ("status", "--config", str(daemon.config_file))
        code, _, told = await localctl(*command)
        assert code == 3
        assert told.startswith("localctl: no localctl answers at ")
        csms.boot_status = "Rejected"
        async with daemon:
            await daemon.listening()
            await csms.until(lambda: csms.received(LC, "BootNotification"))
            assert (await localctl(*command))[0] == 1
            csms.boot_status = "Accepted"
            await daemon.restart()
            await daemon.ready()
            code, text, _ = await localctl(*command)
            assert code == 0
            assert text.startswith("LC-0001: localctl ")
            code, text, _ = await localctl(*command, "--json")
            assert (code, json.loads(text)["ready"]) == (0, True)


async def test_a_bad_configuration(tmp_path: Path) -> None:
    """A line a fault on stderr and exit status 78, for each command that reads it."""
    path = tmp_path / "bad.toml"
    path.write_text('[controller]\nidentity = "a:b"\n[csms]\nurl = "http://x"\n', encoding="utf-8")
    for command in (("run",), ("check",), ("status",), ("publish", "x"), ("unpublish", "0" * 32)):
        code, out, err = await localctl(*command, "--config", str(path))
        assert (code, out) == (78, "")
        assert [line.partition(": ")[2].partition(":")[0] for line in err.splitlines()] == [
            "controller.identity",
            "csms.url",
        ]


@pytest.mark.parametrize(
    "arguments", [(), ("frobnicate",), ("run", "--nonsense"), ("publish",), ("unpublish", "0" * 31)]
)
async def test_wrong_usage(arguments: tuple[str, ...]) -> None:
    """Wrong usage ends with status 2 and says how it goes."""
    code, out, err = await localctl(*arguments)
    assert code == 2
    assert "Usage: localctl" in out + err


async def test_version_and_help() -> None:
    """--version and --help end with 0."""
    assert (await localctl("--version"))[:2] == (0, "localctl, version 0.1.0")
    code, out, _ = await localctl("--help")
    assert code == 0
    assert all(command in out for command in ("run", "check", "status", "publish", "unpublish", "demo"))


async def test_asking_needs_no_secret(tmp_path: Path) -> None:
    """A password that only systemd's service may read keeps nobody from asking the daemon."""
    daemon = Daemon(tmp_path, "ws://127.0.0.1:9/ocpp", {"csms": {"basic_auth_password_file": "credential:csms"}})
    for command in (("status",), ("unpublish", "0" * 32), ("publish", str(daemon.config_file))):
        code, _, told = await localctl(*command, "--config", str(daemon.config_file))
        assert (code, "credential" in told) == (3, False), told
    assert (await localctl("run", "--config", str(daemon.config_file)))[0] == 78
