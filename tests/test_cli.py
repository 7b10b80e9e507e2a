"""The commands as an installer types them: exit statuses, and what is printed where."""

import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from localctl.relay.passwords import read
from localctl.relay.scrypt import parse as parse_phc
from tests.actors.csms import Csms
from tests.actors.daemon import Daemon, executable
from tests.actors.process import Process
from tests.actors.screen import terminal

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


async def test_check_tells_by_its_exit_status(tmp_path: Path) -> None:
    """`localctl check`: 1 where something FAILs, 0 where nothing does; a summary at the end, or all of it as JSON."""
    async with Csms(passwords={LC: "sesame-open-1234"}) as csms:
        daemon = Daemon(tmp_path, csms.url, {"csms": {"basic_auth_password": "wrong-horse-1234"}})
        command = ("check", "--config", str(daemon.config_file))
        code, text, err = await localctl(*command)
        assert (code, err) == (1, "")
        assert "FAIL  csms: the CSMS refused our identity or password: HTTP 401" in text
        assert re.fullmatch(r"\d+ ok, \d+ warnings?, 1 failure", text.splitlines()[-1])
        assert "horse" not in text
        assert "\x1b" not in text
        daemon.configure({"csms": {"basic_auth_password": "sesame-open-1234"}})
        code, text, _ = await localctl(*command, "--json")
        assert (code, json.loads(text)["FAIL"]) == (0, 0)
        code, text, _ = await localctl(*command, "--offline")
        assert code == 0
        assert str(csms.port) not in text


async def test_check_of_a_credential_of_systemd_s(tmp_path: Path) -> None:
    """The configuration is good: what cannot be read is told, and the CSMS is not asked without its password."""
    async with Csms(passwords={LC: "sesame-open-1234"}) as csms:
        daemon = Daemon(tmp_path, csms.url, {"csms": {"basic_auth_password_file": "credential:csms"}})
        code, text, err = await localctl("check", "--config", str(daemon.config_file))
        assert (code, err, [asked.path for asked in csms.handshakes]) == (0, "", ["/"])  # for the time of day
        assert "warn  csms.basic_auth_password_file: only the running service has this credential" in text
        assert "ok    csms.url: 127.0.0.1 port" in text


def test_a_reload_that_comes_too_early(tmp_path: Path) -> None:
    """SIGHUP while the daemon starts does not end it: until it can be heeded it is not heard."""
    program = (
        "import signal\n"
        "from localctl.cli import commands\n"
        "from localctl.errors import ConfigurationError\n"
        "try:\n"
        "    commands(['run', '--config', 'missing.toml'], standalone_mode=False)\n"
        "except ConfigurationError:\n"
        "    print(signal.getsignal(signal.SIGHUP).name)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, cwd=tmp_path)
    assert done.stdout == b"SIG_IGN\n"


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


def spoken(*arguments: str, said: bytes) -> tuple[int, str, str]:
    """As ``localctl``, with something to read on stdin."""
    done = subprocess.run([executable(), *arguments], input=said, capture_output=True, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_password_prints_a_line_for_the_file(tmp_path: Path) -> None:
    """`localctl password`: the line proves the password, does not tell it, and can be put into the file as it is."""
    code, line, told = spoken("password", "CS-1", said="gehéim-0815-geheim\r\nmore".encode())
    assert (code, told) == (0, "")
    assert "0815" not in line
    (tmp_path / "passwords").write_text(line)
    assert read(str(tmp_path / "passwords"))["cs-1"].proves("gehéim-0815-geheim".encode())


def test_password_in_hex_is_bytes() -> None:
    """OCPP 1.6 configures AuthorizationKey in hex, and sends the bytes."""
    code, line, told = spoken("password", "--hex", "CS-1", said=b"00FF 10\n")
    assert code == 0
    assert parse_phc(line.strip().rpartition(":")[2]).proves(b"\x00\xff\x10")
    assert "16 to 40 characters (A00.FR.205)" in told
    assert spoken("password", "--hex", "CS-1", said=b"nonsense\n")[0] == 2


@pytest.mark.parametrize("identity", ["", "CS:1", " CS-1", "#1", "CS\n1"])
def test_password_for_no_station(identity: str) -> None:
    """What could be no user name, or no line, is wrong usage (A00.FR.204); so is no password."""
    assert spoken("password", identity, said=b"geheim-0815-geheim\n")[:2] == (2, "")
    assert spoken("password", "CS-1", said=b"\n")[:2] == (2, "")


async def test_version_and_help() -> None:
    """--version and --help end with 0."""
    assert (await localctl("--version"))[:2] == (0, "localctl, version 0.1.0")
    code, out, _ = await localctl("--help")
    assert code == 0
    assert all(
        command in out
        for command in ("run", "check", "status", "publish", "unpublish", "password", "demo", "setup", "bundle")
    )


def test_the_daemon_loads_no_other_command() -> None:
    """What only `setup` and `bundle` need costs the daemon neither time nor memory."""
    code = "import sys, localctl.cli, localctl.daemon; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    only = {"tomlkit", "localctl.setup", "localctl.bundle", "localctl.commands.setup", "localctl.commands.bundle"}
    assert only & set(loaded) == set()


async def test_asking_needs_no_secret(tmp_path: Path) -> None:
    """A password that only systemd's service may read keeps nobody from asking the daemon."""
    daemon = Daemon(tmp_path, "ws://127.0.0.1:9/ocpp", {"csms": {"basic_auth_password_file": "credential:csms"}})
    for command in (("status",), ("unpublish", "0" * 32), ("publish", str(daemon.config_file))):
        code, _, told = await localctl(*command, "--config", str(daemon.config_file))
        assert (code, "credential" in told) == (3, False), told
    assert (await localctl("run", "--config", str(daemon.config_file)))[0] == 78


async def test_check_is_coloured_on_a_terminal_only(tmp_path: Path) -> None:
    """Verdicts have colours there, unless NO_COLOR asks for none; Ctrl-C ends it without a traceback."""
    daemon = Daemon(tmp_path, "ws://127.0.0.1:9/ocpp")
    command = ("check", "--offline", "--config", str(daemon.config_file))
    async with terminal(*command) as screen:
        await screen.shows("0 failures")
        assert "\x1b[32m" in screen.text
    async with terminal(*command, environ={"NO_COLOR": "1"}) as screen:
        await screen.shows("0 failures")
        assert "\x1b" not in screen.text
    with socket.create_server(("127.0.0.1", 0)) as silent:
        daemon.configure({"csms": {"url": f"wss://127.0.0.1:{silent.getsockname()[1]}"}})
        async with terminal("check", "--config", str(daemon.config_file)) as screen:
            await screen.shows("answers, after")
            screen.process.send_signal(signal.SIGINT)
            assert await screen.over() == 130
            await screen.shows("stopped before all was tried")
            assert "Traceback" not in screen.text
