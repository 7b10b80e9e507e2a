import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

import localctl
from localctl.demo.scenario import run_demo
from tests.actors.process import Process

STATUSES = ["Downloading", "Downloaded", "ChecksumVerified", "Published"]


async def start(folder: Path, *arguments: str, **environ: str) -> Process:
    """``localctl demo``, with its temporary folder in ``folder``."""
    command = [sys.executable, "-m", "localctl", "demo", *arguments]
    return await Process.start(command, {**os.environ, "TMPDIR": str(folder), **environ})


def events(lines: Sequence[str]) -> list[dict[str, Any]]:
    """What ``--json`` printed; nothing else is there."""
    return [json.loads(line) for line in lines]


def children(demo: Process) -> list[psutil.Process]:
    """The processes that the demo has started."""
    return psutil.Process(demo.pid).children(recursive=True)


def left_behind(folder: Path, started: Sequence[psutil.Process]) -> list[object]:
    """Files and processes that should be gone."""
    return [*folder.iterdir(), *(process for process in started if process.is_running())]


async def test_the_whole_job(tmp_path: Path) -> None:
    """Every step, on every protocol and version, in the order that TC_L_17 and TC_L_21 to TC_L_23 ask for."""
    demo = await start(tmp_path, "--size", "2", "--stations", "4", "--json")
    await demo.until(lambda: any('"publish"' in line for line in demo.out), "PublishFirmware")
    started = children(demo)
    assert len(started) == 1
    assert await demo.over(120) == 0, demo.tail()
    assert demo.err == []
    told = events(demo.out)
    assert booted(told) == {"LC-DEMO": "2.1", "CS-01": "1.6", "CS-02": "2.0.1", "CS-03": "1.6", "CS-04": "2.0.1"}
    assert [each["status"] for each in told if each["event"] == "publish_status"] == STATUSES
    uris = [[uri.partition(":")[0] for uri in each["location"]] for each in told if each["event"] == "publish_status"]
    assert uris == [[], [], [], ["http", "ftp"]]
    assert [each["status"] for each in told if each["event"] == "unpublish_answer"] == [
        "DownloadOngoing", "Unpublished", "NoFirmware",
    ]  # fmt: skip
    check_stations(told)
    assert told[-1]["event"] == "summary"
    assert told[-1]["ok"] is True
    assert (told[-1]["wan_bytes"], told[-1]["lan_bytes"], told[-1]["factor"]) == (2 * 2**20, 8 * 2**20, 4.0)
    assert left_behind(tmp_path, started) == []


def booted(told: list[dict[str, Any]]) -> dict[str, str]:
    """Who booted, and in which version."""
    return {each["identity"]: each["ocpp_version"] for each in told if each["event"] == "boot"}


def check_stations(told: list[dict[str, Any]]) -> None:
    """Each station reported Downloading and Downloaded and has the right MD5; the refusal came between."""
    names = [each["event"] for each in told]
    (checksum,) = {each["checksum"] for each in told if each["event"] == "unpublish"}
    md5s = {each["identity"]: (each["md5"], each["scheme"]) for each in told if each["event"] == "md5"}
    schemes = {"CS-01": "http", "CS-02": "ftp", "CS-03": "ftp", "CS-04": "http"}
    assert md5s == {identity: (checksum, scheme) for identity, scheme in schemes.items()}
    for identity in schemes:
        statuses = [each["status"] for each in told if each["event"] == "station_status" and each["who"] == identity]
        assert statuses == ["Downloading", "Downloaded"]
    assert [each["who"] for each in told if each["event"] == "pause"] == ["CS-01", "CS-02"]
    refused = names.index("unpublish_answer")
    for identity in ("CS-01", "CS-02"):
        place = [each.get("identity") == identity and each.get("status") == "Downloaded" for each in told].index(True)
        assert names.index("pause") < refused < place


async def test_a_pipe_gets_plain_lines(tmp_path: Path) -> None:
    """Piped, each status and each MD5 is on a line of its own, without control codes."""
    demo = await start(tmp_path, "--size", "1", "--stations", "1", FORCE_COLOR="1", TERM="xterm-256color")
    assert await demo.over(120) == 0, demo.tail()
    assert demo.err == []
    text = "\n".join(demo.out)
    assert text.isascii()
    assert "\x1b" not in text
    for status in (*STATUSES[:3], "DownloadOngoing", "Unpublished", "NoFirmware"):
        assert f"LC-DEMO   {status}" in demo.out
    uri = r"http://127\.0\.0\.1:\d+/firmware/[0-9a-f]{32}/station-2\.0\.bin"
    assert re.search(rf"^LC-DEMO   Published {uri} {uri.replace('http', 'ftp')}$", text, re.MULTILINE)
    assert re.search(r"^CS-01     MD5 [0-9a-f]{32} is right: 1\.0 MiB over HTTP$", text, re.MULTILINE)
    assert "WAN       1.0 MiB from the origin, once" in demo.out


@pytest.mark.parametrize("line", ["begin", "publish_answer", "pause"])
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)])
async def test_it_can_be_ended_at_any_time(tmp_path: Path, line: str, number: signal.Signals, status: int) -> None:
    """Ctrl-C, SIGTERM and a closed terminal end it at once, and nothing is left behind."""
    demo = await start(tmp_path, "--size", "1", "--stations", "2", "--json")
    await demo.until(lambda: any(each["event"] == line for each in events(demo.out)), line)
    started = children(demo)
    demo.signal(number)
    assert await demo.over() == status, demo.tail()
    assert events(demo.out)[-1]["ok"] is False
    assert len(demo.err) == 1
    assert demo.err[0].endswith("; nothing is left behind")
    assert left_behind(tmp_path, started) == []


async def test_a_controller_that_dies_fails_it(tmp_path: Path) -> None:
    """Status 1, one sentence that says what happened, the end of the controller's log, and nothing left behind."""
    demo = await start(tmp_path, "--size", "1", "--stations", "2")
    await demo.until(lambda: "LC-DEMO   Downloading" in demo.out, "Downloading")
    started = children(demo)
    started[0].kill()
    assert await demo.over() == 1, demo.tail()
    assert demo.err[0].startswith("localctl demo: ")
    assert demo.err[0].endswith("; the controller ended with status -9")
    assert re.fullmatch(r"The controller's log, its last \d+ lines:", demo.err[1])
    assert any("is ready for stations" in line for line in demo.err[2:])
    assert not any("Traceback" in line for line in demo.err)
    assert not any(line.startswith("saved") for line in demo.out)
    assert left_behind(tmp_path, started) == []


def test_modules_are_found_where_the_demo_found_them(tmp_path: Path) -> None:
    """It works where Python does not know of localctl, as in the Debian package."""
    paths = [str(Path(localctl.__file__).parents[1]), sysconfig.get_path("purelib")]
    program = f"import sys; sys.path += {paths}; from localctl.demo.scenario import run_demo; "
    line = ["-IBS", "-c", program + "sys.exit(run_demo(1, 1, True))"]
    python = Path(sys.base_prefix, "bin", "python{}.{}".format(*sys.version_info))  # not that of a virtual environment
    environ = os.environ | {"TMPDIR": str(tmp_path)}
    done = subprocess.run([str(python), *line], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_no_room_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A temporary folder without room for two copies is told before anything begins, with what to do about it."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=2**20))
    assert run_demo(1, 1, as_json=True) == 1
    out, err = capsys.readouterr()
    sentence = f"{tmp_path} has 1.0 MiB free, too little; TMPDIR may name another folder"
    assert err == f"localctl demo: {sentence}\n"
    assert events(out.splitlines())[-1]["failed"] == sentence
    assert left_behind(tmp_path, []) == []


def test_no_folder_for_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A temporary folder that cannot be made is a sentence."""
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    assert run_demo(1, 1, as_json=True) == 1
    out, err = capsys.readouterr()
    assert err.startswith("localctl demo: [Errno 2] No such file or directory: '/nowhere/")
    assert [event["event"] for event in events(out.splitlines())] == ["summary"]


async def test_nobody_reads(tmp_path: Path) -> None:
    """``localctl demo | head -1``: it ends quietly as soon as it notices, and nothing is left behind."""
    read, write = os.pipe()
    demo = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "localctl", "demo", "--size", "1", "--stations", "1",
        stdout=write, stderr=asyncio.subprocess.PIPE, env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    os.close(write)
    os.close(read)
    _, err = await demo.communicate()
    assert (demo.returncode, err) == (1, b"")
    assert left_behind(tmp_path, []) == []
