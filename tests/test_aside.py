"""Work that nobody has to wait for."""

import subprocess
import sys
import threading

import pytest

from localctl.aside import begun


def test_its_outcome() -> None:
    """What it returns, and what it raises."""
    assert begun(lambda: threading.current_thread().name, "here").result(10) == "here"
    with pytest.raises(ZeroDivisionError):
        begun(lambda: 1 / 0, "here").result(10)


def test_what_hangs_holds_no_program_up() -> None:
    """It ends, also where asyncio waited for it."""
    program = (
        "import asyncio, contextlib, threading\n"
        "from localctl.aside import begun\n"
        "async def main():\n"
        "    with contextlib.suppress(TimeoutError):\n"
        "        async with asyncio.timeout(0.1):\n"
        "            await asyncio.wrap_future(begun(threading.Event().wait, 'hangs'))\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False, timeout=60, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
