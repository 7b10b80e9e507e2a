"""The browser of these tests complains of what it should."""

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser

from tests.actors.browser import PHONE, barriers, chromium, fits, opened

POOR = '<html lang="en"><title>x</title><p style="color:#ccc;background:#fff;width:900px">grey<img src="none.png">'


async def test_what_is_wrong_is_found() -> None:
    """Too little contrast, a picture without words, what lies beside the screen, and what the policy forbids."""

    async def poor(_: web.Request) -> web.Response:
        policy = {"Content-Security-Policy": "img-src 'none'"}
        return web.Response(text=POOR, content_type="text/html", headers=policy)

    app = web.Application()
    app.router.add_get("/", poor)
    found: set[str] = set()

    async def look(browser: Browser, url: str) -> None:
        async with opened(browser, url, viewport=PHONE) as page:
            found.update(each.partition(":")[0] for each in await barriers(page))
            assert not await fits(page)

    async with TestServer(app) as server, chromium() as browser:
        with pytest.raises(AssertionError, match="Content Security Policy"):
            await look(browser, f"http://127.0.0.1:{server.port}/")
    assert {"color-contrast", "image-alt"} <= found
