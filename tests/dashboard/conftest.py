"""A server with its pages, and browsers that know nothing of us: httpx clients that keep cookies and fill in forms."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import httpx
import pytest

from tests.dashboard.browsing import KEY, Browser
from tests.server.conftest import Start, start
from tests.server.serving import Serving

__all__ = ["start"]

Browse = Callable[..., Awaitable[Browser]]


@pytest.fixture
async def serving(start: Start) -> Serving:
    """A server with a key."""
    return await start(key=KEY)


@pytest.fixture
async def browse() -> AsyncIterator[Browse]:
    """Open one more browser at a server."""
    async with AsyncExitStack() as stack:

        async def one(serving: Serving) -> Browser:
            client = httpx.AsyncClient(base_url=serving.base, timeout=30)
            return Browser(await stack.enter_async_context(client))

        yield one


@pytest.fixture
async def browser(serving: Serving, browse: Browse) -> Browser:
    """A browser that is signed in."""
    browser = await browse(serving)
    response = await browser.sign_in()
    assert response.status_code == 303, response.text
    return browser
