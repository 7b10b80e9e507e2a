"""What a CSMS has seen, and waiting for more of it."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from tests.actors.link import CallError, Link
from tests.actors.news import TIMEOUT, News

T = TypeVar("T")


class Record:
    """All connections since the start, open or over, in ``links``; ``controllers`` are the identities of localctl."""

    def __init__(self, controllers: Iterable[str]) -> None:
        self.controllers = set(controllers)
        self.links: list[Link] = []
        self.news = News(self.tail)

    def link(self, identity: str) -> Link:
        """The open connection of ``identity``, the newest if there are several."""
        found = [link for link in self.links if link.identity == identity and link.closed is None]
        assert found, f"{identity} is not connected; connected: {[link.identity for link in self.links]}"
        return found[-1]

    def received(self, identity: str, action: str) -> list[dict[str, Any]]:
        """The payloads of all CALLs of ``action`` that ``identity`` has sent, over all its connections, in order."""
        mine = (link for link in self.links if link.identity == identity)
        return [call.payload for link in mine for call in link.received if call.action == action]

    def statuses(self, request_id: int | None) -> list[dict[str, Any]]:
        """The PublishFirmwareStatusNotifications of one publication, in order; None: those without a requestId."""
        told = (
            payload
            for identity in sorted(self.controllers)
            for payload in self.received(identity, "PublishFirmwareStatusNotification")
        )
        return [payload for payload in told if payload.get("requestId") == request_id]

    async def until(self, condition: Callable[[], T], what: str = "what was waited for", timeout: float = TIMEOUT) -> T:
        """Wait until ``condition()`` holds, asking after each frame and each connection made or lost; its value."""
        return await self.news.until(condition, what, timeout)

    def tail(self) -> str:
        """The last frames of the last connections."""
        frames = [f"{link.identity} {frame}" for link in self.links[-5:] for frame in link.frames[-8:]]
        return "\n".join(["its last frames:", *frames])

    async def connected(self, identity: str, timeout: float = TIMEOUT) -> Link:
        """The connection of ``identity``, once there is one."""
        what = f"a connection of {identity}"
        await self.until(lambda: any(x.identity == identity and x.closed is None for x in self.links), what, timeout)
        return self.link(identity)

    async def controller(self, identity: str = "LC-0001", timeout: float = TIMEOUT) -> Link:
        """The connection of a controller, once it is there and a BootNotification of it has been accepted."""

        def booted() -> bool:
            mine = [link for link in self.links if link.identity == identity]
            return any(link.booted for link in mine) and any(link.closed is None for link in mine)

        await self.until(booted, f"an accepted boot of {identity}", timeout)
        return self.link(identity)

    async def answer(self, identity: str, message_id: str, timeout: float = TIMEOUT) -> dict[str, Any] | CallError:
        """The answer to the message ``message_id`` ("-1": to one that could not be read), once it is there."""
        link = self.link(identity)
        await self.until(lambda: message_id in link.answers or link.closed, f"an answer to {message_id}", timeout)
        assert message_id in link.answers, f"the connection ended before the answer: {link.closed}"
        return link.answers[message_id]

    async def wait_status(self, request_id: int | None, status: str, timeout: float = TIMEOUT) -> dict[str, Any]:
        """The first PublishFirmwareStatusNotification of a publication with ``status``, once it is there."""

        def found() -> list[dict[str, Any]]:
            return [payload for payload in self.statuses(request_id) if payload.get("status") == status]

        return (await self.until(found, f"{status} of publication {request_id}", timeout))[0]
