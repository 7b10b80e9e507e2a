"""An installer's browser: Debian's Chromium without a window, driven by Playwright; and axe, which finds what keeps
people from reading a page.
"""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, async_playwright

PHONE: Final = {"width": 390, "height": 844}
DESKTOP: Final = {"width": 1280, "height": 800}
_ARGUMENTS: Final = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
)
_SERIOUS: Final = {"serious", "critical"}


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Chromium, for as long as the ``async with`` lasts."""
    program = shutil.which("chromium")
    assert program, "package chromium is missing: tests/run.sh installs it"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=_ARGUMENTS)
        yield browser
        await browser.close()


@asynccontextmanager
async def opened(browser: Browser, url: str, **options: Any) -> AsyncIterator[Page]:
    """A page of its own context. Whatever the browser complains of fails the test, violations of the policy too."""
    context = await browser.new_context(locale="en-GB", **options)
    complaints: list[str] = []
    page = await context.new_page()
    page.on("console", lambda said: complaints.append(said.text) if said.type in {"error", "warning"} else None)
    page.on("pageerror", lambda fault: complaints.append(str(fault)))
    await page.goto(url)
    yield page
    assert not complaints, "\n".join(complaints)
    await context.close()


async def barriers(page: Page) -> list[str]:
    """What axe finds on the page that is serious or critical: its rule, and where."""
    results = await Axe().run(page)
    return [
        f"{found['id']}: {[node['html'] for node in found['nodes']]}"
        for found in results.response["violations"]
        if found["impact"] in _SERIOUS
    ]


async def fits(page: Page) -> bool:
    """Whether nothing of it lies beside the screen."""
    return bool(await page.evaluate("document.documentElement.scrollWidth <= innerWidth"))
