"""One daemon a state directory."""

from pathlib import Path

import pytest

from localctl.errors import StateError
from localctl.lock import lock


def test_the_second_is_refused(tmp_path: Path) -> None:
    """As long as the first holds it; the folder is made."""
    folder = tmp_path / "a" / "b"
    with lock(folder), pytest.raises(StateError, match="another localctl is running"):
        lock(folder)
    lock(folder).close()


def test_what_is_no_folder_is_told(tmp_path: Path) -> None:
    """With the key that names it."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match=r"File exists; controller\.state_dir must be a folder"):
        lock(tmp_path / "file")
