"""A stand-in platform in the test's own loop, Remote on it, and supervisors that work for it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from tests.remote.stories import KEY, OpenRemote, ServeRemote
from tests.supervisor.stories import Handlers
from worker.face import bridge
from worker.remote.remote import Remote
from worker.settings import Settings
from worker.supervisor import Supervisor
from worker.testing import StandIn
from worker.words.notices import Notice, subscribe


@pytest.fixture(autouse=True)
def no_spare_platform() -> Iterator[None]:
    yield
    bridge.close()


@pytest.fixture
def handlers() -> Handlers:
    return Handlers()


@pytest.fixture
async def platform() -> AsyncIterator[StandIn]:
    async with StandIn(key=KEY, comment_seconds=0.2) as stand_in:
        yield stand_in


@pytest.fixture
async def open_remote() -> AsyncIterator[OpenRemote]:
    """Open a Remote; all are closed in the end."""
    async with AsyncExitStack() as stack:

        async def open_one(url: str, key: str | None = KEY, **options: Any) -> Remote:
            remote = Remote(url, key, **options)
            stack.push_async_callback(remote.close)
            await remote.open()
            return remote

        yield open_one


@pytest.fixture
async def remote(platform: StandIn, open_remote: OpenRemote) -> Remote:
    return await open_remote(platform.url)


@pytest.fixture
def serve(platform: StandIn, handlers: Handlers, open_remote: OpenRemote) -> ServeRemote:
    """Start a supervisor on the stand-in for the length of a block; it drains at the block's end."""

    @asynccontextmanager
    async def start(**settings: Any) -> AsyncGenerator[Supervisor]:
        remote = await open_remote(platform.url)
        supervisor = Supervisor(remote, handlers, Settings.model_validate({"drain_seconds": 1, **settings}))
        running = asyncio.create_task(supervisor.run())
        ready = asyncio.create_task(supervisor.ready())
        await asyncio.wait([running, ready], return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            ready.cancel()
            running.result()
        try:
            yield supervisor
        finally:
            supervisor.stop()
            await running

    return start


@pytest.fixture
def notices() -> Iterator[list[Notice]]:
    """Everything announced during the test."""
    heard: list[Notice] = []
    end = subscribe(heard.append)
    yield heard
    end()
