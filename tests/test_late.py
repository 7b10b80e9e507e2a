"""What is loaded behind READY."""

import logging
import sys
from unittest.mock import patch

import pytest

from localctl import late


async def test_all_of_it() -> None:
    """Each module is there afterwards."""
    await late.load()
    assert set(late.MODULES) <= set(sys.modules)


async def test_without_descriptors(caplog: pytest.LogCaptureFixture) -> None:
    """Row 40: it is tried again, and said; a module that is missing is no want of descriptors."""
    faults: list[Exception | None] = [OSError(24, "Too many open files"), *[None] * len(late.MODULES)]
    with patch.object(late, "import_module", side_effect=faults) as loading, patch.object(late, "PAUSE_SECONDS", 0):
        await late.load()
    assert loading.call_count == len(faults)
    assert caplog.record_tuples == [
        (
            "localctl.late",
            logging.WARNING,
            "what serves firmware cannot be loaded yet: Too many open files; raise LimitNOFILE",
        )
    ]
    with patch.object(late, "import_module", side_effect=ModuleNotFoundError), pytest.raises(ModuleNotFoundError):
        await late.load()
