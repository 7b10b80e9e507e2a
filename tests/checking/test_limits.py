"""The daemon's limit of descriptors."""

import os
import resource
from pathlib import Path

from localctl.checking.limits import enough, of_process
from tests.checking.site import config, lines


def test_enough_for_all_or_not() -> None:
    """Two connections a station, a connection and a file a transfer, and some of its own."""
    found = config(stations={"max_stations": 1000}, publish={"max_transfers": 500})
    assert lines([enough(found, 3064)]) == [
        "ok descriptors: the daemon may have 3064 open, and needs at most about 3064"
    ]
    scarce = enough(found, 1024)
    assert scarce.verdict == "warn"
    assert "LimitNOFILE=65536" in scarce.advice
    assert "stations.max_stations = 1000" in scarce.what


def test_a_process_is_looked_at(tmp_path: Path) -> None:
    """The kernel tells the limit that is in force; nothing is said where it tells none."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    [line] = lines(of_process(config(), os.getpid()))
    assert f"may have {soft} open" in line
    assert not lines(of_process(config(), 1, tmp_path))
