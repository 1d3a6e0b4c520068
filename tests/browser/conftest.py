"""Real headless Chromium at a real server, with a real worker whose model is scripted."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from tests.browser.worlds import KEY, World
from tests.server.conftest import Start, start
from worker.face import bridge

__all__ = ["start"]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-proxy-server",
]
HERE = Path(__file__).parent

expect.set_options(timeout=30_000)  # a busy machine takes longer than the usual five seconds


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if CHROMIUM is None:
        reason = "no Chromium here: `make test-browser` installs it on Debian as root"
        for item in items:
            if HERE in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield browser
        await browser.close()


@pytest.fixture
async def world(start: Start) -> AsyncIterator[World]:
    """A server with a key, and a worker beside it."""
    world = World(await start(key=KEY))
    await world.open()
    yield world
    await world.close()
    await asyncio.to_thread(bridge.close)


@pytest.fixture
async def page(chromium: Browser, world: World, request: pytest.FixtureRequest) -> AsyncIterator[Page]:
    """A page of a browser that is signed in; its console stays clean."""
    options: dict[str, Any] = getattr(request, "param", {})
    context = await chromium.new_context(base_url=world.serving.base, **options)
    context.set_default_timeout(15_000)
    page = await context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    await page.goto("/")
    await page.get_by_label("Key").fill(KEY)
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url("**/")
    yield page
    await context.close()
    allowed = ("net::ERR", "Failed to load resource", "[object Event]")  # the server was away: htmx says so, too
    assert [each for each in complaints if not each.startswith(allowed)] == []
