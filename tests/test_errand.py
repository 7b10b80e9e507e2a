"""What the commands say to a daemon, and make of its answers; the journeys prove it with the real one."""

import asyncio
import ctypes
import json
import os
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from localctl.config import Config, parse
from localctl.errand import publish_file, publish_url, unpublish
from localctl.errors import ByHandRefused, NotRunning

NOBODY = 65534


def _config(folder: Path, **admin: str) -> Config:
    tree = {"controller": {"identity": "LC-1", "state_dir": str(folder)}, "csms": {"url": "ws://h/"}, "admin": admin}
    return parse(tree, "test", {})


@asynccontextmanager
async def answering(folder: Path, answer: bytes, *, at_once: bool = False) -> AsyncIterator[list[bytes]]:
    """What stands in for a daemon: it reads a request, or its head if it answers at once, and sends ``answer``."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        length = int(heads[0].lower().partition(b"content-length: ")[2].split()[0])
        if not at_once:
            heads.append(await reader.readexactly(length))
        writer.write(answer)
        writer.close()

    async with await asyncio.start_unix_server(serve, folder / "localctl.sock"):
        yield heads


def _http(*documents: dict[str, Any], status: str = "200 OK") -> bytes:
    body = b"".join(json.dumps(each).encode() + b"\n" for each in documents)
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


async def test_a_file(tmp_path: Path) -> None:
    """Its name, odd as it may be, its MD5 and its bytes are sent; what is going on is told."""
    told: list[dict[str, Any]] = []
    path = tmp_path / "a&b ü.bin"
    path.write_bytes(b"body")
    done = {"checksum": "c", "uris": ["u"]}
    async with answering(tmp_path, _http(done)) as heads:
        config = _config(tmp_path)
        assert await asyncio.to_thread(publish_file, config, path, "", "0" * 32, told.append) == done
    assert heads[0].startswith(b"POST /publish?name=a%26b+%C3%BC.bin&md5=" + b"0" * 32 + b" HTTP/1.1")
    assert heads[1] == b"body"
    assert told == [{"state": "sending", "received": 4, "total": 4}, {"state": "publishing"}]


async def test_the_daemon_wants_no_more(tmp_path: Path) -> None:
    """An answer before the end of the file ends the sending, and is heard."""
    path = tmp_path / "large.bin"
    with path.open("wb") as file:
        file.truncate(2**30)
    answer = _http({"error": "the file is too large"}, status="422 Unprocessable Entity")
    async with answering(tmp_path, answer, at_once=True):
        with pytest.raises(ByHandRefused, match="too large"):
            await asyncio.to_thread(publish_file, _config(tmp_path), path, "", "", lambda _: None)


async def test_a_location(tmp_path: Path) -> None:
    """The lines before the last are what is going on."""
    told: list[dict[str, Any]] = []
    coming, done = {"state": "downloading", "received": 1, "total": None}, {"checksum": "c", "uris": []}
    async with answering(tmp_path, _http(coming, coming, done)) as heads:
        assert await asyncio.to_thread(publish_url, _config(tmp_path), "http://h/", "n", "", told.append) == done
    assert json.loads(heads[1]) == {"location": "http://h/", "name": "n", "md5": ""}
    assert told == [coming, coming]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n\r\n",
        _http({"state": "waiting"}),
        _http(status="500 Oops"),
        b"hello\r\n",
        b"HTTP/1.1 200",
    ],
)
async def test_a_daemon_that_breaks_off(tmp_path: Path, answer: bytes) -> None:
    """It is said that it did, whatever it had said so far."""
    async with answering(tmp_path, answer):
        with pytest.raises(ByHandRefused, match="localctl ended, or broke off"):
            await asyncio.to_thread(publish_url, _config(tmp_path), "http://h/", "", "", lambda _: None)


async def test_withdrawing(tmp_path: Path) -> None:
    """The status of an UnpublishFirmware."""
    async with answering(tmp_path, _http({"status": "NoFirmware"})) as heads:
        assert await asyncio.to_thread(unpublish, _config(tmp_path), "c") == "NoFirmware"
    assert json.loads(heads[1]) == {"checksum": "c"}


def test_nobody_there(tmp_path: Path) -> None:
    """No socket, a socket that nobody is behind, none told of, none wanted: NotRunning."""
    config = _config(tmp_path)
    with pytest.raises(NotRunning, match="No such file"):
        unpublish(config, "c")
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(tmp_path / "stale"))
    (tmp_path / "listeners.json").write_text(json.dumps({"admin.socket": str(tmp_path / "stale")}))
    with pytest.raises(NotRunning, match="refused"):
        unpublish(config, "c")
    (tmp_path / "listeners.json").write_text("{}")
    with pytest.raises(NotRunning, match=r"no admin\.socket"):
        unpublish(config, "c")
    with pytest.raises(NotRunning, match=r"admin\.listen is empty"):
        unpublish(_config(tmp_path, listen=""), "c")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that anybody may look into."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def _as_nobody(config: Config) -> str:
    """What a user without rights is told; run in a thread of its own, whose rights are its own on Linux."""
    if os.geteuid() == 0:
        ctypes.CDLL(None).setfsuid(NOBODY)
    try:
        return unpublish(config, "c")
    except ByHandRefused as fault:
        return str(fault)
    finally:
        ctypes.CDLL(None).setfsuid(os.geteuid())


@pytest.mark.parametrize("forbidden", ["localctl.sock", "listeners.json"])
async def test_a_user_without_the_right(open_folder: Path, forbidden: str) -> None:
    """Who may not use the socket is told who may."""
    async with answering(open_folder, b""):
        (open_folder / "listeners.json").write_text(json.dumps({"admin.socket": str(open_folder / "localctl.sock")}))
        (open_folder / forbidden).chmod(0)
        said = await asyncio.to_thread(_as_nobody, _config(open_folder))
    assert said.startswith(f"{open_folder / forbidden} may not be ")
    assert "as root, or as a member of the group" in said
