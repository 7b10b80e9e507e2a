"""Fetching from an HTTP or HTTPS origin. Edge: the wire, and what its answers mean; the publication decides the rest.

One request a try. A partial file is continued by Range with If-Range and only where the 206 fits what we have; a 200 to
a Range starts at 0. Bodies are never decoded. Redirects are followed one by one, at most five, each checked like the
first location; every address that a name resolves to is checked before it is connected to.
"""

import asyncio
import re
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from http.client import responses
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from multidict import CIMultiDictProxy
from yarl import URL

from localctl.config import Firmware
from localctl.errors import OriginFailed, OriginRefused
from localctl.mirror.hosts import address_allowed, host_allowed
from localctl.mirror.origins.sink import Sink
from localctl.mirror.retry import is_final, parse_retry_after
from localctl.mirror.throttle import new_socket, read_size
from localctl.store.records import Resume
from localctl.tls import Tls, explain

MAX_REDIRECTS: Final = 5
_SCHEMES: Final = ("http", "https")
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


class _GuardedResolver(AbstractResolver):
    """Names to addresses that may be connected to (aiohttp does not ask it about literal addresses)."""

    def __init__(self, globs: Callable[[], tuple[str, ...]]) -> None:
        self._globs = globs
        self._resolver = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        try:
            found = await self._resolver.resolve(host, port, family)
        except UnicodeError:  # an empty label, or one above 63 characters
            raise OriginRefused(f"{host[:100]} is no name of a host") from None
        for entry in found:
            if not address_allowed(entry["host"], self._globs()):
                raise OriginRefused(f"{host} resolves to {entry['host']}, which is not among the allowed origins")
        return found

    async def close(self) -> None:
        await self._resolver.close()


class HttpOrigin:
    """A client for origins. ``close`` ends it."""

    def __init__(self, settings: Firmware, tls: Tls, user_agent: str) -> None:
        self._settings = settings
        self._tls = tls
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=_GuardedResolver(lambda: self._settings.allowed_origins),
                use_dns_cache=False,
                force_close=True,
                socket_factory=lambda info: new_socket(*info[:3], self._settings.max_rate),
            ),
            headers={"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": user_agent},
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    def reconfigure(self, settings: Firmware, tls: Tls) -> None:
        """By these from now on; a request that is under way keeps its timeouts."""
        self._settings, self._tls = settings, tls

    async def close(self) -> None:
        """End every connection."""
        await self._session.close()

    async def fetch(self, location: str, resume: Resume, sink: Sink) -> None:
        """Fetch ``location`` into ``sink``, from ``resume.offset`` on where the origin allows it.

        Raises OriginRefused, OriginFailed, and whatever the sink raises.
        """
        try:
            await self._follow(_url(location), resume, sink)
        except aiohttp.InvalidURL:
            raise OriginRefused("the location is not a URL") from None
        except (aiohttp.ClientError, OSError) as fault:
            raise OriginFailed(_words(fault, time.time())) from fault

    async def _follow(self, url: URL, resume: Resume, sink: Sink) -> None:
        headers = _range_headers(resume)
        for _ in range(MAX_REDIRECTS + 1):
            self._check(url)
            async with await self._ask(url, headers) as response:
                target = response.headers.get("Location") if response.status in _REDIRECTS else None
                if target is None:
                    await _receive(response, resume, sink)
                    return
                url = _url(target, url)
        raise OriginRefused(f"the origin redirects more than {MAX_REDIRECTS} times")

    async def _ask(self, url: URL, headers: dict[str, str]) -> aiohttp.ClientResponse:
        settings = self._settings
        connect, idle = settings.connect_timeout_seconds, settings.idle_timeout_seconds
        tls = await asyncio.to_thread(self._tls)
        async with asyncio.timeout(connect + idle):  # a head can drip too
            return await self._session.get(
                url,
                headers=headers,
                allow_redirects=False,
                ssl=tls,
                # aiohttp's own total of 300 s would end every long download
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect, sock_read=idle),
                read_bufsize=read_size(settings.max_rate),
            )

    def _check(self, url: URL) -> None:
        if url.scheme not in _SCHEMES or not url.host:
            raise OriginRefused(f"the origin redirects to a {url.scheme or 'nameless'} location")
        if not host_allowed(url.host, self._settings.allowed_origins):
            raise OriginRefused(f"{url.host} is not among the allowed origins")


async def _receive(response: aiohttp.ClientResponse, resume: Resume, sink: Sink) -> None:
    """Judge the status, then pass the body on."""
    match response.status:
        case 200:
            begun = Resume(0, response.content_length, _validator(response.headers))
            await sink.begin(begun, delimited=_is_delimited(response))
        case 206 if continued := _continued(response.headers, resume):
            await sink.begin(continued, delimited=True)
        case 206 | 416:
            await sink.drop()
            raise OriginFailed("the file has changed at the origin")
        case status if is_final(status) or status < 400:
            raise OriginRefused(_answered(status))
        case status:
            wait = parse_retry_after(response.headers.get("Retry-After"), datetime.now(UTC))
            raise OriginFailed(_answered(status), wait)
    async for data in response.content.iter_any():
        await sink.take(data)


def _url(text: str, base: URL | None = None) -> URL:
    """A location, or a Location relative to ``base``. Raises OriginRefused; its text may hold a password."""
    try:
        return URL(text) if base is None else base.join(URL(text))
    except ValueError:
        what = "the location is not a URL" if base is None else "the origin redirects to what is not a URL"
        raise OriginRefused(what) from None


def _answered(status: int) -> str:
    """A status, for the log, with its own phrase: the origin's could be anything."""
    return f"the origin answered {status} {responses.get(status, '')}".rstrip()


def _words(fault: Exception, now: float) -> str:
    """What went wrong, for the log; never the location, which may hold a password, nor what the origin said."""
    match fault:
        case aiohttp.ConnectionTimeoutError():
            words = "the origin cannot be reached: it took too long to connect"
        case TimeoutError():
            words = "the origin was silent for too long"
        case aiohttp.ClientSSLError() if isinstance(fault.__cause__, ssl.SSLError):
            words = f"TLS with the origin failed: {explain(fault.__cause__, now)}"
        case aiohttp.ClientConnectorDNSError():
            words = f"the origin's name cannot be resolved: {fault.os_error.strerror}"
        case aiohttp.ServerDisconnectedError():  # its own words hold the headers that came, where some did
            words = "the connection to the origin broke: it ended before the answer was there"
        case aiohttp.ClientPayloadError():
            words = "the origin's answer was cut short"
        case aiohttp.ClientResponseError():
            words = "the origin does not speak HTTP"
        case aiohttp.ClientConnectorError():
            words = f"the origin cannot be reached: {fault.os_error.strerror or fault.os_error}"
        case _:
            words = f"the connection to the origin broke: {fault}"
    return words


def _range_headers(resume: Resume) -> dict[str, str]:
    if not resume.offset or not resume.validator:
        return {}
    return {"Range": f"bytes={resume.offset}-", "If-Range": resume.validator}


def _is_delimited(response: aiohttp.ClientResponse) -> bool:
    """Whether the body has a length or is chunked; else its end is that of the connection, whatever ended that."""
    return response.content_length is not None or "chunked" in response.headers.get("Transfer-Encoding", "").lower()


def _validator(headers: CIMultiDictProxy[str]) -> str:
    """A strong ETag, else Last-Modified where the length is known (RFC 9110 §13.1.5), else nothing."""
    etag = headers.get("ETag", "")
    if etag.startswith('"') and etag.isascii():  # other bytes are allowed, and could neither be kept nor sent again
        return etag
    modified = headers.get("Last-Modified", "") if "Content-Length" in headers else ""
    return modified if modified.isascii() else ""


def _continued(headers: CIMultiDictProxy[str], resume: Resume) -> Resume | None:
    """What a 206 brings, if it is what we asked for: the right range of the same file."""
    match = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
    if match is None or int(match[1]) != resume.offset or int(match[2]) != int(match[3]) - 1:
        return None
    total = int(match[3])
    if resume.total not in {None, total}:
        return None
    seen = headers.get("ETag", "") if resume.validator.startswith('"') else headers.get("Last-Modified", "")
    return replace(resume, total=total) if seen in {"", resume.validator} else None
