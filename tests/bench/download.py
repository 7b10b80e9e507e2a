"""What fetching a firmware file costs, beside curl: ``python -m tests.bench.download [--rounds N]``.

The real daemon fetches a file from nginx, with both digests and fsync, from PublishFirmware to Published; the peer is
``curl -o f; md5sum f; sync f``. Both are pinned to one core, nginx to another, in turn; what is printed are medians of
ratios, never an absolute time.
"""

import argparse
import asyncio
import hashlib
import os
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

import psutil

from tests.actors.csms import Csms
from tests.actors.daemon import Daemon
from tests.actors.nginx import Nginx

LC: Final = "LC-0001"
SIZE: Final = 256 * 2**20
OUR_CORE, ORIGIN_CORE = 0, 1


async def _ours(csms: Csms, number: int, url: str, checksum: str) -> float:
    """Seconds from the request to Published; the file is withdrawn again."""
    began = time.monotonic()
    request = {"requestId": number, "location": url, "checksum": checksum}
    assert await csms.call(LC, "PublishFirmware", request) == {"status": "Accepted"}
    await csms.wait_status(number, "Published", timeout=300)
    took = time.monotonic() - began
    await csms.call(LC, "UnpublishFirmware", {"checksum": checksum})
    return took


async def _curl(folder: Path, url: str) -> float:
    """Seconds of curl, md5sum and sync."""
    target = folder / "curl.bin"
    began = time.monotonic()
    for command in (("curl", "-s", "-o", str(target), url), ("md5sum", str(target)), ("sync", str(target))):
        run = await asyncio.create_subprocess_exec(
            "taskset", "-c", str(OUR_CORE), *command, stdout=asyncio.subprocess.DEVNULL
        )
        assert await run.wait() == 0
    took = time.monotonic() - began
    target.unlink()
    return took


async def _fetch(folder: Path, rounds: int) -> None:
    body = random.Random(0).randbytes(2**20) * (SIZE // 2**20)
    www = folder / "www"
    www.mkdir()
    (www / "fw.bin").write_bytes(body)
    checksum = hashlib.md5(body, usedforsecurity=False).hexdigest()
    async with (
        Csms() as csms,
        Nginx(folder / "nginx", www) as nginx,
        Daemon(folder / "lc", csms.url, {"log": {"level": "warning"}}) as daemon,
    ):
        await daemon.ready()
        await csms.controller()
        for thread in psutil.Process(daemon.pid).threads():
            os.sched_setaffinity(thread.id, {OUR_CORE})
        os.sched_setaffinity(nginx.pid, {ORIGIN_CORE})
        os.sched_setaffinity(daemon.pid, {OUR_CORE})  # threads to come, too
        url, ratios = f"{nginx.url}/fw.bin", []
        for number in range(rounds):
            peer = await _curl(folder, url)
            ratios.append(peer / await _ours(csms, number, url, checksum))
        lag = await daemon.metric("localctl_event_loop_lag_seconds", loop="main")
        print(f"download  {statistics.median(ratios):.2f} of the speed of curl, md5sum and sync")
        print(f"          main loop late by at most {lag * 1000:.1f} ms")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_fetch(Path(folder), chosen.rounds))


if __name__ == "__main__":
    main()
