"""The controller's own connection to the CSMS. Edge: sockets and timers; what is sent and answered, the rules say.

One task reads and answers, one sends a CALL at a time (4.1.1) and waits for its answer or the timeout. When either
ends, the connection does, and the next one is dialled after the back-off (OCPP-J 5.3).
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from pydantic import ValidationError
from websockets.exceptions import ConnectionClosed

from localctl.config import Controller, Csms
from localctl.errors import CallFailed, CallRefused, CallTimedOut, LinkFailed, LinkLost, OcppFault, StorageError
from localctl.metrics import Metrics
from localctl.ocpp import frames, messages
from localctl.store.records import Notification
from localctl.uplink.dial import Answer, Dialler, Link
from localctl.uplink.handlers import Handlers
from localctl.uplink.outbox import Outbox
from localctl.uplink.session import Backoff, Session, Turn

log = logging.getLogger("localctl.uplink")


@dataclass(frozen=True, slots=True)
class Clock:
    """What the uplink measures and makes up: Unix seconds, steady seconds, 0 to 1, a fresh message id."""

    now: Callable[[], float]
    monotonic: Callable[[], float]
    random: Callable[[], float]
    new_id: Callable[[], str]


class Uplink:
    """The connection, again and again. ``settle`` makes it last that a notification was answered."""

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
        self._dialler = dialler
        self._controller = controller
        self._settings = settings
        self._outbox = outbox
        self._settle = settle
        self._metrics = metrics
        self._clock = clock
        self._triggered: deque[str] = deque()
        self._boot_reason = "PowerUp"
        self._wake = asyncio.Event()
        self._backoff = Backoff(
            settings.retry_backoff_wait_minimum_seconds,
            settings.retry_backoff_random_range_seconds,
            settings.retry_backoff_repeat_times,
        )
        self._count()

    @property
    def is_ready(self) -> bool:
        """Whether the connection is open and the CSMS has accepted us."""
        return self.link is not None and self.session.is_accepted

    def notify(self, notifications: Iterable[Notification]) -> None:
        """These are kept: send them in their turn."""
        self._outbox.add(notifications)
        self._count()
        self._wake.set()

    def trigger(self, requested: str) -> None:
        """F06: send this message in its turn."""
        self._triggered.append(requested)
        self._wake.set()

    def boot_again(self) -> None:
        """F06, B02: send BootNotification now."""
        self._boot_reason = "Triggered"
        self.session.boot_triggered(self._clock.monotonic())
        self._wake.set()

    async def run(self, handlers: Handlers) -> None:
        """Stay connected until cancelled."""
        failures = 0
        while True:
            try:
                link = await self._dialler.dial()
                failures = 0  # errata 4.12: the back-off starts again at the minimum
                await self._serve(link, handlers)
            except LinkFailed as fault:
                self._metrics.csms_connection_failures.labels(fault.reason).inc()
                self.last_error = str(fault)
                failures += 1
                pause = self._backoff.delay(failures, self._clock.random())
                log.warning("no connection to the CSMS: %s; trying again in %.1f s", fault, pause)
                await asyncio.sleep(pause)

    async def _serve(self, link: Link, handlers: Handlers) -> None:
        """Read and send until the connection ends. Raises LinkFailed."""
        log.info("connected to the CSMS at %s with OCPP %s", self._settings.url, link.version)
        self.link = link
        self._metrics.csms_connects.inc()
        self.session.connected(self._clock.monotonic())
        self._outbox.connected()
        try:
            async with asyncio.TaskGroup() as tasks:
                sending = tasks.create_task(self._send_turns(link), name="uplink sender")
                await self._read(link, handlers)
                sending.cancel()
        except* (ConnectionClosed, LinkLost):
            pass
        finally:
            self.link = None
            self._count()
            await link.socket.close(1001)
        code, reason = link.socket.close_code, link.socket.close_reason
        raise LinkFailed("closed", f"the connection was closed with {code} {reason or ''}".rstrip())

    async def _read(self, link: Link, handlers: Handlers) -> None:
        async for text in link.socket:
            self._metrics.csms_last_seen.set(self._clock.now())
            try:
                await self._received(link, text if isinstance(text, str) else "", handlers)
            except OcppFault as fault:
                log.warning("the CSMS sent what is answered with %s", fault)
                refusal = frames.CallError(fault.message_id, fault.code, fault.description)
                await link.socket.send(frames.encode(refusal))

    async def _received(self, link: Link, text: str, handlers: Handlers) -> None:
        match frames.parse(text, link.version):
            case frames.Call() as call:
                reply = await handlers.handle(call, link.version)
                await link.socket.send(frames.encode(frames.CallResult(call.id, reply.payload)))
                if reply.then:
                    reply.then()
            case frames.CallResult() | frames.CallError() as answer:
                waiting = link.ledger.settle(answer.id)
                if waiting is None or waiting.done():
                    log.debug("ignored an answer to nothing, or a late one")
                else:
                    waiting.set_result(answer)
            case frames.Ignored(reason):
                log.debug("ignored a message: %s", reason)

    async def _send_turns(self, link: Link) -> None:
        while True:
            self._wake.clear()
            turn, at = self.session.next_turn(
                self._clock.monotonic(), triggered=bool(self._triggered), outbox_due_at=self._outbox.due_at()
            )
            if turn is None:
                await self._sleep(at - self._clock.monotonic())
            else:
                await self._take(turn, link)
                self._count()

    async def _sleep(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(min(seconds, 86400)):
                await self._wake.wait()

    async def _take(self, turn: Turn, link: Link) -> None:
        match turn:
            case Turn.BOOT:
                await self._boot(link)
            case Turn.NOTIFICATION:
                await self._send_notification(link)
            case Turn.TRIGGERED:
                await self._send_triggered(link)
            case Turn.HEARTBEAT:
                await self._call_quietly(link, "Heartbeat", {})

    async def _boot(self, link: Link) -> None:
        """B01 to B03."""
        who = self._controller
        payload = messages.boot_notification(
            self._boot_reason, who.vendor_name, who.model, who.serial_number, self._dialler.software
        )
        try:
            said = messages.BootNotificationResponse.model_validate(await self._call(link, "BootNotification", payload))
        except LinkLost:
            raise
        except (CallFailed, ValidationError) as fault:
            log.warning("BootNotification was not answered properly: %s", fault)
            self.session.boot_unanswered(self._clock.monotonic())
            return
        log.info("the CSMS answered BootNotification with %s, interval %d s", said.status, said.interval)
        self.session.boot_answered(said.status, said.interval, self._clock.monotonic())

    async def _send_notification(self, link: Link) -> None:
        notification = self._outbox.sent()
        payload = messages.publish_status(notification.status, notification.request_id, notification.location)
        try:
            await self._call(link, "PublishFirmwareStatusNotification", payload)
        except CallTimedOut as fault:
            log.warning("%s", fault)
            self._outbox.timed_out(self._clock.monotonic())
            return
        except CallRefused as fault:  # an answer all the same
            log.warning("%s", fault)
        self._outbox.answered()
        try:
            await self._settle(notification)
        except StorageError as fault:
            log.error("a notification will be sent again after a restart: %s", fault)  # noqa: TRY400  no bug of ours

    async def _send_triggered(self, link: Link) -> None:
        """F06; L03.FR.10, FR.11 for the status of publications."""
        requested = self._triggered.popleft()
        payload: frames.Payload = {}
        if requested == "PublishFirmwareStatusNotification":
            last = self._outbox.status()
            payload = messages.publish_status(last.status, last.request_id) if last else {"status": "Idle"}
        elif requested != "Heartbeat":
            payload = {"status": "Idle"}
        await self._call_quietly(link, requested, payload)

    async def _call_quietly(self, link: Link, action: str, payload: frames.Payload) -> None:
        """A CALL whose answer changes nothing."""
        try:
            await self._call(link, action, payload)
        except (CallRefused, CallTimedOut) as fault:
            log.warning("%s", fault)

    async def _call(self, link: Link, action: str, payload: frames.Payload) -> frames.Payload:
        """Send a CALL and wait for its result. Raises CallFailed."""
        call = frames.Call(self._clock.new_id(), action, payload)
        waiting: Answer = asyncio.get_running_loop().create_future()
        link.ledger.open(call.id, waiting)
        timeout = self._settings.call_timeout_seconds
        try:
            with self._metrics.csms_call_duration.labels(action).time():
                await link.socket.send(frames.encode(call))
                self.session.sent(self._clock.monotonic())
                async with asyncio.timeout(timeout):
                    said = await waiting
        except TimeoutError:
            link.ledger.end()
            raise CallTimedOut(action, timeout) from None
        except ConnectionClosed:
            raise LinkLost(action) from None
        if isinstance(said, frames.CallError):
            raise CallRefused(action, said.code, said.description)
        return said.payload

    def _count(self) -> None:
        self._metrics.csms_connected.set(self.is_ready)
        self._metrics.csms_queue_messages.set(len(self._outbox))
        self._metrics.csms_queue_oldest.set(self._outbox.oldest())
