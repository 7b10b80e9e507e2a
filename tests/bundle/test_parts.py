"""The parts of an archive, as this machine has them."""

import os
from pathlib import Path

import pytest

from localctl.bundle import parts
from localctl.bundle.parts import Missing
from localctl.config import Config, parse


def config(folder: Path) -> Config:
    """A configuration whose state is below ``folder``."""
    controller = {"identity": "LC-7", "state_dir": str(folder / "state")}
    tree = {"controller": controller, "csms": {"url": "ws://csms"}, "admin": {"listen": "127.0.0.1:9"}}
    return parse(tree, "", None)


def program(folder: Path, name: str, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a program of that name where programs are looked for, and none else but the shell's."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/bin")


def test_the_log_is_the_journal_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The unit's last lines, in no language but English."""
    program(tmp_path, "journalctl", 'echo "$LC_ALL $*"', monkeypatch)
    assert parts.log() == "C -u localctl -n 5000 --no-pager --output=short-iso\n"


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo not for you >&2; exit 1", "not for you"),
        ("echo '-- No entries --'", "no entry of localctl that this user may read"),
        ("exit 0", "no entry of localctl that this user may read"),
    ],
)
def test_a_journal_that_tells_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, why: str) -> None:
    """What it says instead is why."""
    program(tmp_path, "journalctl", script, monkeypatch)
    with pytest.raises(Missing, match=why):
        parts.log()


def test_a_program_that_is_not_there_or_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named, and nobody waits for it for ever."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Missing, match="there is no journalctl here"):
        parts.log()
    with pytest.raises(Missing, match="there is no systemctl here"):
        parts.service()
    program(tmp_path, "systemctl", "exec sleep 1000", monkeypatch)
    monkeypatch.setattr(parts, "_TIMEOUT_SECONDS", 0.1)
    with pytest.raises(Missing, match="did not end within"):
        parts.service()


def test_systemd_says_of_both_units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with the exit status of a unit that does not run; nothing is a reason."""
    program(tmp_path, "systemctl", 'echo "$*"; exit 3', monkeypatch)
    assert parts.service().endswith("localctl.service localctl.socket\n")
    program(tmp_path, "systemctl", "echo no bus >&2; exit 1", monkeypatch)
    with pytest.raises(Missing, match="no bus"):
        parts.service()


def test_versions_name_all_that_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that localctl stands on, also on a system without systemd."""
    told = parts.versions()
    for part in ("localctl 0.1.0", "aiohttp ", "Python: 3.", "OpenSSL: ", "kernel: Linux", "MemTotal"):
        assert part in told
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "there is no systemctl here" in parts.versions()


def test_the_state_is_listed_and_not_opened(tmp_path: Path) -> None:
    """Names and sizes, folders in it too; a link leads nowhere."""
    state = tmp_path / "state"
    with pytest.raises(FileNotFoundError):
        parts.state(config(tmp_path))
    (state / "firmware").mkdir(parents=True)
    (state / "firmware" / "fw.bin").write_bytes(b"x" * 4711)
    os.mkfifo(state / "fifo")  # opening it would wait for ever
    (state / "link").symlink_to("/nowhere")
    told = parts.state(config(tmp_path))
    assert [line.split()[-1] for line in told.splitlines()[2:]] == ["fifo", "firmware", "firmware/fw.bin", "link"]
    assert " 4711 " in told
    assert "bytes free of" in told


def test_listeners_that_are_asked_for_and_that_are_bound(tmp_path: Path) -> None:
    """The second only where a daemon has told them."""
    assert "configured  admin.listen 127.0.0.1:9" in parts.listeners(config(tmp_path))
    assert "bound: not known: " in parts.listeners(config(tmp_path))
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "listeners.json").write_text('{"admin": "127.0.0.1:7"}')
    assert "bound       admin 127.0.0.1:7" in parts.listeners(config(tmp_path))
    (tmp_path / "state" / "listeners.json").write_text('["nonsense"]')
    assert "bound: not known: " in parts.listeners(config(tmp_path))


def test_the_check_is_the_command_s(tmp_path: Path) -> None:
    """Its lines and its exit status, of a configuration that is none as well."""
    told = parts.checked(tmp_path / "missing.toml")
    assert "missing.toml: cannot be read" in told
    assert told.endswith("exit status 78\n")
