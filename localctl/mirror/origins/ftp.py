"""Fetching from an FTP origin, plain (ftp://) or over TLS (ftps://, AUTH TLS). Edge: it joins ftplib to the loop.

By the standard library's ftplib in a thread: it never takes the address of a PASV answer for true, it bounds its lines,
and a data connection of it can take up the TLS session of the control connection, which vsftpd and others insist on.
aioftp's client cannot do the last, and would be one more dependency. Names are resolved and connected to on the loop,
where each address is checked; a thread then waits for one socket at a time, and a cancellation shuts that down.

Passive only. SIZE and MDTM together prove that the origin has the same file as before; then it is continued by REST.
"""

import asyncio
import re
import socket
import ssl
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from ftplib import FTP_PORT, Error, error_perm, error_reply, error_temp
from typing import Final, TypeVar
from urllib.parse import unquote_to_bytes, urlsplit

from localctl.config import Firmware
from localctl.errors import OriginFailed, OriginRefused
from localctl.mirror.hosts import address_allowed, host_allowed
from localctl.mirror.origins.ftp_session import Session
from localctl.mirror.origins.sink import Sink
from localctl.mirror.throttle import new_socket, read_size
from localctl.store.records import Resume
from localctl.store.unbroken import see_out
from localctl.tls import Tls, explain

T = TypeVar("T")
_TYPE: Final = re.compile(r";type=[a-z]$", re.IGNORECASE)  # RFC 1738, 3.2.2
_ANSWERS: Final = {
    "421": "the origin has no room for us now (421)",
    "530": "the origin refuses the user or the password (530)",
    "550": "the origin has no such file, or does not let us read it (550)",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a location leads; texts are bytes of the wire in Latin-1."""

    host: str
    port: int
    tls: bool
    path: str
    user: str = field(repr=False)
    password: str = field(repr=False)


class FtpOrigin:
    """A client for origins. ``close`` ends it."""

    def __init__(self, settings: Firmware, tls: Tls) -> None:
        self._settings = settings
        self._tls = tls
        self._threads = _threads(settings)

    def reconfigure(self, settings: Firmware, tls: Tls) -> None:
        """By these from now on; a session that is under way keeps its TLS."""
        if settings.max_concurrent_downloads != self._settings.max_concurrent_downloads:
            self._threads.shutdown(wait=False)  # what they are at is seen out; what follows goes to the others
            self._threads = _threads(settings)
        self._settings, self._tls = settings, tls

    @property
    def _talk_seconds(self) -> float:
        return self._settings.connect_timeout_seconds + self._settings.idle_timeout_seconds

    async def close(self) -> None:
        """End the threads; every fetch has ended before."""
        self._threads.shutdown()

    async def fetch(self, location: str, resume: Resume, sink: Sink) -> None:
        """Fetch ``location`` into ``sink``, from ``resume.offset`` on where the origin has the same file still.

        Raises OriginRefused, OriginFailed, and whatever the sink raises.
        """
        place = place_of(location)
        if not host_allowed(place.host, self._settings.allowed_origins):
            raise OriginRefused(f"{place.host} is not among the allowed origins")
        tls = await asyncio.to_thread(self._tls)
        control = await self._connect(place)
        session = Session(control, place.host, tls, self._settings)
        try:
            await self._fetch(session, place, resume, sink)
        except (Error, EOFError, OSError) as fault:
            raise _named(fault) from fault
        finally:
            session.close()  # no thread is at it any more

    async def _fetch(self, session: Session, place: Place, resume: Resume, sink: Sink) -> None:
        async with asyncio.timeout(self._talk_seconds):  # an answer can drip too
            await self._in_thread(session, lambda: session.enter(place.user, place.password, tls=place.tls))
            known = await self._in_thread(session, lambda: session.ask(place.path))
            same = bool(resume.validator) and (known.total, known.validator) == (resume.total, resume.validator)
            offset = resume.offset if same else 0
            try:
                offset = await self._in_thread(session, lambda: session.retrieve(place.path, offset))
            except error_perm as fault:
                if not offset:
                    raise
                await sink.drop()
                raise OriginFailed("the origin does not continue the file") from fault
        await sink.begin(Resume(offset, known.total, known.validator), delimited=known.total is not None)
        await self._receive(session, offset, known.total, sink)

    async def _receive(self, session: Session, offset: int, total: int | None, sink: Sink) -> None:
        """Until all is here: where the size is known, nobody need wait for an answer that may have been lost."""
        size = read_size(self._settings.max_rate)
        while total is None or offset < total:
            data = await self._in_thread(session, lambda: session.read(size))
            if not data:
                break
            await sink.take(data)
            offset += len(data)
        if total is None:
            async with asyncio.timeout(self._talk_seconds):
                await self._in_thread(session, session.voidresp)  # 226, or what went wrong
        elif offset < total:
            raise OriginFailed("the origin's file was cut short")
        elif offset > total:
            await sink.drop()
            raise OriginFailed("the origin sent more than the size that it told")

    async def _connect(self, place: Place) -> socket.socket:
        loop, fault = asyncio.get_running_loop(), OSError("it has no address")
        try:
            async with asyncio.timeout(self._settings.connect_timeout_seconds):
                for family, kind, protocol, address in await self._resolve(place):
                    made = new_socket(family, kind, protocol, 0)
                    try:
                        made.setblocking(False)
                        await loop.sock_connect(made, address)
                    except OSError as refused:
                        made.close()
                        fault = refused
                    except BaseException:
                        made.close()
                        raise
                    else:
                        return made
        except TimeoutError:
            raise OriginFailed("the origin cannot be reached: it took too long to connect") from None
        raise OriginFailed(f"the origin cannot be reached: {fault.strerror or fault}") from fault

    async def _resolve(self, place: Place) -> list[tuple[int, int, int, tuple[object, ...]]]:
        """The addresses to try, each of which may be connected to."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
        except UnicodeError:
            raise OriginRefused(f"{place.host[:100]} is no name of a host") from None
        except socket.gaierror as fault:
            raise OriginFailed(f"the origin's name cannot be resolved: {fault.strerror}") from fault
        for *_, address in found:
            if not address_allowed(str(address[0]), self._settings.allowed_origins):
                words = f"{place.host} resolves to {address[0]}, which is not among the allowed origins"
                raise OriginRefused(words)
        return [(family, kind, protocol, address) for family, kind, protocol, _, address in found]

    async def _in_thread(self, session: Session, work: Callable[[], T]) -> T:
        """Do ``work``, which waits for a socket of ``session``; a cancellation ends the session, and so the work."""
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError:
            session.end()
            try:
                await see_out(future)
            finally:
                future.exception()  # nobody asks for it any more
            raise
        return future.result()


def _threads(settings: Firmware) -> ThreadPoolExecutor:
    """One for each download."""
    return ThreadPoolExecutor(settings.max_concurrent_downloads, thread_name_prefix="ftp-origin")


def place_of(location: str) -> Place:
    """Read a location. The path is below the folder that a login leads to, as in RFC 1738; ``%2F`` at its begin is the
    root. Raises OriginRefused; its text may hold a password.
    """
    parts = urlsplit(location)
    path = _TYPE.sub("", parts.path[1:]) + (f"?{parts.query}" if parts.query else "")
    texts = [unquote_to_bytes(text or "").decode("latin-1") for text in (path, parts.username, parts.password)]
    if any(ord(character) < 32 or ord(character) == 127 for text in texts for character in text):
        raise OriginRefused("the location has control characters")  # a line of its own would be a command
    if not texts[0] or texts[0].endswith("/"):
        raise OriginRefused("the location names no file")
    tls = parts.scheme.lower() == "ftps"
    return Place(parts.hostname or "", parts.port or FTP_PORT, tls, *texts)


def _named(fault: Exception) -> OriginFailed | OriginRefused:
    """What went wrong, for the log; never an answer's own words, which may repeat a password."""
    match fault:
        case error_perm():
            return OriginRefused(_answered(fault))
        case error_temp() | error_reply():
            words = _answered(fault)
        case ssl.SSLError():
            words = f"TLS with the origin failed: {explain(fault, time.time())}"
        case TimeoutError():
            words = "the origin was silent for too long"
        case EOFError():
            words = "the origin closed the connection"
        case OSError():
            words = f"the connection to the origin broke: {fault.strerror or fault}"
        case _:
            words = "the origin does not speak FTP"
    return OriginFailed(words)


def _answered(fault: Exception) -> str:
    code = str(fault)[:3]
    return _ANSWERS.get(code, f"the origin answered {code}" if code.isdecimal() else "the origin does not speak FTP")
