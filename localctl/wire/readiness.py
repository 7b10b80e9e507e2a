"""Which of very many sockets are ready, told a turn at a time. Edge.

A loop wraps each event of each socket in objects of its own, which costs more than to pass a short message on. Here the
loop watches one thing, an epoll of ours, and a turn goes through what is ready in it. What is written in a turn is sent
at its end, all together: whoever is sent to is woken once, and not for each message.
"""

import asyncio
import select
import socket
from collections.abc import Callable
from typing import Final, Protocol

MOST: Final = 256  # events of a turn, so that the loop's other work is not late
_IN: Final = ~select.EPOLLOUT  # an error, too, is for whoever reads
_OUT: Final = ~select.EPOLLIN


class Writer(Protocol):
    """Who has written in a turn."""

    def send_queued(self) -> None:
        """The turn ends: send it."""


class Readiness:
    """The sockets of the running loop that are watched so. ``in_turn``: what is written now belongs into ``queue``."""

    def __init__(self) -> None:
        self.in_turn = False
        self.queue: list[Writer] = []
        self._loop = asyncio.get_running_loop()
        self._epoll = select.epoll()
        self._readers: dict[int, Callable[[], None]] = {}
        self._writers: dict[int, Callable[[], None]] = {}
        self._loop.add_reader(self._epoll.fileno(), self._turn)

    def close(self) -> None:
        """Watch nothing any more."""
        if not self._epoll.closed:
            self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()

    def add_reader(self, sock: socket.socket, ready: Callable[[], None]) -> None:
        """Call ``ready`` whenever there is something to read, or the end."""
        self._change(sock.fileno(), self._readers, ready)

    def remove_reader(self, sock: socket.socket) -> None:
        """No more."""
        self._change(sock.fileno(), self._readers, None)

    def add_writer(self, sock: socket.socket, ready: Callable[[], None]) -> None:
        """Call ``ready`` whenever there is room to write."""
        self._change(sock.fileno(), self._writers, ready)

    def remove_writer(self, sock: socket.socket) -> None:
        """No more."""
        self._change(sock.fileno(), self._writers, None)

    def _change(self, fd: int, ready: dict[int, Callable[[], None]], to: Callable[[], None] | None) -> None:
        before = self._interest(fd)
        if to:
            ready[fd] = to
        else:
            ready.pop(fd, None)
        after = self._interest(fd)
        if after == before or self._epoll.closed:
            return
        if not before:
            self._epoll.register(fd, after)
        elif after:
            self._epoll.modify(fd, after)
        else:
            self._epoll.unregister(fd)

    def _interest(self, fd: int) -> int:
        return (select.EPOLLIN if fd in self._readers else 0) | (select.EPOLLOUT if fd in self._writers else 0)

    def _turn(self) -> None:
        readers, writers = self._readers, self._writers
        self.in_turn = True
        for fd, event in self._epoll.poll(0, MOST):
            try:
                if event & _IN and (reader := readers.get(fd)):
                    reader()
                if event & _OUT and (writer := writers.get(fd)):
                    writer()
            except Exception as fault:  # noqa: BLE001  one socket's trouble is not the others'
                self._loop.call_exception_handler(
                    {"message": "a connection failed by a fault of ours", "exception": fault}
                )
        self.in_turn = False
        queue, self.queue = self.queue, []
        for each in queue:
            each.send_queued()
