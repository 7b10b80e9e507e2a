"""What fetching a firmware file costs, beside curl: ``python -m tests.bench.download [--rounds N]``.

The real daemon fetches a file from nginx, with both digests and fsync, from PublishFirmware to Published; the peer is
``curl -o f; md5sum f``, which does without the second digest and without fsync. Both are on one core, nginx on another.
"""

import argparse
import asyncio
import hashlib
import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.actors.csms import Csms
from tests.actors.daemon import Daemon
from tests.actors.nginx import Nginx
from tests.bench.measure import CLIENT_CORE, ON_SERVER_CORE, SERVER_CORE, late, make_file, pin

LC: Final = "LC-0001"


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
    """Seconds of curl and md5sum."""
    target = folder / "curl.bin"
    began = time.monotonic()
    for command in (("curl", "-s", "-o", str(target), url), ("md5sum", str(target))):
        run = await asyncio.create_subprocess_exec(*ON_SERVER_CORE, *command, stdout=asyncio.subprocess.DEVNULL)
        assert await run.wait() == 0
    took = time.monotonic() - began
    target.unlink()
    return took


def _share_of_sha256(content: bytes) -> float:
    """How long SHA-256 takes on this core, as a multiple of MD5: far above 1 where it has no instructions for it."""
    took = []
    for name in ("sha256", "md5"):
        began = time.process_time()
        hashlib.new(name, content, usedforsecurity=False)
        took.append(time.process_time() - began)
    return took[0] / took[1]


async def run(rounds: int) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        content = make_file(folder / "www" / "fw.bin")
        checksum = hashlib.md5(content, usedforsecurity=False).hexdigest()
        async with (
            Csms() as csms,
            Nginx(folder / "nginx", folder / "www") as nginx,
            Daemon(folder / "lc", csms.url, {"log": {"level": "warning"}}) as daemon,
        ):
            await daemon.ready()
            await csms.controller()
            pin(daemon.pid, SERVER_CORE)
            pin(nginx.pid, CLIENT_CORE)
            url, ratios = f"{nginx.url}/fw.bin", []
            for number in range(rounds):
                peer = await _curl(folder, url)
                ratios.append(peer / await _ours(csms, number, url, checksum))
            main = (await daemon.status())["loops"]["main"]
        print(f"download  {statistics.median(ratios):.2f} of the speed of curl and md5sum")
        print(f"          SHA-256 takes {_share_of_sha256(content):.1f} times as long as MD5 on this core")
        print(f"          {late(main)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    asyncio.run(run(parser.parse_args().rounds))
