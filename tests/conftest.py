"""What tests of several rooms share."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.actors.csms import Csms
from tests.actors.daemon import Daemon
from tests.actors.origin import Origin
from tests.actors.site import OpenSite, Site

ALL = os.environ.get("LOCALCTL_TESTS_ALL") == "1"


@pytest.fixture
def rounds() -> Callable[[int, int], int]:
    """How many rounds a sampled loop makes: ``rounds(sample, whole)``, the whole under ``tests/run.sh --all``."""
    return lambda sample, whole: whole if ALL else sample


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
