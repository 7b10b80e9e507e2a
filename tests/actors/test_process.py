import signal

import psutil
import pytest

from tests.actors.process import Process


async def test_lines_come_as_they_are_written() -> None:
    """Both outputs are kept line by line, the last one also without its end, and the status is the program's."""
    process = await Process.start(["/bin/sh", "-c", "echo one; echo two >&2; printf three; exit 5"])
    assert await process.over() == 5
    assert (process.out, process.err) == (["one", "three"], ["two"])
    assert not process.running


async def test_a_line_is_waited_for() -> None:
    """A condition on the output is asked again after each line, and a program is ended with what it has started."""
    process = await Process.start(["/bin/sh", "-c", "sleep 1000 & echo $!; echo ready; wait"])
    await process.until(lambda: "ready" in process.out, "its word")
    child = psutil.Process(int(process.out[0]))
    process.kill()
    assert await process.over() == -signal.SIGKILL
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


async def test_what_did_not_come_is_said_with_the_last_lines() -> None:
    """A wait in vain names what was waited for, and what the program wrote instead."""
    process = await Process.start(["/bin/sh", "-c", "echo oh no >&2; cat"])
    await process.over()
    with pytest.raises(AssertionError, match=r"(?s)its word did not come.*ended with 0.*oh no"):
        await process.until(lambda: False, "its word", 0.01)
