"""Work that is seen through to its end. Edge: tasks and threads.

A task may be cancelled at any wait: a link to the CSMS that breaks cancels what it was answering. What a thread has
begun goes on all the same, and steps that belong together must not be torn apart: a file that is out of the catalogue
and still on record would come back at the next start.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

log = logging.getLogger("localctl.store")
Result = TypeVar("Result")


async def see_out(work: asyncio.Future[Any]) -> None:
    """Wait until ``work`` is done, however it ends; a cancellation that comes meanwhile is raised then."""
    cancelled: asyncio.CancelledError | None = None
    while not work.done():
        try:
            await asyncio.wait([work])
        except asyncio.CancelledError as fault:
            cancelled = fault
    if cancelled is not None:
        raise cancelled


async def unbroken(steps: Coroutine[Any, Any, Result], name: str) -> Result:
    """Take ``steps`` to their end in a task called ``name``, and then be cancelled, if that came meanwhile."""
    task = asyncio.get_running_loop().create_task(steps, name=name)  # a TaskGroup would hand the cancellation on
    try:
        await see_out(task)
    except asyncio.CancelledError:
        if not task.cancelled() and (fault := task.exception()) is not None:
            log.error("%s failed, and nobody waits for it any more: %s", name, fault)
        raise
    return task.result()
