"""What another user may do, by modes and groups."""

import os
import pwd
import subprocess
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


def test_folders_behind_a_link(open_path: Path) -> None:
    """A link that all may follow into a folder that none may enter, as certbot's are, leads nowhere."""
    (open_path / "archive").mkdir()
    (open_path / "archive" / "cert1.pem").write_text("x")
    (open_path / "cert.pem").symlink_to(open_path / "archive" / "cert1.pem")
    assert may(SOMEBODY, open_path / "cert.pem", "read")
    (open_path / "archive").chmod(0o700)
    assert not may(SOMEBODY, open_path / "cert.pem", "read")


def test_groups_that_the_daemon_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of its process count, whatever the system's list of groups says; of one that does not run, the list."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with subprocess.Popen(["sleep", "60"], extra_groups=[4711] if os.getuid() == 0 else None) as daemon:
        found = service_user(daemon.pid)
        daemon.kill()
    assert found
    assert found.groups >= {os.getgid(), *([4711] if os.getuid() == 0 else os.getgroups())}
    monkeypatch.setattr("localctl.checking.access.SERVICE", "nobody")
    member = service_user(None)
    assert member
    assert pwd.getpwnam("nobody").pw_gid in member.groups


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
