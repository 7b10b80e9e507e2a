"""`localctl status` and `localctl status --watch`: on a real terminal, into a pipe, across a daemon's restart."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TextIO, cast

import pytest

from localctl.watching import is_terminal
from tests.actors.csms import Csms
from tests.actors.daemon import Daemon, executable
from tests.actors.process import Process
from tests.actors.screen import terminal
from tests.actors.site import OpenSite, downloading, firmware

LEAVE, CURSOR = "\x1b[?1049l", "\x1b[?25h"


async def test_on_a_terminal_it_is_drawn_once(open_site: OpenSite) -> None:
    """Colours and a bar of the transfer under way; NO_COLOR and a dumb terminal are obeyed."""
    site = await open_site()
    _, (http, _) = await site.published(firmware(8_000_000))
    command = ("status", "--config", str(site.daemon.config_file))
    async with downloading(http):
        async with terminal(*command) as screen:
            await screen.shows("stations  0")
            assert await screen.over() == 0
            assert "\x1b[1;32m● ready" in screen.text
            assert "━" in screen.text
        async with terminal(*command, environ={"NO_COLOR": "1"}) as screen:
            await screen.shows("stations  0")
            assert not re.search(r"\x1b\[[0-9;]*3[0-9]", screen.text)
        async with terminal(*command, environ={"TERM": "dumb"}) as screen:
            await screen.shows("transfers 1")
            assert "\x1b" not in screen.text


async def test_watching_on_a_terminal_survives_a_restart(tmp_path: Path) -> None:
    """It is drawn again and again, says that nobody answers, goes on, and leaves the terminal as it was."""
    async with Csms() as csms:
        daemon = Daemon(tmp_path, csms.url)
        async with daemon, terminal("status", "--config", str(daemon.config_file), "--watch", "0.2") as screen:
            at = await screen.shows("not running, asking again")
            await daemon.ready()
            at = await screen.shows("● ready", at)
            await daemon.stop()
            at = await screen.shows("not running, asking again", at)
            await daemon.restart()
            await daemon.ready()
            at = await screen.shows("● ready", at)
            screen.process.send_signal(signal.SIGINT)
            assert await screen.over() == 0
            await screen.news.until(lambda: LEAVE in screen.text and CURSOR in screen.text, "the old screen")
            assert "Traceback" not in screen.text


async def watched(daemon: Daemon, *more: str) -> Process:
    """`localctl status --watch` into a pipe."""
    command = (str(executable()), "status", "--config", str(daemon.config_file), "--watch", "0.2", *more)
    return await Process.start(command)


async def test_watching_into_a_pipe(tmp_path: Path) -> None:
    """A plain block a time; Ctrl-C is its end, with status 0."""
    async with Csms() as csms, Daemon(tmp_path, csms.url) as daemon:
        await daemon.ready()
        run = await watched(daemon)
        heads = await run.until(
            lambda: [line for line in run.out if line.startswith("LC-0001: localctl ")][1:], "a second block"
        )
        assert heads[0].endswith(", ready")
        assert not any("\x1b" in line for line in run.out)
        await daemon.stop()
        await run.until(lambda: any(line.startswith("not running, asking again: ") for line in run.out), "its end")
        run.signal(signal.SIGINT)
        assert await run.over() == 0
        assert run.err == []


async def test_watching_as_json(tmp_path: Path) -> None:
    """A document a line, and one that says that nobody answers."""
    async with Csms() as csms, Daemon(tmp_path, csms.url) as daemon:
        await daemon.ready()
        run = await watched(daemon, "--json")
        await run.until(lambda: len(run.out) > 1, "two lines")
        await daemon.stop()
        await run.until(lambda: '"running": false' in run.out[-1], "its end")
        run.signal(signal.SIGINT)
        assert await run.over() == 0
        documents = [json.loads(line) for line in run.out]
        assert (documents[0]["identity"], documents[0]["ready"]) == ("LC-0001", True)
        assert documents[-1]["error"].startswith("not running, asking again: ")


@pytest.mark.parametrize(
    ("terminal", "term", "drawn"), [(True, "xterm", True), (True, "dumb", False), (False, "xterm", False)]
)
def test_where_it_is_drawn(terminal: bool, term: str, drawn: bool) -> None:  # noqa: FBT001
    """Only where something can be drawn on."""

    class Stream:
        def isatty(self) -> bool:
            return terminal

    assert is_terminal(cast("TextIO", Stream()), {"TERM": term}) is drawn


def test_a_status_of_a_script_loads_no_drawing() -> None:
    """What draws is slow to load on a small gateway."""
    program = "import sys, localctl.cli, localctl.watching, localctl.inquiry; sys.exit('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
