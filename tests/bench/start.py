"""What starting costs, beside importing the libraries alone: ``python -m tests.bench.start [--rounds N]``.

The real daemon, from exec to READY as systemd is told it, on a state directory that it has used before; the peer is
``python -c 'import aiohttp, websockets, pydantic, prometheus_client'``. Both on one core, with compiled bytecode.
"""

import argparse
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.actors.daemon import defaults, executable
from tests.actors.toml import dumped
from tests.bench.measure import ON_SERVER_CORE, cpu, memory, ratio

LIBRARIES: Final = "aiohttp, websockets, pydantic, prometheus_client"
_PEER: Final = f"import {LIBRARIES}, sys; print(flush=True); sys.stdin.read()"
_IDLE_SECONDS: Final = 3.0  # until what the start left behind is done


@dataclass(frozen=True, slots=True)
class Start:
    """One start: seconds until it was ready, CPU seconds by then, MiB resident when idle."""

    seconds: float
    cpu: float
    memory: float


def _environ(folder: Path, **more: str) -> Mapping[str, str]:
    """As an installed localctl has it: bytecode is kept."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(folder / "bytecode"), "LOCALCTL_LOOP": "asyncio", **more}


def libraries(folder: Path) -> Start:
    """Import them."""
    began = time.monotonic()
    command = (*ON_SERVER_CORE, sys.executable, "-c", _PEER)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=_environ(folder)) as run:
        assert run.stdin is not None
        assert run.stdout is not None
        run.stdout.readline()
        took, spent = time.monotonic() - began, cpu(run.pid)
        time.sleep(_IDLE_SECONDS)
        start = Start(took, spent, memory(run.pid))
        run.stdin.close()
    return start


def localctl(folder: Path, config: Path) -> Start:
    """Start the daemon, and stop it again."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        name = f"\0localctl-start-{os.getpid()}-{time.monotonic_ns()}"
        notified.bind(name)
        environ = _environ(folder, NOTIFY_SOCKET=f"@{name[1:]}")
        began = time.monotonic()
        command = (*ON_SERVER_CORE, str(executable()), "run", "--config", str(config))
        with subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environ) as run:
            while b"READY=1" not in notified.recv(4096):
                pass
            took, spent = time.monotonic() - began, cpu(run.pid)
            time.sleep(_IDLE_SECONDS)
            start = Start(took, spent, memory(run.pid))
            run.send_signal(signal.SIGTERM)
    return start


def _told(ours: Sequence[Start], peer: Sequence[Start]) -> str:
    quick, dear, large = (
        ratio(ours, peer, of)
        for of in (lambda start: start.seconds, lambda start: start.cpu, lambda start: start.memory)
    )
    return (
        f"start     {quick:.2f} of the imports' time until READY, {dear:.2f} of their CPU, {large:.2f} of their memory"
    )


def run(rounds: int) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = folder / "config.toml"
        config.write_text(dumped(defaults(folder, "ws://127.0.0.1:9/ocpp")), encoding="utf-8")
        libraries(folder), localctl(folder, config)  # what they leave is there for the others: bytecode, a database
        pairs = [(localctl(folder, config), libraries(folder)) for _ in range(rounds)]
        ours, peer = zip(*pairs, strict=True)
        print(_told(ours, peer))
        print(f"          {statistics.median(start.memory for start in ours):.0f} MiB resident when idle")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    run(parser.parse_args().rounds)
