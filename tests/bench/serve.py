"""What serving a firmware file costs, beside nginx: ``python -m tests.bench.serve [--rounds N] [--seconds S]``.

The real daemon and nginx serve the same file; each server is pinned to one core, the clients to another. Rounds are
interleaved, so that a noisy moment hits both; what is printed are medians of ratios, never an absolute time.
"""

import argparse
import asyncio
import hashlib
import json
import os
import random
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import psutil

from tests.actors.csms import Csms
from tests.actors.daemon import Daemon
from tests.actors.nginx import Nginx

LC: Final = "LC-0001"
SIZE: Final = 256 * 2**20
SERVER_CORE, CLIENT_CORE = 0, 1


@dataclass(frozen=True, slots=True)
class Sample:
    """One round against one server: bytes a second, CPU seconds a GB, MiB of memory above idle."""

    rate: float
    cpu: float
    memory: float


async def measure(pid: int, url: str, clients: int, seconds: float) -> Sample:
    """Load ``url`` of the server ``pid``."""
    server, parts = psutil.Process(pid), urlsplit(url)
    idle, before = server.memory_info().rss, _cpu(server)
    command = [sys.executable, "-m", "tests.bench.load", str(parts.hostname), str(parts.port), parts.path]
    run = await asyncio.create_subprocess_exec(
        "taskset", "-c", str(CLIENT_CORE), *command, str(clients), str(seconds), stdout=asyncio.subprocess.PIPE
    )
    await asyncio.sleep(seconds * 0.8)
    memory = (server.memory_info().rss - idle) / 2**20
    told = json.loads((await run.communicate())[0])
    return Sample(told["bytes"] / told["seconds"], (_cpu(server) - before) / told["bytes"] * 1e9, memory)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _pin(pid: int) -> None:
    for thread in psutil.Process(pid).threads():
        os.sched_setaffinity(thread.id, {SERVER_CORE})


async def _serve(folder: Path, rounds: int, seconds: float, crowds: Sequence[int]) -> None:
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
        request = {"requestId": 1, "location": f"{nginx.url}/fw.bin", "checksum": checksum}
        await csms.call(LC, "PublishFirmware", request)
        ours = (await csms.wait_status(1, "Published", timeout=120))["location"][0]
        servers = {"localctl": (daemon.pid, ours), "nginx": (nginx.pid, f"{nginx.url}/fw.bin")}
        for pid, _ in servers.values():
            _pin(pid)
        for clients in crowds:
            samples: dict[str, list[Sample]] = {name: [] for name in servers}
            for number in range(rounds):
                order = list(servers) if number % 2 else list(servers)[::-1]
                for name in order:
                    samples[name].append(await measure(*servers[name], clients, seconds))
            _print(clients, samples["localctl"], samples["nginx"])
            lag = await daemon.metric("localctl_event_loop_lag_seconds", loop="main")
            print(f"          main loop late by at most {lag * 1000:.1f} ms")


def _print(clients: int, ours: list[Sample], peer: list[Sample]) -> None:
    rate = statistics.median(our.rate / other.rate for our, other in zip(ours, peer, strict=True))
    cpu = statistics.median(our.cpu / other.cpu for our, other in zip(ours, peer, strict=True))
    memory = statistics.median(sample.memory for sample in ours)
    print(
        f"http      {clients:4} clients: {rate:.2f} of nginx's throughput, {cpu:.2f} of its CPU a GB, +{memory:.0f} MiB"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_serve(Path(folder), chosen.rounds, chosen.seconds, (1, 16, 200)))


if __name__ == "__main__":
    main()
