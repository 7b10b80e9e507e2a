import os
from dataclasses import replace
from pathlib import Path, PurePath

import pytest

from localctl.serve.opening import open_published
from localctl.store.catalogue import PublishedFile
from tests.serve.conftest import no_descriptor_lost


@pytest.fixture
def stored(tmp_path: Path) -> PublishedFile:
    path = tmp_path / "md5" / "fw.bin"
    path.parent.mkdir()
    path.write_bytes(b"firmware")
    return PublishedFile("0" * 32, "fw.bin", PurePath(path), 8, "00" * 32, 0.0)


def test_what_was_stored_is_opened(stored: PublishedFile) -> None:
    """The bytes of the file, from its beginning."""
    with open_published(stored) as file:
        assert file.read() == b"firmware"


def test_a_link_in_place_of_the_file_is_not_followed(stored: PublishedFile, tmp_path: Path) -> None:
    """A symbolic link planted in the store leads nowhere."""
    Path(stored.path).rename(tmp_path / "elsewhere")
    Path(stored.path).symlink_to(tmp_path / "elsewhere")
    with no_descriptor_lost(), pytest.raises(OSError, match="symbolic links"):
        open_published(stored)


def test_a_link_in_place_of_the_folder_is_not_followed(stored: PublishedFile, tmp_path: Path) -> None:
    """Nor does one planted a level above."""
    folder = Path(stored.path).parent
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    with no_descriptor_lost(), pytest.raises(OSError, match="Not a directory"):
        open_published(stored)


def test_a_file_of_another_size_is_not_served(stored: PublishedFile) -> None:
    """A file that was cut or replaced is not what was published."""
    with no_descriptor_lost(), pytest.raises(ValueError, match="no regular file of 9 bytes"):
        open_published(replace(stored, size=9))


def test_a_pipe_does_not_hold_us(stored: PublishedFile) -> None:
    """Opening a planted FIFO neither waits for its writer nor serves it."""
    Path(stored.path).unlink()
    os.mkfifo(stored.path)
    with no_descriptor_lost(), pytest.raises(ValueError, match="no regular file"):
        open_published(stored)
