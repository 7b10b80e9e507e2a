"""The controller's own connection to the CSMS. Edge: sockets and timers; what is sent and answered, the rules say.

One task reads, one sends. When either ends, the connection does, and the next one is dialled after the back-off
(OCPP-J 5.3). What the CSMS has asked for is done to its end even where the connection is lost meanwhile: a publication
that is on record must begin, a withdrawal must not stay half done.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Final

from websockets.exceptions import ConnectionClosed

from localctl.config import Controller, Csms
from localctl.errors import LinkFailed, LinkLost, OcppFault, StorageError
from localctl.metrics import Metrics
from localctl.ocpp import frames, messages
from localctl.store.records import Notification
from localctl.uplink.dial import Dialler, Link
from localctl.uplink.handlers import Handlers, Then
from localctl.uplink.outbox import Outbox
from localctl.uplink.sender import Clock, Means, Sender
from localctl.uplink.session import Backoff, Session

__all__ = ["Clock", "Uplink"]

log = logging.getLogger("localctl.uplink")

MOST_REQUESTS: Final = 16  # taken from a CSMS that does not wait for our answers (4.1.1); more wait in its socket
_BROKEN: Final = 1006


class Uplink:
    """The connection, again and again. ``settle`` makes it last that a notification was answered. ``last_seen`` is when
    the CSMS last sent anything, Unix seconds.
    """

    def __init__(
        self,
        dialler: Dialler,
        controller: Controller,
        settings: Csms,
        outbox: Outbox,
        settle: Callable[[Notification], Awaitable[None]],
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self.session = Session()
        self.link: Link | None = None
        self.last_error = ""
        self.last_seen: float | None = None
        self._dialler = dialler
        self._settings = settings
        self._outbox = outbox
        self._settle = settle
        self._metrics = metrics
        self._clock = clock
        self._work: asyncio.TaskGroup
        self._answering = asyncio.Lock()
        self._room = asyncio.Semaphore(MOST_REQUESTS)
        self._sender = Sender(self.session, outbox, self._means(controller))
        self._changed = asyncio.Event()
        self._count()

    def reconfigure(self, settings: Csms) -> None:
        """For what is dialled and sent from now on; one that waits for its next try has it now, after a change."""
        if settings != self._settings:
            self._changed.set()
        self._settings = settings
        self._dialler = replace(self._dialler, settings=settings)

    def _means(self, who: Controller) -> Means:
        us = (who.vendor_name, who.model, who.serial_number, self._dialler.software)
        return Means(
            lambda reason: messages.boot_notification(reason, *us),
            self._settle_surely,
            self._count,
            lambda: self._settings.call_timeout_seconds,
            self._metrics,
            self._clock,
        )

    @property
    def is_ready(self) -> bool:
        """Whether the connection is open and the CSMS has accepted us."""
        return self.link is not None and self.session.is_accepted

    def notify(self, notifications: Iterable[Notification]) -> None:
        """These are kept: send them in their turn."""
        self._outbox.add(notifications)
        self._count()
        self._sender.wake()

    def trigger(self, requested: str) -> None:
        """F06: send this message in its turn."""
        self._sender.trigger(requested)

    def boot_again(self) -> None:
        """F06, B02.FR.04: send BootNotification now."""
        self._sender.boot_again()

    async def run(self, handlers: Handlers) -> None:
        """Stay connected until cancelled."""
        failures = 0
        async with asyncio.TaskGroup() as self._work:
            while True:
                try:
                    link = await self._dialler.dial()
                    failures = 0  # errata 4.12: the back-off starts again at the minimum
                    await self._serve(link, handlers)
                except LinkFailed as fault:
                    self._metrics.csms_connection_failures.labels(fault.reason).inc()
                    self.last_error = str(fault)
                    failures += 1
                    pause = _backoff(self._settings).delay(failures, self._clock.random())
                    log.warning("no connection to the CSMS: %s; trying again in %.1f s", fault, pause)
                    await self._wait(pause)

    async def _wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        self._changed.clear()

    async def _serve(self, link: Link, handlers: Handlers) -> None:
        """Read and send until the connection ends. Raises LinkFailed."""
        log.info("connected to the CSMS at %s with OCPP %s", self._settings.url, link.version)
        self.link = link
        self._metrics.csms_connects.inc()
        self.session.connected(self._clock.monotonic())
        self._outbox.connected()
        self._count()
        try:
            async with asyncio.TaskGroup() as tasks:
                sending = tasks.create_task(self._sender.run(link), name="uplink sender")
                await self._read(link, handlers)
                sending.cancel()
        except* (ConnectionClosed, LinkLost):
            pass
        except* Exception:  # ours, whatever it is: it costs this connection, and no relay
            log.exception("the connection to the CSMS ends by a fault of localctl")
        finally:
            self.link = None
            self._changed.clear()  # that was for the next dial, which comes after its pause
            self._count()
            await link.socket.close(1001)
        raise LinkFailed("closed", _ending(link.socket.close_code or _BROKEN, link.socket.close_reason or ""))

    async def _read(self, link: Link, handlers: Handlers) -> None:
        async for text in link.socket:
            self.last_seen = self._clock.now()
            self._metrics.csms_last_seen.set(self.last_seen)
            try:
                await self._received(link, text if isinstance(text, str) else "", handlers)
            except OcppFault as fault:
                await link.socket.send(_refusal(fault))

    async def _received(self, link: Link, text: str, handlers: Handlers) -> None:
        match frames.parse(text, link.version):
            case frames.Call() as call:
                await self._room.acquire()
                self._begin(self._answer(link, call, handlers), f"answer to {call.action[:50]!a}")
            case frames.CallResult() | frames.CallError() as answer:
                waiting = link.ledger.settle(answer.id)
                if waiting is None or waiting.done():
                    log.debug("ignored an answer to nothing, or a late one")
                else:
                    waiting.set_result(answer)
            case frames.Ignored(reason):
                log.debug("ignored a message: %s", reason)

    async def _answer(self, link: Link, call: frames.Call, handlers: Handlers) -> None:
        """Do what was asked, answer, then do what follows; one at a time and in order, over all connections."""
        try:
            async with self._answering:
                text, then = await _reply(link, call, handlers)
                try:
                    await link.socket.send(text)
                except ConnectionClosed:
                    log.warning("the connection ended before %a was answered", call.action[:50])
                if then:
                    then()
        finally:
            self._room.release()

    def _begin(self, work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
        """Start what goes on where the connection ends meanwhile."""

        async def guarded() -> None:
            try:
                await work
            except Exception:  # whatever it is, it ends neither the connection nor a relay
                log.exception("%s failed by a fault of localctl", name)

        return self._work.create_task(guarded(), name=name)

    async def _settle_surely(self, notification: Notification) -> None:
        await asyncio.shield(self._begin(self._settled(notification), "settling a notification"))

    async def _settled(self, notification: Notification) -> None:
        try:
            await self._settle(notification)
        except StorageError as fault:
            log.error("a notification will be sent again after a restart: %s", fault)

    def _count(self) -> None:
        self._metrics.csms_connected.set(self.is_ready)
        self._metrics.csms_queue_messages.set(len(self._outbox))
        self._metrics.csms_queue_oldest.set(self._outbox.oldest())


def _backoff(settings: Csms) -> Backoff:
    return Backoff(
        settings.retry_backoff_wait_minimum_seconds,
        settings.retry_backoff_random_range_seconds,
        settings.retry_backoff_repeat_times,
    )


async def _reply(link: Link, call: frames.Call, handlers: Handlers) -> tuple[str, Then]:
    """The answer to a CALL, and what follows it."""
    try:
        reply = await handlers.handle(call, link.version)
        return frames.encode(frames.CallResult(call.id, reply.payload)), reply.then
    except OcppFault as fault:
        return _refusal(fault), None
    except Exception:  # ours: the CSMS is told so
        log.exception("%a failed by a fault of localctl", call.action[:50])
        return _refusal(OcppFault("InternalError", "a fault of localctl", call.id)), None


def _refusal(fault: OcppFault) -> str:
    log.warning("the CSMS sent what is answered with %s", fault)
    return frames.encode(frames.CallError(fault.message_id, fault.code, fault.description))


def _ending(code: int, reason: str) -> str:
    """How a connection ended: nobody sends the code of one that broke (RFC 6455 7.1.5)."""
    if code == _BROKEN and not reason:
        return f"the connection broke off ({code})"
    return f"the connection was closed with {code}{f' ({reason!a})' if reason else ''}"
