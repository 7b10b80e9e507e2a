"""Where firmware lies."""

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import pytest

from localctl.errors import StorageError
from localctl.store.files import FirmwareFiles, sync_folder
from tests.store.samples import BODY, CHECKSUM
from tests.store.traced import calls

OTHER = "0" * 32


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    """A folder that is not there yet."""
    return tmp_path / "var" / "state"


@pytest.fixture
def files(state_dir: Path) -> FirmwareFiles:
    """Prepared."""
    made = FirmwareFiles(state_dir)
    made.prepare()
    return made


def listing(files: FirmwareFiles) -> set[str]:
    """Everything below the state directory that is no folder of ours."""
    found = {str(each.relative_to(files.root)) for each in files.root.rglob("*")}
    return found - {"firmware", "partial"}


def collected(files: FirmwareFiles, publication_id: int = 1, body: bytes = BODY) -> Path:
    """A whole partial file."""
    path = files.partial(publication_id)
    path.write_bytes(body)
    return path


def test_preparing_makes_the_folders_once(state_dir: Path) -> None:
    """Parents too, 0755; a second start finds them and leaves them."""
    files = FirmwareFiles(state_dir)
    files.prepare()
    collected(files)
    files.prepare()
    assert {each.name for each in state_dir.iterdir()} == {"firmware", "partial"}
    assert {stat.S_IMODE(each.stat().st_mode) for each in state_dir.iterdir()} == {0o755}
    assert files.partial(1).read_bytes() == BODY


def test_preparing_over_a_file_is_a_storage_error(tmp_path: Path) -> None:
    """The error names the path."""
    (tmp_path / "firmware").touch()
    with pytest.raises(StorageError, match=f"write of {tmp_path}/firmware failed"):
        FirmwareFiles(tmp_path).prepare()


def test_publishing_gives_the_name(files: FirmwareFiles) -> None:
    """From partial/ID to firmware/MD5/NAME, the bytes as they were, readable for the servers."""
    collected(files)
    path = files.publish(1, CHECKSUM, "fw.bin")
    assert path == files.published(CHECKSUM, "fw.bin") == files.root / "firmware" / CHECKSUM / "fw.bin"
    assert path.read_bytes() == BODY
    assert listing(files) == {f"firmware/{CHECKSUM}", f"firmware/{CHECKSUM}/fw.bin"}


def test_publishing_again_changes_nothing(files: FirmwareFiles) -> None:
    """Row 3: after a kill between the rename and the database it is asked for once more."""
    collected(files)
    first = files.publish(1, CHECKSUM, "fw.bin").stat()
    assert files.publish(1, CHECKSUM, "fw.bin").stat() == first


def test_publishing_replaces_what_a_kill_left(files: FirmwareFiles) -> None:
    """An older file under the same name makes room."""
    collected(files, 1, b"old")
    files.publish(1, CHECKSUM, "fw.bin")
    collected(files, 2)
    assert files.publish(2, CHECKSUM, "fw.bin").read_bytes() == BODY


def test_publishing_what_is_gone_is_a_storage_error(files: FirmwareFiles) -> None:
    """L03.FR.08: neither partial nor published: never taken for a success."""
    with pytest.raises(StorageError, match="not there any more") as caught:
        files.publish(1, CHECKSUM, "fw.bin")
    assert caught.value.operation == "rename"


def test_publishing_follows_no_planted_link(files: FirmwareFiles, tmp_path: Path) -> None:
    """Row 38: a link in place of the file's folder is refused, and nothing arrives where it points to."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (files.root / "firmware" / CHECKSUM).symlink_to(elsewhere)
    collected(files)
    with pytest.raises(StorageError) as caught:
        files.publish(1, CHECKSUM, "fw.bin")
    assert caught.value.errno == errno.ELOOP
    assert list(elsewhere.iterdir()) == []
    assert files.partial(1).read_bytes() == BODY


def test_publishing_over_a_planted_link_replaces_the_link(files: FirmwareFiles, tmp_path: Path) -> None:
    """Row 38: a link in place of the file gives way; what it points to is untouched."""
    (tmp_path / "victim").write_bytes(b"victim")
    collected(files)
    target = files.published(CHECKSUM, "fw.bin")
    target.parent.mkdir()
    target.symlink_to(tmp_path / "victim")
    assert not files.publish(1, CHECKSUM, "fw.bin").is_symlink()
    assert (tmp_path / "victim").read_bytes() == b"victim"


@pytest.mark.parametrize("blocked", ["file", "folder"])
def test_publishing_what_is_blocked_is_a_storage_error(files: FirmwareFiles, blocked: str) -> None:
    """TC_L_20: something in the way fails it; the partial file stays where it is."""
    collected(files)
    folder = files.root / "firmware" / CHECKSUM
    if blocked == "file":
        folder.touch()
    else:
        (folder / "fw.bin" / "x").mkdir(parents=True)
    with pytest.raises(StorageError):
        files.publish(1, CHECKSUM, "fw.bin")
    assert files.partial(1).read_bytes() == BODY


def test_what_lies_there_is_told(files: FirmwareFiles) -> None:
    """A regular file of that size, and nothing else."""
    assert not files.holds(CHECKSUM, "fw.bin")
    collected(files)
    path = files.publish(1, CHECKSUM, "fw.bin")
    assert files.holds(CHECKSUM, "fw.bin")
    assert files.holds(CHECKSUM, "fw.bin", len(BODY))
    assert not files.holds(CHECKSUM, "fw.bin", len(BODY) + 1)
    assert not files.holds(CHECKSUM, "other.bin")
    assert not files.holds(f"{CHECKSUM}/fw.bin", "x")
    path.rename(path.parent / "real")
    path.symlink_to("real")
    assert not files.holds(CHECKSUM, "fw.bin")


def test_a_file_in_a_linked_folder_is_none(files: FirmwareFiles) -> None:
    """Row 38: nor is its folder followed, even a loop."""
    collected(files)
    files.publish(1, CHECKSUM, "fw.bin")
    (files.root / "firmware" / OTHER).symlink_to(CHECKSUM)
    assert not files.holds(OTHER, "fw.bin")
    (files.root / "firmware" / OTHER).unlink()
    (files.root / "firmware" / OTHER).symlink_to(OTHER)
    assert not files.holds(OTHER, "fw.bin")


def test_removing_takes_the_folder_away(files: FirmwareFiles) -> None:
    """L04.FR.01: the file and its folder; again, or where nothing was, does no harm."""
    collected(files)
    files.publish(1, CHECKSUM, "fw.bin")
    for _ in range(2):
        files.remove(CHECKSUM)
        assert listing(files) == set()


def test_removing_follows_no_planted_link(files: FirmwareFiles, tmp_path: Path) -> None:
    """Row 38: links go, what they point to stays."""
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "x").touch()
    (files.root / "firmware" / CHECKSUM).mkdir()
    files.published(CHECKSUM, "fw.bin").symlink_to(tmp_path / "victim")
    (files.root / "firmware" / OTHER).symlink_to(tmp_path / "victim")
    files.partial(1).symlink_to(tmp_path / "victim")
    files.remove(CHECKSUM)
    files.remove(OTHER)
    files.discard(1)
    assert listing(files) == set()
    assert (tmp_path / "victim" / "x").exists()


def test_a_download_goes_on_while_its_file_is_removed(files: FirmwareFiles) -> None:
    """Whoever has it open reads it to its end."""
    collected(files)
    with files.publish(1, CHECKSUM, "fw.bin").open("rb") as reading:
        files.remove(CHECKSUM)
        assert reading.read() == BODY


@pytest.mark.parametrize(
    "make", [Path.touch, Path.mkdir, os.mkfifo, lambda path: path.symlink_to("nowhere"), lambda _: None]
)
def test_discarding_takes_whatever_is_there(files: FirmwareFiles, make: Callable[[Path], None]) -> None:
    """A partial file, something odd in its place, or nothing."""
    make(files.partial(1))
    files.discard(1)
    assert listing(files) == set()


def test_sweeping_leaves_what_is_wanted(files: FirmwareFiles) -> None:
    """Rows 1 to 4: files of checksums that are wanted and partial files of publications under way stay."""
    for each in (1, 2):
        collected(files, each)
    files.publish(1, CHECKSUM, "fw.bin")
    assert files.sweep([CHECKSUM], [2, 3]) == 0
    assert listing(files) == {f"firmware/{CHECKSUM}", f"firmware/{CHECKSUM}/fw.bin", "partial/2"}


def test_sweeping_removes_what_a_kill_left(files: FirmwareFiles, tmp_path: Path) -> None:
    """Rows 3, 4 and 38: partial files and published ones of nothing, empty folders, links; never through a link."""
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "x").touch()
    for each in (1, 22):
        collected(files, each)
    files.publish(1, CHECKSUM, "fw.bin")
    (files.root / "firmware" / OTHER).mkdir()
    (files.root / "firmware" / ("1" * 32)).symlink_to(tmp_path / "victim")
    files.partial(333).symlink_to(tmp_path / "victim")
    assert files.sweep([], [2]) == 5
    assert listing(files) == set()
    assert (tmp_path / "victim" / "x").exists()
    assert files.sweep([], []) == 0


def test_sweeping_leaves_what_bears_no_name_of_ours(files: FirmwareFiles) -> None:
    """A file system's lost+found, or what somebody put there by hand, is not ours to remove."""
    foreign = {"firmware/lost+found", "firmware/README", "partial/lost+found", "partial/usb.img"}
    for each in foreign:
        (files.root / each).mkdir()
    assert files.sweep([], []) == 0
    assert listing(files) == foreign


def test_space_is_that_of_the_file_system(files: FirmwareFiles) -> None:
    """Free bytes for us, of all there are."""
    free, size = files.space()
    assert 0 < free < size


@pytest.mark.parametrize(
    ("operation", "work"),
    [
        ("read", lambda files: files.space()),
        ("read", lambda files: files.sweep([], [])),
        ("fsync", lambda files: files.remove(CHECKSUM)),
        ("write", lambda files: files.publish(1, CHECKSUM, "fw.bin")),
        ("fsync", lambda files: sync_folder(files.root)),
    ],
)
def test_every_failure_is_a_storage_error(
    operation: str, work: Callable[[FirmwareFiles], None], tmp_path: Path
) -> None:
    """Each names its operation and its path, here where the folders have gone."""
    with pytest.raises(StorageError) as caught:
        work(FirmwareFiles(tmp_path / "gone"))
    assert (caught.value.operation, caught.value.errno) == (operation, errno.ENOENT)
    assert str(tmp_path / "gone") in caught.value.path


def in_order(done: list[str], *expected: str) -> bool:
    """Whether ``expected`` happened one after the other, whatever came between."""
    left = iter(done)
    return all(each in left for each in expected)


def test_nothing_is_said_before_it_is_on_the_disk(tmp_path: Path) -> None:
    """Rows 2 to 4: a power cut at any instant finds the file in one place, and finds done what was said to be done.

    The bytes before the name, the new folder before what lies in it, the names before the step is over, the record
    before the loan ends and the unlink after it.
    """
    done = calls(tmp_path / "state")
    folder = f"firmware/{CHECKSUM}"
    wal = "fdatasync localctl.db-wal"
    assert in_order(done, "write partial/1", "fsync partial/1", "fsync partial", "said downloading")
    assert in_order(done, "said downloading", wal, "said verified")
    assert in_order(done, "said verified", f"mkdir {folder}", "fsync firmware", f"rename partial/1 {folder}/fw.bin")
    renamed = done.index(f"rename partial/1 {folder}/fw.bin")
    assert set(done[renamed : done.index("said renamed")]) >= {f"fsync {folder}", "fsync partial"}
    assert in_order(done, "said renamed", wal, "said published")
    assert in_order(done, "said published", wal, f"rmdir {folder}", "fsync firmware", "said withdrawn")
    assert not [each for each in done[: done.index("said published")] if each.startswith("rmdir")]


def test_a_read_only_file_system_is_seen_without_a_write(tmp_path: Path) -> None:
    """Row 6: by its flag; one that can be written to passes, and so does the try of it, which leaves nothing."""
    files = FirmwareFiles(tmp_path)
    files.require_writable()
    files.probe()
    assert list(tmp_path.iterdir()) == []
    confined = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*confined, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here without being root")
    program = f"""
from localctl.errors import StorageError
from localctl.store.files import FirmwareFiles
from pathlib import Path
for look in (FirmwareFiles.require_writable, FirmwareFiles.probe):
    try:
        look(FirmwareFiles(Path({str(tmp_path)!r})))
    except StorageError as fault:
        print(fault.operation, fault.errno)
"""
    mounted = 'mount -t tmpfs -o ro tmpfs "$1" && exec "$2" -c "$3"'
    command = [*confined, "sh", "-c", mounted, "sh", str(tmp_path), sys.executable, program]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert run.stdout.splitlines() == [f"write {errno.EROFS}"] * 2, run.stderr


def test_a_disk_that_fails_the_try_is_told(tmp_path: Path) -> None:
    """Row 6: whichever call of it fails; a fsync that fails is no success."""
    for call in ("open", "write", "fsync"):
        with patch.object(os, call, side_effect=OSError(errno.EIO, "Input/output error")):
            with pytest.raises(StorageError) as caught:
                FirmwareFiles(tmp_path).probe()
            assert caught.value.operation == "write"
