"""Sending piece by piece, on real sockets."""

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from localctl.serve.sending import Push, send

CONTENT = os.urandom(5 * 2**20)


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The two ends of a connection, neither of which blocks."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for each in (ours, theirs):
            each.setblocking(False)
        yield ours, theirs


def sendfile(path: Path, target: socket.socket) -> Push:
    """A push of a file, 100 kB at the most."""
    source = os.open(path, os.O_RDONLY)
    return lambda at, end: os.sendfile(target.fileno(), source, at, min(end - at, 100_000))


async def test_all_of_it_arrives(ends: tuple[socket.socket, socket.socket], tmp_path: Path) -> None:
    """A part of a file larger than the socket's buffer, and nothing else; then the loop has forgotten the socket."""
    ours, theirs = ends
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    async with asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(send(ours, sendfile(path, ours), 10, len(CONTENT) - 20))
        got = b""
        while len(got) < len(CONTENT) - 20:
            got += await asyncio.get_running_loop().sock_recv(theirs, 2**16)
    assert got == CONTENT[10:-10]
    assert sending.result() == len(got)
    assert not asyncio.get_running_loop().remove_writer(ours)


async def test_a_file_that_ends_too_early(ends: tuple[socket.socket, socket.socket], tmp_path: Path) -> None:
    """It tells how many bytes there were."""
    path = tmp_path / "file"
    path.write_bytes(b"short")
    assert await send(ends[0], sendfile(path, ends[0]), 1, 100) == 4


async def test_a_socket_or_a_file_that_fails(ends: tuple[socket.socket, socket.socket]) -> None:
    """OSError, and the loop has forgotten the socket."""

    def broken(_at: int, _end: int) -> int:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await send(ends[0], broken, 0, 1)
    assert not asyncio.get_running_loop().remove_writer(ends[0])


async def test_cancelled(ends: tuple[socket.socket, socket.socket]) -> None:
    """Nothing is sent any more, and the loop has forgotten the socket."""
    full = asyncio.Event()

    def push(_at: int, _end: int) -> int:
        full.set()
        raise BlockingIOError

    async with asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(send(ends[0], push, 0, 1))
        await full.wait()
        sending.cancel()
    assert sending.cancelled()
    assert not asyncio.get_running_loop().remove_writer(ends[0])
