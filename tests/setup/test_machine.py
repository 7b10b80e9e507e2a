"""What is found on a machine."""

import os
import socket
import tomllib
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from localctl.checking.holders import Handed
from localctl.errors import ConfigurationError, SetupRefused
from localctl.setup.machine import EXAMPLE, Found, example, existing, place, service, writable

ROOT = Path(__file__).parents[2]


def test_the_example_is_the_documented_one() -> None:
    """There is one source, whether localctl is installed, with the example beside its code, or worked on."""
    assert example() == (ROOT / EXAMPLE).read_text(encoding="utf-8")
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]
    assert build["targets"]["wheel"]["force-include"] == {EXAMPLE: f"localctl/{EXAMPLE}"}


def test_what_is_there_is_read(tmp_path: Path) -> None:
    """A file's text and meaning; none where there is no file, an error in everybody's words where it is no TOML."""
    path = tmp_path / "config.toml"
    assert existing(path) == Found(None, {})
    path.write_text("[log]\n")
    assert existing(path) == Found("[log]\n", {"log": {}})
    for broken in (b"[log", b"\xff", b"a = [" + b"[" * 5000):
        path.write_bytes(broken)
        with pytest.raises(ConfigurationError) as caught:
            existing(path)
        assert caught.value.faults[0].startswith(f"{path}: ")
    with pytest.raises(SetupRefused, match="as root"):
        existing(tmp_path)
    writable(tmp_path / ("x" * 300))  # what cannot be looked at is no traceback
    with pytest.raises(SetupRefused, match="cannot be read: File name too long"):
        existing(tmp_path / ("x" * 300))


def test_where_it_cannot_be_written_is_said_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder in the place of the file, a file in the place of a folder, a folder that is not for this user."""
    writable(tmp_path / "etc" / "localctl" / "config.toml")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    for path, words in ((tmp_path, "is a folder"), (tmp_path / "file" / "c.toml", "is no folder")):
        with pytest.raises(SetupRefused, match=words):
            writable(path)
    real = os.statvfs(tmp_path)
    shut = os.statvfs_result((*tuple(real)[:8], os.ST_RDONLY, *tuple(real)[9:]))
    with monkeypatch.context() as patched:
        patched.setattr(os, "statvfs", lambda _: shut)
        with pytest.raises(SetupRefused, match="is on a disk that is shut for writing"):
            writable(tmp_path / "etc" / "config.toml")
    monkeypatch.setattr(os, "access", lambda path, _: path != tmp_path)
    with pytest.raises(SetupRefused, match=f"{tmp_path} may not be written to by this user: run this as root"):
        writable(tmp_path / "etc" / "config.toml")


def test_the_place_is_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host's own name, without its domain; what only the example says is not there."""
    monkeypatch.setattr(socket, "gethostname", lambda: "gw-7.site.example")
    found = place(Found(None, {"controller": {"identity": "LC-0001"}, "csms": {"url": "ws://mine"}}))
    assert (found.hostname, found.tree) == ("gw-7", {"controller": {}, "csms": {"url": "ws://mine"}})
    monkeypatch.setattr(socket, "gethostname", lambda: "localhost")
    assert place(Found(None, {})).hostname == ""


@pytest.mark.parametrize(("status", "active"), [(0, True), (3, False)])
def test_systemd_says_whether_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, *, active: bool
) -> None:
    """Asked of the service alone, and only where systemd runs the machine; where it is not there, nothing is active."""
    (tmp_path / "systemctl").write_text(
        f'#!/bin/sh\n[ "$*" = "is-active --quiet localctl.service" ] && exit {status}\n'
    )
    (tmp_path / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    assert service(tmp_path).active == active
    monkeypatch.setenv("PATH", "/nowhere")
    assert not service(tmp_path).active


def test_a_machine_without_systemd_runs_nothing_of_it(tmp_path: Path) -> None:
    """In a container nothing is active, whatever is installed."""
    found = service(tmp_path / "nowhere")
    assert (found.booted, found.active) == (False, False)


def test_low_ports_are_offered_where_nobody_has_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The socket unit is installed, and no other program listens there; what systemd holds for us is nobody's."""
    from localctl.setup import machine

    def offered() -> bool:
        return place(Found(None, {})).low_ports

    monkeypatch.setattr(machine, "_UNITS", (str(tmp_path),))
    monkeypatch.setattr(machine, "processes_on", lambda port: ["nginx (process 812)"] * (port == 80))
    monkeypatch.setattr(machine, "handed_over", lambda: Handed(frozenset({80, 21}), held=True))
    assert not offered()
    (tmp_path / "localctl.socket").touch()
    assert offered()
    for handed in (Handed(), Handed(frozenset({80, 21}), held=False)):  # enabled is not yet held
        monkeypatch.setattr(machine, "handed_over", partial(replace, handed))
        assert not offered()
