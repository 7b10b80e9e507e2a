"""The guard before the admin listener, asked as curl, browsers and Prometheus ask."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry

from localctl.admin import guard as module
from localctl.admin.guard import HEADERS, Guard, protect
from localctl.config import Admin
from localctl.metrics import Metrics

SECRET = "geheim-0815"
Open = Callable[..., Awaitable[str]]
Pause = Callable[[float], Awaitable[None]]


async def _at_once(_: float) -> None:
    pass


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(CollectorRegistry(), "0")


@pytest.fixture
async def guarded(metrics: Metrics) -> AsyncIterator[Open]:
    """Open what a guard stands before: ``guarded(pause, password="…")``; its URL."""
    async with AsyncExitStack() as stack:

        async def answer(_: web.Request) -> web.Response:
            return web.Response(text="in")

        async def opened(pause: Pause = _at_once, **settings: str) -> str:
            app = web.Application(middlewares=[Guard(Admin.model_validate(settings), metrics, pause).admit])
            app.on_response_prepare.append(protect)
            for path in ("/", "/healthz", "/readyz", "/metrics"):
                app.router.add_get(path, answer)
            server = await stack.enter_async_context(TestServer(app))
            return f"http://127.0.0.1:{server.port}"

        yield opened


async def _status(url: str, password: str | None = None, user: str = "admin", **headers: str) -> int:
    auth = aiohttp.encode_basic_auth(user, password) if password is not None else ""
    headers |= {"Authorization": auth} if auth else {}
    async with aiohttp.request("GET", url, headers=headers) as answer:
        assert HEADERS.items() <= answer.headers.items()
        return answer.status


async def test_a_name_that_is_not_ours(guarded: Open) -> None:
    """Where only this machine may ask, another name in Host is misdirected (421): it may be made to resolve to us."""
    url = await guarded()
    assert await _status(url) == 200
    assert await _status(url, Host="localhost:9188") == 200
    assert await _status(url, Host="evil.example") == 421
    assert await _status(f"{url}/metrics", Host="evil.example:9188") == 421


async def test_names_on_the_network(guarded: Open) -> None:
    """There the gateway may have any name, and a password."""
    url = await guarded(listen="0.0.0.0:9188", password=SECRET)
    assert await _status(url, SECRET, Host="gateway.lan") == 200
    assert await _status(url, Host="gateway.lan") == 401


async def test_the_password(guarded: Open, metrics: Metrics) -> None:
    """All but /healthz and /readyz ask for it; who sends none is asked, and not counted."""
    url = await guarded(password=SECRET)
    assert [await _status(f"{url}{path}") for path in ("/", "/metrics", "/none")] == [401] * 3
    assert [await _status(f"{url}{path}") for path in ("/healthz", "/readyz")] == [200] * 2
    assert await _status(url, SECRET) == 200
    assert _failures(metrics) == 0
    assert await _status(url, "wrong") == 401
    assert await _status(url, SECRET, "root") == 401
    assert _failures(metrics) == 2


async def test_a_browser_is_asked(guarded: Open) -> None:
    """The challenge names the scheme, so that a browser asks for user and password."""
    async with aiohttp.request("GET", await guarded(password=SECRET)) as answer:
        assert answer.headers["WWW-Authenticate"] == 'Basic realm="localctl", charset="UTF-8"'
        assert "admin" in await answer.text()


async def test_guessing_is_slow(guarded: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """While wrong passwords of an address wait for their answers, it is not heard, whatever it sends."""
    asked, going = asyncio.Event(), asyncio.Event()

    async def pause(seconds: float) -> None:
        assert seconds == module.DELAY_SECONDS
        asked.set()
        await going.wait()

    monkeypatch.setattr(module, "MOST_WAITING", 1)
    url = await guarded(pause, password=SECRET)
    async with asyncio.TaskGroup() as tasks:
        guess = tasks.create_task(_status(url, "wrong"), name="guess")
        await asked.wait()
        assert await _status(url, "another") == 429
        assert await _status(url, SECRET) == 429
        assert await _status(url) == 401
        going.set()
        assert await guess == 401
    assert await _status(url, SECRET) == 200


async def test_it_is_said_seldom_and_without_the_password(guarded: Open, caplog: pytest.LogCaptureFixture) -> None:
    """Who sent it is told once a minute; what was sent never."""
    url = await guarded(password=SECRET)
    with caplog.at_level(logging.DEBUG):
        for _ in range(3):
            await _status(url, "wrong-guess")
    assert "wrong-guess" not in caplog.text
    told = [record.getMessage() for record in caplog.records if record.name == "localctl.admin"]
    assert told == ["127.0.0.1 has sent a wrong user or password to admin.listen"]


def _failures(metrics: Metrics) -> Any:
    return metrics.registry.get_sample_value("localctl_auth_failures_total", {"listener": "admin"})
