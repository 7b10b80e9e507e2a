"""Our own CALLs to the CSMS. Edge: one at a time on a connection (4.1.1), each in the turn that ``session`` gives it.

What waits to be sent outlives the connection: the outbox, and the messages that the CSMS has triggered.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError
from websockets.exceptions import ConnectionClosed

from localctl.errors import CallFailed, CallRefused, CallTimedOut, LinkLost
from localctl.metrics import Metrics
from localctl.ocpp import frames, messages
from localctl.store.records import Notification
from localctl.uplink.dial import Answer, Link
from localctl.uplink.offset import ahead
from localctl.uplink.outbox import Outbox
from localctl.uplink.session import Session, Turn

log = logging.getLogger("localctl.uplink")

_LONGEST_SLEEP: Final = 86400.0  # seconds


@dataclass(frozen=True, slots=True)
class Clock:
    """What the uplink measures and makes up: Unix seconds, steady seconds, 0 to 1, a fresh message id."""

    now: Callable[[], float]
    monotonic: Callable[[], float]
    random: Callable[[], float]
    new_id: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Means:
    """What the sender works with.

    ``boot`` makes a BootNotification's payload of its reason; ``settle`` makes it last that a notification was
    answered; ``told`` is called after each turn; ``timeout`` tells how long a CALL waits for its answer, in seconds.
    """

    boot: Callable[[str], frames.Payload]
    settle: Callable[[Notification], Awaitable[None]]
    told: Callable[[], None]
    timeout: Callable[[], float]
    metrics: Metrics
    clock: Clock


class Sender:
    """Everything that we send of our own accord."""

    def __init__(self, session: Session, outbox: Outbox, means: Means) -> None:
        self._session = session
        self._outbox = outbox
        self._means = means
        self._clock = means.clock
        self._triggered: deque[str] = deque()
        self._boot_reason = "PowerUp"
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """There may be something to send."""
        self._wake.set()

    def trigger(self, requested: str) -> None:
        """F06: send this message in its turn."""
        self._triggered.append(requested)
        self._wake.set()

    def boot_again(self) -> None:
        """F06, B02.FR.04: send BootNotification now."""
        self._boot_reason = "Triggered"
        self._session.boot_triggered(self._clock.monotonic())
        self._wake.set()

    async def run(self, link: Link) -> None:
        """Send on ``link`` until cancelled. Raises LinkLost."""
        while True:
            self._wake.clear()
            turn, at = self._session.next_turn(
                self._clock.monotonic(), triggered=bool(self._triggered), outbox_due_at=self._outbox.due_at()
            )
            if turn is None:
                await self._sleep(at - self._clock.monotonic())
            else:
                await self._take(turn, link)
                self._means.told()

    async def _sleep(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(min(seconds, _LONGEST_SLEEP)):
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
        reason, self._boot_reason = self._boot_reason, "PowerUp"
        try:
            answer = await self._call(link, "BootNotification", self._means.boot(reason))
            said = messages.BootNotificationResponse.model_validate(answer)
        except LinkLost:
            raise
        except CallFailed as fault:
            log.warning("%s", fault)
            self._session.boot_unanswered(self._clock.monotonic())
        except ValidationError as fault:
            log.warning("the CSMS answered BootNotification with what is no answer to it: %s", _where(fault))
            self._session.boot_unanswered(self._clock.monotonic())
        else:
            log.info("the CSMS answered BootNotification with %s, interval %d s", said.status, said.interval)
            self._session.boot_answered(said.status, said.interval, self._clock.monotonic())

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
        await self._means.settle(notification)

    async def _send_triggered(self, link: Link) -> None:
        """F06; L03.FR.10, FR.11 for the status of publications. One that the connection swallowed is sent again."""
        requested = self._triggered[0]
        payload: frames.Payload = {}
        if requested == "PublishFirmwareStatusNotification":
            last = self._outbox.status()
            payload = messages.publish_status(last.status, last.request_id) if last else {"status": "Idle"}
        elif requested != "Heartbeat":
            payload = {"status": "Idle"}
        await self._call_quietly(link, requested, payload)
        self._triggered.popleft()

    async def _call_quietly(self, link: Link, action: str, payload: frames.Payload) -> None:
        """A CALL whose answer changes nothing."""
        try:
            await self._call(link, action, payload)
        except (CallRefused, CallTimedOut) as fault:
            log.warning("%s", fault)

    async def _call(self, link: Link, action: str, payload: frames.Payload) -> frames.Payload:
        """Send a CALL and wait for its result. Raises CallFailed."""
        began = self._clock.monotonic()
        said = await self._exchange(link, action, payload)
        offset = ahead(said.get("currentTime"), self._clock.now(), self._clock.monotonic() - began)
        if offset is not None:
            self._means.metrics.clock_offset.set(offset)
        return said

    async def _exchange(self, link: Link, action: str, payload: frames.Payload) -> frames.Payload:
        call = frames.Call(self._clock.new_id(), action, payload)
        waiting: Answer = asyncio.get_running_loop().create_future()
        link.ledger.open(call.id, waiting)
        timeout = self._means.timeout()
        try:
            with self._means.metrics.csms_call_duration.labels(action).time():
                async with asyncio.timeout(timeout):
                    await link.socket.send(frames.encode(call))
                    self._session.sent(self._clock.monotonic())
                    said = await waiting
        except TimeoutError:
            link.ledger.end()
            raise CallTimedOut(action, timeout) from None
        except ConnectionClosed:
            raise LinkLost(action) from None
        if isinstance(said, frames.CallError):
            raise CallRefused(action, _shown(said.code), _shown(said.description))
        return said.payload


def _shown(text: str) -> str:
    """The CSMS's own words, fit for a line of the log."""
    return text[:255].encode("unicode_escape").decode()


def _where(fault: ValidationError) -> str:
    """The fields that are wrong, and how; never what the peer sent."""
    errors = fault.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(f"{'.'.join(str(part) for part in error['loc'])}: {error['msg']}" for error in errors)
