"""A wall clock of a daemon's own that a test sets while it runs, by libfaketime; its steady clock stays true."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

_LIBRARIES: Final = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib*/faketime/libfaketimeMT.so.1")


class WallClock:
    """What ``environ`` makes a program believe; it begins at ``said`` (UTC)."""

    def __init__(self, folder: Path, said: datetime) -> None:
        found = [each for pattern in _LIBRARIES for each in Path("/").glob(pattern.lstrip("/"))]
        if not found:
            pytest.skip("libfaketime is not installed")
        self._file = folder / "clock"
        self.environ = {
            "LD_PRELOAD": str(found[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        self.set(said)

    def set(self, said: datetime) -> None:
        """It jumps, and goes on from there."""
        self._write(f"{said.timestamp() - time.time():+.0f}")

    def set_right(self) -> None:
        """It jumps to the true time."""
        self._write("+0")

    def _write(self, offset: str) -> None:
        draft = self._file.with_suffix(".new")
        draft.write_text(offset, encoding="ascii")
        draft.replace(self._file)  # it is read at each look at the clock


def year(number: int) -> datetime:
    """Its second day."""
    return datetime(number, 1, 2, tzinfo=UTC)
