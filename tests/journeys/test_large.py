"""A 300 MiB file from nginx: memory and the main loop while it is published, and every client that fetches it."""

import asyncio
import ftplib
import hashlib
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from tests.actors.csms import Csms
from tests.actors.daemon import Daemon
from tests.actors.nginx import Nginx
from tests.actors.noise import starved
from tests.actors.site import LC

SIZE = 300 * 2**20
MIDDLE = SIZE // 2 + 12_345
MEBIBYTE = 2**20


async def test_300_mib(tmp_path: Path) -> None:
    """Flat memory and a loop in time while it is fetched; then curl, wget, BusyBox, lftp, ftplib, HTTP/1.0 get it."""
    original = _make(tmp_path / "www" / "fw.bin")
    checksum = _md5(original)
    async with (
        Csms() as csms,
        Nginx(tmp_path / "nginx", original.parent) as nginx,
        Daemon(tmp_path / "lc", csms.url, {"log": {"level": "info"}}) as daemon,
    ):
        await daemon.ready()
        await csms.controller()
        idle = daemon.rss()
        with _watched(daemon.pid) as watched:
            request = {"requestId": 1, "location": f"{nginx.url}/fw.bin", "checksum": checksum}
            assert await csms.call(LC, "PublishFirmware", request) == {"status": "Accepted"}
            uris = (await csms.wait_status(1, "Published", timeout=240))["location"]
        lag = await daemon.metric("localctl_event_loop_lag_seconds", loop="main")
        assert watched.worst_rss - idle < 40 * MEBIBYTE
        noise = max(watched.worst_lag, watched.starved)
        assert lag < 0.05 + noise, f"the main loop was late by {lag:.3f} s, the machine's noise was {noise:.3f} s"
        for uri, client in _clients(uris):
            target = _half(original, tmp_path / "half.bin")
            await asyncio.to_thread(client, uri, target)
            assert _md5(target) == checksum, f"{client.__name__} {uri}"


def _clients(uris: list[str]) -> Iterator[tuple[str, Callable[[str, Path], None]]]:
    http, ftp = uris
    for uri in (http, ftp):
        for client in (curl, wget, busybox_wget, lftp):
            yield uri, client
    yield ftp, ftplib_client
    yield http, http_1_0


def curl(uri: str, target: Path) -> None:
    """curl, resuming."""
    _run("curl", "-sS", "--fail", "-C", "-", "-o", str(target), uri)


def wget(uri: str, target: Path) -> None:
    """GNU wget, resuming."""
    _run("wget", "-q", "-c", "-O", str(target), uri)


def busybox_wget(uri: str, target: Path) -> None:
    """BusyBox wget, resuming."""
    _run("busybox", "wget", "-q", "-c", "-O", str(target), uri)


def lftp(uri: str, target: Path) -> None:
    """lftp, resuming."""
    _run("lftp", "-c", f"set net:max-retries 1; set cmd:fail-exit true; get -c {uri} -o {target}")


def ftplib_client(uri: str, target: Path) -> None:
    """The standard library's FTP, with REST."""
    parts = urlsplit(uri)
    with ftplib.FTP(timeout=60) as client, target.open("ab") as file:
        client.connect(parts.hostname or "", parts.port or 21)
        client.login()
        client.retrbinary(f"RETR {parts.path}", file.write, MEBIBYTE, rest=file.tell())


def http_1_0(uri: str, target: Path) -> None:
    """A raw HTTP/1.0 client without a Host header, with a Range."""
    parts = urlsplit(uri)
    with socket.create_connection((parts.hostname or "", parts.port or 80), 60) as link, target.open("ab") as file:
        start = file.tell()
        link.sendall(f"GET {parts.path} HTTP/1.0\r\nRange: bytes={start}-\r\n\r\n".encode())
        stream = link.makefile("rb")
        assert stream.readline().split()[1] == b"206"
        while stream.readline().strip():
            pass
        shutil.copyfileobj(stream, file, MEBIBYTE)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"


def _make(path: Path) -> Path:
    path.parent.mkdir()
    with path.open("wb") as file:
        for _ in range(SIZE // MEBIBYTE):
            file.write(os.urandom(MEBIBYTE))
    return path


def _half(original: Path, target: Path) -> Path:
    with original.open("rb") as source, target.open("wb") as file:
        left = MIDDLE
        while left:
            left -= file.write(source.read(min(left, MEBIBYTE)))
    return target


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


class _Watch:
    """The largest memory of a process; and the machine's own noise: how late a thread was that did nothing but look,
    and how long in all the process's main thread was ready to run and got no core.
    """

    worst_rss = 0
    worst_lag = 0.0
    starved = 0.0


@contextmanager
def _watched(pid: int) -> Iterator[_Watch]:
    watch, over, process = _Watch(), threading.Event(), psutil.Process(pid)
    starved_before = starved(pid)

    def look() -> None:
        while True:
            began = time.monotonic()
            if over.wait(0.02):
                return
            watch.worst_lag = max(watch.worst_lag, time.monotonic() - began - 0.02)
            watch.worst_rss = max(watch.worst_rss, process.memory_info().rss)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield watch
    finally:
        over.set()
        thread.join()
        watch.starved = starved(pid) - starved_before


@pytest.fixture(autouse=True)
def _clean(tmp_path: Path) -> Iterator[None]:
    """Large files are not kept for three runs, as pytest keeps its folders."""
    yield
    shutil.rmtree(tmp_path, ignore_errors=True)
