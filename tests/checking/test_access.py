"""What another user may do, by modes and groups."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from localctl.checking.access import User, may, service_user

SOMEBODY = User("somebody", os.getuid() + 4711, frozenset({os.getgid() + 4711}))


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A folder that everybody may enter."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_bits_of_the_mode(open_path: Path) -> None:
    """A user's own bits count, then the group's, then the others'; root has all."""
    file = open_path / "file"
    file.write_text("x")
    member = User("member", SOMEBODY.uid, frozenset({file.stat().st_gid}))
    file.chmod(0o640)
    assert (may(member, file, "read"), may(member, file, "write")) == (True, False)
    assert not may(SOMEBODY, file, "read")
    assert may(User("root", 0, frozenset()), file, "write")
    file.chmod(0o604)
    assert not may(member, file, "read")
    assert may(SOMEBODY, file, "read")


def test_folders_on_the_way(tmp_path: Path) -> None:
    """A file that all may read is of no use in a folder that none may enter."""
    file = tmp_path / "file"
    file.write_text("x")
    file.chmod(0o644)
    tmp_path.chmod(0o700)
    assert not may(SOMEBODY, file, "read")
    with pytest.raises(FileNotFoundError):
        may(User("root", 0, frozenset()), tmp_path / "nothing", "read")


def test_whose_the_daemon_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user of its process; nobody's where that is not there, and nobody asks but root."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    found = service_user(os.getpid())
    assert found
    assert found.uid == os.getuid()
    assert service_user(2**22 + 1) is None
    monkeypatch.setattr("localctl.checking.access.SERVICE", "no-such-user-here")
    assert service_user(None) is None
    monkeypatch.setattr("localctl.checking.access.SERVICE", "nobody")
    assert service_user(None) is not None
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert service_user(os.getpid()) is None
