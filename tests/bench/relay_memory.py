"""What a relay weighs: resident memory with stations less that without, for each of them.

Each sample is of a proxy just started that has relayed one station: what a first relay loads is none of a relay's own.
"""

import asyncio
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import psutil

from tests.bench.measure import ON_SERVER_CORE
from tests.bench.relay_hold import crowd, office
from tests.bench.relay_proxies import PROXIES
from tests.bench.relay_setting import Certificates, Setting

KINDS: Final = ("plain", "deflate", "TLS")


def resident(pid: int) -> int:
    """Bytes, of a process and those below it."""
    process = psutil.Process(pid)
    return sum(int(each.memory_info().rss) for each in (process, *process.children(recursive=True)))


async def weight(
    name: str,
    kind: str,
    stations: int,
    folder: Path,
    certificates: Certificates,
    *,
    on: Sequence[str] = ON_SERVER_CORE,
    settle: float = 1,
) -> float | None:
    """KiB a relay, ``settle`` seconds after its station has come; None where the proxy cannot do ``kind``."""
    deflate, server, client = kind == "deflate", None, None
    if kind == "TLS":
        server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        server.load_cert_chain(certificates.csms)
        client = ssl.create_default_context(cafile=certificates.roots)
    async with office(server, deflate=deflate) as port:
        setting = Setting(folder, port, certificates, tls=server is not None, deflate=deflate, on=on)
        async with PROXIES[name](setting) as proxy:
            if proxy is None:
                return None
            url = f"{'ws' if server is None else 'wss'}://127.0.0.1:{proxy.port}/ocpp"
            async with crowd(url, 1, client, deflate=deflate):
                pass
            await asyncio.sleep(settle)
            idle = resident(proxy.pid)
            async with crowd(url, stations, client, deflate=deflate) as answered:
                assert answered == stations
                await asyncio.sleep(settle)
                return (resident(proxy.pid) - idle) / stations / 1024
