"""What tests of several rooms share."""

import os
import random
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from tests.actors.csms import Csms
from tests.actors.daemon import Daemon
from tests.actors.origin import Origin
from tests.actors.site import OpenSite, Site

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a shell's background, and what it starts inherits it
    signal.signal(signal.SIGINT, signal.default_int_handler)

ALL = os.environ.get("LOCALCTL_TESTS_ALL") == "1"
SEED = os.environ.setdefault("LOCALCTL_TESTS_SEED", str(random.randrange(2**32)))  # the workers inherit it
SHOWN = 2000  # bytes of a difference that help who reads of it


def pytest_report_header() -> str:
    """Say how to have the same samples again."""
    return f"samples: LOCALCTL_TESTS_SEED={SEED}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Have each worker begin with a share of the journeys: what is short is left to share out at the end."""
    workers: int = getattr(config, "workerinput", {"workercount": 1})["workercount"]
    journeys = [item for item in items if item.path.parent.name == "journeys"]
    others = [item for item in items if item.path.parent.name != "journeys"]
    share = -(-len(others) // workers)
    items[:] = chain.from_iterable(
        journeys[number::workers] + others[number * share : (number + 1) * share] for number in range(workers)
    )


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Say where files differ, instead of all that is in them: the end of a log must hold the failures."""
    if op != "==" or max(len(repr(one)) for one in (left, right)) <= SHOWN:
        return None
    parts = [(left, right)]
    if isinstance(left, tuple) and isinstance(right, tuple):
        parts.extend(zip(left, right, strict=False))
    told = [f"{_short(left)} == {_short(right)}"]
    for one, other in parts:
        if isinstance(one, bytes) and isinstance(other, bytes) and one != other:
            same = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), None)
            at = min(len(one), len(other)) if same is None else same
            told.append(
                f"{len(one)} and {len(other)} bytes, the same up to {at}: {one[at:][:40]!r}, {other[at:][:40]!r}"
            )
    return told


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN // 10]} ... {text[-100:]}"


@pytest.fixture
def rounds() -> Callable[[int, int], int]:
    """How many rounds a sampled loop makes: ``rounds(sample, whole)``, the whole under ``tests/run.sh --all``."""
    return lambda sample, whole: whole if ALL else sample


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """What a sample is drawn with: another one in every run, and in every test."""
    return random.Random(f"{SEED} {request.node.nodeid}")


@pytest.fixture
async def open_site(tmp_path: Path) -> AsyncIterator[OpenSite]:
    """Open a site: ``open_site(version="2.1", overrides={…})``; closed with the test."""
    async with AsyncExitStack() as stack:

        async def opened(version: str = "2.1", overrides: dict[str, Any] | None = None, **csms: Any) -> Site:
            office = await stack.enter_async_context(
                Csms(subprotocols=(f"ocpp{version}", "ocpp1.6"), **csms)  # for the controller only ``version``
            )
            origin = await stack.enter_async_context(Origin())
            daemon = await stack.enter_async_context(Daemon(tmp_path, office.url, overrides))
            await daemon.ready()
            return Site(office, daemon, origin)

        yield opened
