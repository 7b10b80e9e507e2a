"""Asking a daemon, or what stands in for one, and telling what it said."""

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from localctl.config import Config, parse
from localctl.errors import ConfigurationError, NotRunning, PasswordRefused
from localctl.inquiry import ask_metrics, ask_status, bound, tell

DOCUMENT: dict[str, Any] = {
    "version": "0.1.0",
    "identity": "LC-1",
    "ready": False,
    "reasons": ["the CSMS has not accepted our BootNotification: it answered Pending"],
    "uplink": {
        "url": "wss://csms/ocpp",
        "connected": True,
        "ocpp_version": "2.1",
        "since": 1000.0,
        "registration": "Pending",
        "queue": 2,
        "last_error": "",
    },
    "stations": [
        {"identity": "CS-1", "ocpp_version": "1.6", "peer": "10.0.0.7", "since": 1.0, "last_message_at": 90000.0},
        {"identity": "CS-2", "ocpp_version": "", "peer": "10.0.0.8", "since": 1.0, "last_message_at": None},
    ],
    "firmware": [
        {"checksum": "a" * 32, "name": "a.bin", "size": 1536, "state": "published", "uris": ["http://h/a"]},
        {"checksum": "b" * 32, "name": "b.bin", "state": "downloading", "received": 5 * 2**20, "total": None},
    ],
    "transfers": [{"protocol": "ftp", "peer": "10.0.0.7", "name": "a.bin", "sent": 512, "size": 1536}],
    "disk": {"free": 3 * 2**30, "size": 2**40},
    "listeners": {"publish.http": "0.0.0.0:8080"},
}

TOLD = """\
LC-1: localctl 0.1.0, NOT ready
  the CSMS has not accepted our BootNotification: it answered Pending
CSMS      wss://csms/ocpp: connected for 1 d 1 h, OCPP 2.1, Pending
          2 notifications wait
listener  publish.http on 0.0.0.0:8080
stations  2
  CS-1  OCPP 1.6  10.0.0.7  last message 00:16:40 ago
  CS-2  OCPP ?  10.0.0.8  no message yet
firmware  2
  aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa  a.bin  published  1.5 KiB
    http://h/a
  bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb  b.bin  downloading  5.0 MiB of unknown
transfers 1
  ftp  10.0.0.7  a.bin  512 B of 1.5 KiB
disk      3.0 GiB free of 1.0 TiB"""


def _config(tmp_path: Path, listen: str, **admin: str) -> Config:
    tree = {
        "controller": {"identity": "LC-1", "state_dir": str(tmp_path)},
        "csms": {"url": "ws://h/ocpp"},
        "admin": {"listen": listen, **admin},
    }
    return parse(tree, "test", None)


def test_telling() -> None:
    """The whole document in lines for a person."""
    assert "\n".join(tell(DOCUMENT, 91000.0)) == TOLD


def test_telling_what_later_versions_tell() -> None:
    """Certificates, events and a reload that failed, where they are there; no control code of a peer's."""
    more = {
        "configuration": {"path": "/c", "reload_error": "csms.url: is missing"},
        "certificates": [{"role": "csms", "expires_at": 91000.0 + 86400}, {"role": "publish.https", "expires_at": 1.0}],
        "events": [{"at": 90000.0, "level": "WARNING", "text": f"number {number}\x1b[2J"} for number in range(9)],
    }
    told = list(tell(DOCUMENT | more, 91000.0))
    assert "  the configuration was not taken anew: csms.url: is missing" in told
    assert "shown     csms: until 1970-01-03, 1 days" in told
    assert "shown     publish.https: expired on 1970-01-01" in told
    moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(90000))
    assert told[-1] == f"event     {moment} WARNING number 8\N{REPLACEMENT CHARACTER}[2J"
    assert len(told) == len(TOLD.splitlines()) + 1 + 2 + 5
    assert "\x1b" not in "".join(told)


def test_why_there_is_no_connection() -> None:
    """The last error stands in the CSMS's line."""
    uplink = {**DOCUMENT["uplink"], "connected": False, "last_error": "HTTP 401"}
    assert "CSMS      wss://csms/ocpp: not connected: HTTP 401" in list(tell(DOCUMENT | {"uplink": uplink}, 0))


def test_a_thousand_stations() -> None:
    """The first and the last of them, unless all are asked for."""
    stations = [{**DOCUMENT["stations"][0], "identity": f"CS-{number:04}"} for number in range(1000)]
    document = DOCUMENT | {"stations": stations}
    told = [line.split()[0] for line in tell(document, 91000.0, everyone=False) if line.startswith("  CS-")]
    assert (told[0], told[9], told[10], told[-1], len(told)) == ("CS-0000", "CS-0009", "CS-0995", "CS-0999", 15)
    assert "  … 985 more (--all tells of each)" in tell(document, 91000.0, everyone=False)
    assert len([line for line in tell(document, 91000.0) if line.startswith("  CS-")]) == 1000


async def test_asking(tmp_path: Path) -> None:
    """The daemon is asked where the configuration says, or where its port-0 listener told that it is."""

    async def answer(_: web.Request) -> web.Response:
        return web.json_response(DOCUMENT)

    async def measure(_: web.Request) -> web.Response:
        return web.Response(text="up 1\n")

    app = web.Application()
    app.router.add_get("/api/status", answer)
    app.router.add_get("/metrics", measure)
    async with TestServer(app) as server:
        (tmp_path / "listeners.json").write_text(json.dumps({"admin": f"127.0.0.1:{server.port}"}), encoding="utf-8")
        for listen in (f"127.0.0.1:{server.port}", f"0.0.0.0:{server.port}", "127.0.0.1:0"):
            assert await asyncio.to_thread(ask_status, _config(tmp_path, listen, password="x")) == DOCUMENT
            assert await asyncio.to_thread(ask_metrics, _config(tmp_path, listen, password="x")) == "up 1\n"


async def test_asking_with_a_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is sent from wherever it is kept; a wrong one and one that cannot be read are told as such, not as silence."""

    async def answer(request: web.Request) -> web.Response:
        right = aiohttp.encode_basic_auth("admin", "geheim-0815")
        return web.json_response(DOCUMENT, status=200 if request.headers.get("Authorization") == right else 401)

    (tmp_path / "password").write_text("geheim-0815\n")
    app = web.Application()
    app.router.add_get("/api/status", answer)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    async with TestServer(app) as server:
        listen = f"127.0.0.1:{server.port}"
        for key, value in (("password", "geheim-0815"), ("password_file", f"{tmp_path}/password"),
                           ("password_file", "credential:password")):  # fmt: skip
            assert await asyncio.to_thread(ask_status, _config(tmp_path, listen, **{key: value})) == DOCUMENT
        for wrong in ("wrong", ""):
            with pytest.raises(PasswordRefused):
                await asyncio.to_thread(ask_status, _config(tmp_path, listen, password=wrong))
        with pytest.raises(ConfigurationError, match=r"admin\.password_file: cannot be read: .*try it as root"):
            await asyncio.to_thread(ask_status, _config(tmp_path, listen, password_file="/none"))


@pytest.mark.parametrize("listen", ["127.0.0.1:1", "127.0.0.1:0", ""])
def test_nobody_there(tmp_path: Path, listen: str) -> None:
    """Refused, never started, or not to be asked at all: NotRunning, exit status 3."""
    with pytest.raises(NotRunning) as fault:
        ask_status(_config(tmp_path, listen))
    assert fault.value.exit_status == 3


async def test_what_answers_is_no_daemon(tmp_path: Path) -> None:
    """Something else at its address, which speaks no HTTP or no JSON: NotRunning, and no traceback."""
    import asyncio

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    async def say(_: web.Request) -> web.Response:
        return web.json_response(["hello"])

    async def speak(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        writer.close()
        await writer.wait_closed()

    app = web.Application()
    app.router.add_get("/api/status", answer)
    of_json = web.Application()
    of_json.router.add_get("/api/status", say)
    async with (
        TestServer(app) as server,
        TestServer(of_json) as third,
        await asyncio.start_server(speak, "127.0.0.1", 0) as other,
    ):
        for port in (server.port, third.port, other.sockets[0].getsockname()[1]):
            with pytest.raises(NotRunning):
                await asyncio.to_thread(ask_status, _config(tmp_path, f"127.0.0.1:{port}"))


def test_what_the_daemon_has_bound(tmp_path: Path) -> None:
    """Its addresses by section. Its user may put anything there while root asks: a link is not followed, a pipe not
    waited for, and what tells no addresses is an error that callers name.
    """
    config, path = _config(tmp_path, "127.0.0.1:0"), tmp_path / "listeners.json"
    path.write_text('{"admin": "127.0.0.1:7", "stations.ws": 5}')
    assert bound(config) == {"admin": "127.0.0.1:7", "stations.ws": "5"}
    for wrong in ("[]", "7", "nonsense", "[" * 70000):
        path.write_text(wrong)
        with pytest.raises(ValueError, match=r"."):
            bound(config)
        with pytest.raises(NotRunning, match="does not tell its port"):
            ask_status(config)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        bound(config)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ValueError, match=r"."):
        bound(config)
