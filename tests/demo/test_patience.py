import asyncio

import pytest

from localctl.demo.patience import DemoFailed, within
from localctl.errors import LocalctlError


async def test_what_does_not_come_is_named() -> None:
    """A wait in vain fails the demo, with what was waited for."""
    with pytest.raises(DemoFailed, match=r"^the boot of CS-01 did not come within 0 s$"):
        async with within(0, "the boot of CS-01"):
            await asyncio.Event().wait()


async def test_what_comes_in_time_passes() -> None:
    """A wait that ends costs nothing."""
    async with within(60, "a turn of the loop"):
        await asyncio.sleep(0)


def test_the_command_line_knows_the_failure() -> None:
    """A failed demo is one of the errors that end with exit status 1 and a sentence."""
    assert issubclass(DemoFailed, LocalctlError)
    assert DemoFailed.exit_status == 1
