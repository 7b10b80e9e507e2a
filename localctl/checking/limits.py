"""Whether the daemon may have as many connections open as the configuration lets in. Edge: the kernel is asked."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from localctl.checking.verdict import Check
from localctl.config import Config

_OF_ITS_OWN: Final = 64  # descriptors: listeners, loops, database, log, downloads
_SOFT: Final = re.compile(r"^Max open files\s+(\d+)", re.MULTILINE)


def of_process(config: Config, pid: int, proc: Path = Path("/proc")) -> Iterator[Check]:
    """What is said of the daemon's limit of descriptors; nothing where it may not be read, or there is none."""
    try:
        found = _SOFT.search((proc / str(pid) / "limits").read_text(encoding="ascii"))
    except OSError:
        return
    if found:
        yield enough(config, int(found[1]))


def enough(config: Config, limit: int) -> Check:
    """A station is two connections, a transfer one and its file one."""
    stations, transfers = config.stations.max_stations, config.publish.max_transfers
    needed = 2 * stations + 2 * transfers + _OF_ITS_OWN
    what = f"descriptors: the daemon may have {limit} open"
    if limit >= needed:
        return Check("ok", f"{what}, and needs at most about {needed}")
    asked = f"stations.max_stations = {stations} and publish.max_transfers = {transfers} need about {needed}"
    advice = f"Set LimitNOFILE={max(65536, needed)} in the unit (systemctl edit localctl), or lower one of the two."
    return Check("warn", f"{what}; {asked}", advice)
