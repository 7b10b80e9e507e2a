"""The state directory: whose it is, what it lies on, what accidents left there; the rest is in tests/test_checks.py."""

import os
from pathlib import Path

import pytest

from localctl.checking.access import User
from localctl.checking.disk import kind_of, of_state, suits
from tests.checking.site import config, lines

MOUNTS = """\
21 1 254:0 / / rw,relatime - ext4 /dev/root rw
22 21 0:20 / /var rw - overlay overlay rw
23 22 0:21 / /var/lib/a\\040b rw shared:1 - vfat /dev/sda1 rw
24 22 0:22 / /var/lib/twice rw - ext4 /dev/sda2 rw
25 22 0:23 / /var/lib/twice rw - tmpfs tmpfs rw
"""
SOMEBODY = User("somebody", os.getuid() + 4711, frozenset())


@pytest.fixture(autouse=True)
def on_ext4(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the tests run on."""
    monkeypatch.setattr("localctl.checking.disk.kind_of", lambda _: "ext4")


def state(path: Path, user: User | None = None) -> list[str]:
    """What is found of it, its path left out."""
    found = of_state(config(controller={"state_dir": str(path)}, firmware={"min_free_space": 0}), user)
    return [line.replace("controller.state_dir: ", "").replace(f"{path}", "IT") for line in lines(found)]


def test_a_disk_of_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few names left is a warning; a file system without such a limit says 0 of 0."""
    assert [line.split()[0] for line in state(tmp_path)] == ["ok", "ok"]
    found = list(os.statvfs(tmp_path))
    for files, left, verdicts in ((10_000, 12, ["ok", "ok", "warn"]), (0, 0, ["ok", "ok"])):
        found[5], found[7] = files, left  # f_files, f_favail
        monkeypatch.setattr(os, "statvfs", lambda _, now=tuple(found): os.statvfs_result(now))
        assert [line.split()[0] for line in state(tmp_path)] == verdicts


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv", "ext4"),
        ("/var", "overlay"),
        ("/var/lib/a b/c", "vfat"),
        ("/var/lib/abc", "overlay"),
        ("/var/lib/twice/x", "tmpfs"),
    ],
)
def test_which_file_system_it_is_on(tmp_path: Path, path: str, kind: str) -> None:
    """That of the nearest mount above it, and of two in one place the later one."""
    (tmp_path / "mounts").write_text(MOUNTS)
    assert kind_of(Path(path), tmp_path / "mounts") == kind
    assert kind_of(Path(path), tmp_path / "nothing") == ""


def test_this_machine_s_own() -> None:
    """The kernel's own table can be read."""
    assert kind_of(Path("/proc/self")) == "proc"


@pytest.mark.parametrize("kind", ["tmpfs", "overlay", "vfat", "nfs4"])
def test_file_systems_that_do_not_suit(kind: str) -> None:
    """What forgets, is careless, or far away, is a warning with its reason."""
    assert lines(suits("controller.state_dir: /x", kind)) == [f"warn controller.state_dir: /x is on {kind}"]
    assert not lines(suits("controller.state_dir: /x", "ext4"))


def test_a_damaged_database_is_told(tmp_path: Path) -> None:
    """The daemon has made a new one; that the disk may fail is worth a look."""
    (tmp_path / "localctl.db.damaged-20260101T000000Z").write_bytes(b"")
    assert state(tmp_path)[2:] == [
        "warn localctl.db.damaged-20260101T000000Z was found damaged, and the database made anew"
    ]


def test_what_root_has_left_behind(tmp_path: Path) -> None:
    """Where root checks, the daemon's user counts: a folder of root's, or files in it, keep it from starting."""
    [line] = state(tmp_path, SOMEBODY)
    assert line == "FAIL IT: somebody, as whom the daemon runs, may not write to it"


def test_files_of_roots_in_a_folder_of_the_daemon_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon that was once run by root has left files that its own user may not write to."""
    monkeypatch.setattr("localctl.checking.disk.may", lambda _, path, __: path.name != "localctl.db")
    (tmp_path / "localctl.db").write_bytes(b"")
    (tmp_path / "lock").write_bytes(b"")
    assert state(tmp_path, SOMEBODY)[2:] == ["FAIL localctl.db cannot be written to by somebody"]
