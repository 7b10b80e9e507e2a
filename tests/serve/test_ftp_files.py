import stat
from pathlib import PurePath

import pytest

from localctl.serve.ftp_files import PublishedFiles
from localctl.store.catalogue import Catalogue, PublishedFile

MD5 = "0123456789abcdef0123456789abcdef"
FILE = PublishedFile(MD5, "fw.bin", PurePath("/nowhere/fw.bin"), 10, "00" * 32, 5.0)
PATH = f"/firmware/{MD5}/fw.bin"


class Files(PublishedFiles):
    """The file system of one server."""

    catalogue = Catalogue(1)


Files.catalogue.add(FILE)


@pytest.fixture
def files() -> Files:
    return Files("/", None)


def test_the_tree_is_the_catalogue(files: Files) -> None:
    """Three levels of folders and a file, none of them on a disk."""
    assert files.listdir("/") == ["firmware"]
    assert files.listdir("/firmware") == [MD5]
    assert files.listdir(f"/firmware/{MD5}") == ["fw.bin"]
    assert [files.isdir(path) for path in ("/", "/firmware", f"/firmware/{MD5}", PATH, "/etc")] == [True] * 3 + [
        False
    ] * 2
    assert files.isfile(PATH)
    assert not files.isfile("/firmware")
    assert files.lexists(PATH)
    assert not files.lexists("/etc")


def test_a_file_looks_as_it_was_published(files: Files) -> None:
    """Size and time are the catalogue's, and nobody may write."""
    assert (files.getsize(PATH), files.getmtime(PATH)) == (10, 5.0)
    assert stat.filemode(files.stat(PATH).st_mode) == "-r--r--r--"
    assert stat.filemode(files.lstat("/firmware").st_mode) == "dr-xr-xr-x"
    assert files.stat(PATH).st_ino == files.stat(PATH.replace(MD5, MD5.upper())).st_ino


def test_paths_stay_inside(files: Files) -> None:
    """Dots are resolved before anything is looked up, and lead no further than the root."""
    files.chdir("/firmware")
    assert files.ftp2fs(MD5) == f"/firmware/{MD5}"
    assert files.ftp2fs("../../../etc/passwd") == "/etc/passwd"
    assert files.validpath("/etc/passwd")
    assert not files.lexists("/etc/passwd")
    assert files.fs2ftp(PATH) == files.realpath(PATH) == PATH


def test_what_is_not_there_is_an_error(files: Files) -> None:
    """Listing, entering or measuring anything else: an OSError, which pyftpdlib makes 550 of."""
    for ask in (files.listdir, files.chdir, files.stat, files.getsize):
        with pytest.raises(OSError, match=r"No such|Not a"):
            ask("/etc")
    with pytest.raises(NotADirectoryError):
        files.chdir(PATH)


def test_nothing_is_opened_here(files: Files) -> None:
    """Opening is lending, and RETR does that."""
    with pytest.raises(PermissionError):
        files.open(PATH, "rb")
