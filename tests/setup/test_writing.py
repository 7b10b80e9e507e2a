"""Files whole or not at all, for localctl's user and root alone."""

import grp
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from localctl.errors import SetupRefused
from localctl.setup.writing import keep_copy, write


def mode(path: Path) -> int:
    """Its permissions."""
    return path.stat().st_mode & 0o777


def test_a_new_file_in_a_new_folder(tmp_path: Path) -> None:
    """Others can read neither."""
    path = tmp_path / "etc" / "config.toml"
    write(path, "gehéim\n")
    assert path.read_text(encoding="utf-8") == "gehéim\n"
    assert (mode(path), mode(path.parent)) == (0o640, 0o750)
    assert list(path.parent.iterdir()) == [path]


def test_what_was_there_is_replaced_whole(tmp_path: Path) -> None:
    """Whoever has the old file open goes on reading it; a link stays one."""
    path, link = tmp_path / "real.toml", tmp_path / "config.toml"
    path.write_text("old")
    link.symlink_to(path)
    with path.open() as old:
        write(link, "new")
        assert old.read() == "old"
    assert (path.read_text(), link.is_symlink(), mode(path)) == ("new", True, 0o640)


def test_a_failure_leaves_the_old_file_and_no_draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fails at the last moment costs nothing."""
    path = tmp_path / "config.toml"
    path.write_text("old")

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(SetupRefused, match="cannot be written: No space left on device"):
        write(path, "new")
    assert (path.read_text(), list(tmp_path.iterdir())) == ("old", [path])


def test_root_gives_it_to_localctl_s_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is that group; else it keeps the one that it has."""
    given: list[int] = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "fchown", lambda _, __, group: given.append(group))
    monkeypatch.setattr(os, "chown", lambda _, __, group: given.append(group))
    monkeypatch.setattr(grp, "getgrnam", {"localctl": SimpleNamespace(gr_gid=4242)}.__getitem__)
    write(tmp_path / "etc" / "config.toml", "")
    assert given == [4242, 4242]
    given.clear()
    monkeypatch.setattr(grp, "getgrnam", {}.__getitem__)
    write(tmp_path / "etc" / "config.toml", "")
    assert given == [(tmp_path / "etc" / "config.toml").stat().st_gid]


def test_a_copy_has_the_same_mode(tmp_path: Path) -> None:
    """And takes the place of no other."""
    path = tmp_path / "config.toml"
    path.write_text("old")
    path.chmod(0o600)
    copy = keep_copy(path, "20260131-120000")
    assert (copy.name, copy.read_text(), mode(copy)) == ("config.toml.bak-20260131-120000", "old", 0o600)
    with pytest.raises(SetupRefused, match="File exists"):
        keep_copy(path, "20260131-120000")
