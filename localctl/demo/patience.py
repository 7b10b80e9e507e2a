"""How the demo fails: with a sentence for whoever watches, and never by waiting for ever."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from localctl.errors import LocalctlError


class DemoFailed(LocalctlError):
    """A step of the demo did not go as it must; ``str()`` says which and how."""


class OutputClosed(LocalctlError):
    """Nobody reads what the demo prints any more, as in ``localctl demo | head``."""


@asynccontextmanager
async def within(seconds: float, what: str) -> AsyncIterator[None]:
    """Give the block ``seconds``. Raises DemoFailed, naming ``what`` did not come."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise DemoFailed(f"{what} did not come within {seconds:.0f} s") from None
