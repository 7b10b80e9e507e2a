"""How often the status is made, and what counts as new. Clocks are the test's."""

import asyncio
from collections.abc import Iterator
from typing import Any

from localctl.admin.feed import INTERVAL_SECONDS, PER_SECOND, Feed
from localctl.admin.stream import JSON
from tests.admin.samples import station


class Source:
    """What a feed is made of, to be changed by a test, and how often it was asked."""

    def __init__(self, stations: int = 0) -> None:
        self.now = 100.0
        self.summary: dict[str, Any] = {"disk": 1, "ready": True}
        self.count = stations
        self.asked = {"summary": 0, "stations": 0}

    def feed(self) -> Feed:
        return Feed(JSON, self._summary, self._stations, lambda: self.now, lambda: 0.0)

    def _summary(self) -> dict[str, Any]:
        self.asked["summary"] += 1
        return dict(self.summary)

    def _stations(self) -> Iterator[dict[str, Any]]:
        self.asked["stations"] += 1
        return (station(f"CS-{number}") for number in range(self.count))


async def test_made_once_a_second_for_all() -> None:
    """However many ask, and not at all while nobody does."""
    source = Source(1)
    feed = source.feed()
    assert source.asked == {"summary": 0, "stations": 0}
    await asyncio.gather(*(feed.current() for _ in range(5)))
    assert source.asked == {"summary": 1, "stations": 1}
    source.now += INTERVAL_SECONDS
    await asyncio.gather(*(feed.current() for _ in range(5)))
    assert source.asked == {"summary": 2, "stations": 2}


async def test_only_what_differs_is_new() -> None:
    """A part that is as it was keeps its version; one that is not has a higher one than all before it."""
    source = Source()
    feed = source.feed()
    first = await feed.current()
    source.now += INTERVAL_SECONDS
    source.summary["disk"] = 2
    second = await feed.current()
    newest = max(part.version for part in first.values())
    assert [name for name, part in second.items() if part.version > newest] == ["disk"]
    assert second["disk"].text == "2"
    assert second["ready"] == first["ready"]


async def test_many_stations_are_made_seldom() -> None:
    """A thousand of them are made every twenty seconds, while all else is made every second."""
    source = Source(1000)
    feed = source.feed()
    assert (await feed.current())["stations"].text.count("CS-") == 1000
    while source.now < 100 + 1000 / PER_SECOND - INTERVAL_SECONDS:
        source.now += INTERVAL_SECONDS
        await feed.current()
    assert source.asked["stations"] == 1
    assert source.asked["summary"] == 1000 / PER_SECOND
    source.now += INTERVAL_SECONDS
    await feed.current()
    assert source.asked["stations"] == 2


async def test_others_have_their_turn_meanwhile() -> None:
    """Making a thousand stations is done a few at a time."""
    turns = 0
    feed = Source(1000).feed()
    async with asyncio.TaskGroup() as tasks:
        making = tasks.create_task(feed.current(), name="making")
        while not making.done():
            turns += 1
            await asyncio.sleep(0)
    assert turns >= 40
