"""Which of very many sockets are ready, told a turn at a time. Edge.

A loop wraps each event of each socket in objects of its own, which costs more than to pass a short message on. Here the
loop watches one thing, an epoll of ours, and a turn goes through what is ready in it, round by round while much is.
What is written in a round is sent at its end, all together: whoever is sent to is woken once, not for each message. A
round is small: what it has read is still in the core's nearest cache when it is sent.

What a turn reads itself is watched edge-triggered (epoll(7)): the kernel does not look again at each socket that was
ready. A read of fewer bytes than there is room for has taken all; where the kernel tells of anything else, the end or
urgent data, the socket's own reader is told each time from then on.
"""

import asyncio
import select
import socket
import time
from collections.abc import Callable
from typing import ClassVar, Final, Protocol

READ: Final = 16 * 1024  # the most that malloc gives quickly; asyncio's 256 KiB cost more than the system call
MOST: Final = 256  # events of a turn, so that the loop's other work is not late
EACH: Final = 32  # events of a round: what they bring is still in the core's cache when it is sent
_MANY: Final = 8  # events of a round after which another is likely to find more
_INPUT: Final = select.EPOLLIN
_EDGE: Final = select.EPOLLIN | select.EPOLLPRI | select.EPOLLRDHUP | select.EPOLLET
_IN: Final = ~select.EPOLLOUT  # an error, too, is for whoever reads
_OUT: Final = ~select.EPOLLIN


class Link(Protocol):
    """A transport, as far as a turn deals with it itself: what costs a call less for each message."""

    full: ClassVar[tuple[type[OSError], ...]]
    direct: bool
    most: int  # bytes to be sent at once
    queued: bytes
    recv: Callable[..., bytes]
    send: Callable[..., int]
    receive: Callable[[bytes], None]

    def send_now(self, data: bytes) -> None:
        """Send ``queued``, which is empty by then, where the link is not ``direct`` or there is more than ``most``."""

    def keep(self, data: bytes, sent: int) -> None:
        """Of ``data``, which was ``queued``, only so many bytes could be sent."""

    def end_of_stream(self) -> None:
        """The peer sends no more."""

    def lose(self, fault: OSError | None) -> None:
        """The connection has ended by that."""


class Readiness:
    """The sockets of the running loop that are watched so. ``in_turn``: what is written now belongs into ``queue``.

    ``at`` is when the round began, Unix seconds.
    """

    def __init__(self) -> None:
        self.in_turn = False
        self.at = time.time()
        self.queue: list[Link] = []
        self._loop = asyncio.get_running_loop()
        self._epoll = select.epoll()
        self._readers: dict[int, Callable[[], None]] = {}
        self._writers: dict[int, Callable[[], None]] = {}
        self._links: dict[int, Link] = {}
        self._loop.add_reader(self._epoll.fileno(), self._turn)

    def close(self) -> None:
        """Watch nothing any more."""
        if not self._epoll.closed:
            self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()

    def add_reader(self, sock: socket.socket, ready: Callable[[], None]) -> None:
        """Call ``ready`` whenever there is something to read, or the end."""
        self._change(sock.fileno(), self._readers, ready)

    def add_link(self, sock: socket.socket, ready: Callable[[], None], link: Link) -> None:
        """Read for ``link``, and call ``ready`` for all that is not simply bytes."""
        self._links[sock.fileno()] = link
        self._change(sock.fileno(), self._readers, ready)

    def remove_reader(self, sock: socket.socket) -> None:
        """No more."""
        self._links.pop(sock.fileno(), None)
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
        if fd in self._writers:
            return select.EPOLLOUT | (select.EPOLLIN if fd in self._readers else 0)
        if fd in self._readers:
            return _EDGE if fd in self._links else select.EPOLLIN
        return 0

    def do(self, work: Callable[[], None]) -> None:
        """A turn of its own for what no event tells of."""
        self.in_turn = True
        self.at = time.time()
        try:
            work()
        finally:
            self._send()

    def _turn(self) -> None:
        left, found = MOST, _MANY
        while left > 0 and found >= _MANY:
            found = self._round(left)
            left -= found

    def _round(self, most: int) -> int:
        """Read what is ready and send what comes of it; how many were ready."""
        links = self._links
        self.in_turn = True
        self.at = time.time()
        events = self._epoll.poll(0, min(most, EACH))
        for fd, event in events:
            try:
                if event == _INPUT and (link := links.get(fd)):
                    recv, receive = link.recv, link.receive
                    try:
                        data = recv(READ)
                    except link.full:
                        continue
                    except OSError as fault:
                        link.lose(fault)
                        continue
                    if data:
                        if len(data) == READ:
                            self._epoll.modify(fd, self._interest(fd))  # there may be more: have it told
                        receive(data)
                    else:
                        link.end_of_stream()
                else:
                    self._tell(fd, event)
            except Exception as fault:  # noqa: BLE001  one socket's trouble is not the others'
                self._complain(fault)
        self._send()
        return len(events)

    def _send(self) -> None:
        self.in_turn = False
        for link in self.queue:
            data = link.queued
            link.queued = b""
            if not data:
                continue
            try:
                if link.direct and len(data) <= link.most:
                    if (sent := link.send(data)) < len(data):
                        link.keep(data, sent)
                else:
                    link.send_now(data)
            except link.full:
                link.keep(data, 0)
            except OSError as fault:
                link.lose(fault)
            except Exception as fault:  # noqa: BLE001  as above
                self._complain(fault)
        self.queue.clear()

    def _complain(self, fault: Exception) -> None:
        told = {"message": "a connection failed by a fault of ours", "exception": fault}
        self._loop.call_exception_handler(told)

    def _tell(self, fd: int, event: int) -> None:
        if event & ~(_INPUT | select.EPOLLOUT) and fd in self._links:
            del self._links[fd]
            self._epoll.modify(fd, self._interest(fd))  # from now on its reader, which reads once, is told each time
        if event & _IN and (reader := self._readers.get(fd)):
            reader()
        if event & _OUT and (writer := self._writers.get(fd)):
            writer()
