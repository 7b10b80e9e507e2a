"""What relaying costs, beside nginx, HAProxy and proxies of two libraries: ``python -m tests.bench.relay [options]``.

The real daemon and its peers relay the same messages from one core; the stations and their CSMS, one program in C that
this builds, have the other. README.md says how to read what is printed.
"""

import argparse
import asyncio
import resource
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tests.actors.daemon import executable
from tests.bench.awake import awake
from tests.bench.measure import ON_CLIENT_CORE, ON_SERVER_CORE, cpu, make_file
from tests.bench.relay_load import Load, Rate, Trips, build
from tests.bench.relay_memory import KINDS, weight
from tests.bench.relay_proxies import PROXIES, UVLOOP, is_missing
from tests.bench.relay_setting import Certificates, Proxy, Setting, downloads
from tests.bench.relay_table import in_turn, table

PARTS: Final = ("rate", "latency", "memory", "reconnect")
SIZES: Final = (150, 4096)  # bytes of a message
CROWDS: Final = (1, 100, 1000)  # stations
DOWNLOADS: Final = 200
_HELD_MOST: Final = 500  # stations of the memory part
_WARM_SECONDS: Final = 0.3
_AWAY_SECONDS: Final = 1.0  # the CSMS, when it restarts


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured: ``rounds`` samples of each proxy, each of ``seconds``."""

    parts: Sequence[str]
    proxies: Sequence[str]
    stations: Sequence[int]
    rounds: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Added:
    """What a proxy adds to a round trip, in milliseconds."""

    p50: float
    p99: float


class Bench:
    """Proxies in front of one CSMS, which is the load's."""

    def __init__(self, load: Load, proxies: Sequence[Proxy], plan: Plan) -> None:
        self._load = load
        self._proxies = {proxy.name: proxy for proxy in proxies}
        self._plan = plan
        self._file = ""  # its path, where there is one to download

    async def run(self, file: Path) -> None:
        """The tables of what was planned, but for memory's; ``file`` is firmware to download, to be made."""
        parts, stations = self._plan.parts, self._plan.stations
        for size in SIZES if "rate" in parts else ():
            for crowd in stations:
                await self.rate(crowd, size)
        if "reconnect" in parts:
            await self.reconnect(max(stations))
        if "latency" in parts:
            await self.latency(max(stations), "")
            await self._publish(file)
            for protocol in ("http", "https") if self._file else ():
                await self.latency(max(stations), protocol)

    async def rate(self, stations: int, size: int) -> None:
        """As many messages as go."""

        async def sample(name: str) -> Rate:
            proxy = self._proxies[name]
            await self._load.open(proxy.port, stations, size)
            told = await self._load.rate(_WARM_SECONDS, self._plan.seconds, lambda: cpu(proxy.pid))
            await self._load.close()
            return told

        samples = await in_turn(tuple(self._proxies), self._plan.rounds, sample)
        table(
            f"rate, {stations} stations, {size} bytes",
            samples,
            {
                "of nginx's rate": lambda s, name: s.ratio(name, "nginx", _per_second),
                "of websockets' rate": lambda s, name: s.ratio(name, "websockets", _per_second),
                "of nginx's CPU a message": lambda s, name: s.ratio(name, "nginx", _cpu_a_message),
                "of websockets' CPU a message": lambda s, name: s.ratio(name, "websockets", _cpu_a_message),
                "messages a core-second": lambda s, name: f"{1 / s.median(name, _cpu_a_message):.0f}",
                "its core": lambda s, name: f"{s.median(name, lambda each: each.cost / each.seconds):.0%}",
                "the load's core": lambda s, name: f"{s.median(name, lambda each: each.load):.0%}",
            },
        )

    async def latency(self, stations: int, protocol: str) -> None:
        """A message a second from each station, while firmware is downloaded by ``protocol``, if it is any."""
        names = tuple(name for name, proxy in self._proxies.items() if not protocol or protocol in proxy.files)

        async def sample(name: str) -> Added:
            proxy = self._proxies[name]
            await self._load.open(proxy.port, stations, SIZES[0])  # while nobody is in their way
            url = proxy.files[protocol] + self._file if protocol else ""
            async with awake(ON_SERVER_CORE, ON_CLIENT_CORE), downloads(url, DOWNLOADS):
                through = await self._trips()
                await self._load.open(self._load.port, stations, SIZES[0])
                direct = await self._trips()
            return Added((through.p50 - direct.p50) / 1000, (through.p99 - direct.p99) / 1000)

        samples = await in_turn(names, self._plan.rounds, sample)
        table(
            f"latency, {stations} stations, a message a second each, "
            + (f"{DOWNLOADS} downloads over {protocol.upper()}" if protocol else "no downloads"),
            samples,
            {
                "of nginx's added p50": lambda s, name: s.ratio(name, "nginx", lambda each: each.p50),
                "added p50, ms": lambda s, name: f"{s.median(name, lambda each: each.p50):.3f}",
                "added p99, ms": lambda s, name: f"{s.median(name, lambda each: each.p99):.3f}",
            },
        )

    async def reconnect(self, stations: int) -> None:
        """The CSMS goes, and comes back."""

        async def sample(name: str) -> float:
            await self._load.open(self._proxies[name].port, stations, SIZES[0])
            took = await self._load.restart(_AWAY_SECONDS)
            await self._load.close()
            return took

        samples = await in_turn(tuple(self._proxies), self._plan.rounds, sample)
        table(
            f"reconnect, {stations} stations after {_AWAY_SECONDS:g} s without a CSMS",
            samples,
            {
                "s until all are back": lambda s, name: f"{s.median(name, float):.2f}",
                "at most": lambda s, name: f"{s.most(name, float):.2f}",
            },
        )

    async def _publish(self, file: Path) -> None:
        """Have every localctl serve ``file``; nginx serves the first one's."""
        for daemon in filter(None, [proxy.daemon for proxy in self._proxies.values()]):
            if not file.exists():
                make_file(file)
            command = (str(executable()), "publish", "--config", str(daemon.config_file), str(file))
            run = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
            told = (await run.communicate())[0].decode()
            location = next(word for word in told.split() if word.startswith("http://"))
            self._file = urlsplit(location).path

    async def _trips(self) -> Trips:
        trips = await self._load.timed(2 * self._plan.seconds)
        await self._load.close()
        return trips


def _per_second(rate: Rate) -> float:
    return rate.messages / rate.seconds


def _cpu_a_message(rate: Rate) -> float:
    return max(rate.cost, 0.01) / rate.messages  # the kernel's account has ticks of so much


async def memory(plan: Plan, folder: Path, certificates: Certificates) -> None:
    """What a relay weighs."""
    stations, places = min(_HELD_MOST, max(plan.stations)), count()
    for kind in KINDS:

        async def sample(name: str, kind: str = kind) -> float | None:
            place = folder / f"memory-{next(places)}"
            place.mkdir()
            return await weight(name, kind, stations, place, certificates)

        samples = await in_turn(plan.proxies, plan.rounds, sample)
        table(
            f"memory, {stations} stations, {kind}",
            samples,
            {"KiB a relay": lambda s, name: f"{s.median(name, float):.1f}"},
        )


async def run(plan: Plan) -> None:
    """Print the tables."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        certificates = Certificates(folder)
        if "memory" in plan.parts:
            await memory(plan, folder, certificates)
        if set(plan.parts) <= {"memory"}:
            return
        async with AsyncExitStack() as stack:
            load = await stack.enter_async_context(Load(build(folder), ON_CLIENT_CORE))
            shelf = folder / "localctl-asyncio" / "state" / "firmware"
            setting = Setting(folder, load.port, certificates, shelf=shelf)
            opened = [await stack.enter_async_context(PROXIES[each](setting)) for each in plan.proxies]
            await Bench(load, [proxy for proxy in opened if proxy], plan).run(folder / "www" / "fw.bin")


def _plan(arguments: Sequence[str]) -> Plan:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", default=",".join(PARTS), help="of %(default)s")
    parser.add_argument("--proxies", default=",".join(each for each in PROXIES if each != UVLOOP), help="%(default)s")
    parser.add_argument("--uvloop", action="store_true", help="localctl on uvloop, too")
    parser.add_argument("--stations", default=",".join(map(str, CROWDS)), help="%(default)s; but for rate the most")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2, help="of a sample")
    parser.add_argument("--quick", action="store_true", help="one short round: does it work?")
    chosen = parser.parse_args(arguments)
    proxies = [*chosen.proxies.split(","), *([UVLOOP] if chosen.uvloop else [])]
    for given, known in ((chosen.parts.split(","), PARTS), (proxies, PROXIES)):
        if unknown := set(given) - set(known):
            parser.error(f"{', '.join(unknown)}: is none of {', '.join(known)}")
    return Plan(
        chosen.parts.split(","),
        [name for name in PROXIES if name in proxies and not is_missing(name)],
        sorted(map(int, chosen.stations.split(","))),
        1 if chosen.quick else chosen.rounds,
        0.5 if chosen.quick else chosen.seconds,
    )


if __name__ == "__main__":
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(run(_plan(sys.argv[1:])))
