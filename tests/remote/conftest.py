"""A stand-in platform in the test's own loop, Remote on it, and supervisors that work for it."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from tests.remote.stories import KEY, OpenRemote, ServeRemote
from tests.supervisor.stories import Handlers
from tests.workers import handlers, no_spare_platform, notices, worker_timings, working
from worker.remote.remote import Remote
from worker.remote.timings import RemoteTimings
from worker.supervisor import Supervisor
from worker.supervisor.timings import WorkerTimings
from worker.testing import StandIn

__all__ = ["handlers", "no_spare_platform", "notices", "open_remote", "platform", "remote", "serve", "worker_timings"]


@pytest.fixture
async def platform() -> AsyncIterator[StandIn]:
    async with StandIn(key=KEY, comment_seconds=0.2) as stand_in:
        yield stand_in


@pytest.fixture
def remote_timings() -> RemoteTimings:
    """The timings of every Remote; a test that needs others parametrizes them."""
    return RemoteTimings()


@pytest.fixture
async def open_remote(remote_timings: RemoteTimings) -> AsyncIterator[OpenRemote]:
    """Open a Remote; all are closed in the end."""
    async with AsyncExitStack() as stack:

        async def open_one(url: str, key: str | None = KEY, **options: Any) -> Remote:
            remote = Remote(url, key, timings=remote_timings, **options)
            stack.push_async_callback(remote.close)
            await remote.open()
            return remote

        yield open_one


@pytest.fixture
async def remote(platform: StandIn, open_remote: OpenRemote) -> Remote:
    return await open_remote(platform.url)


@pytest.fixture
def serve(platform: StandIn, handlers: Handlers, open_remote: OpenRemote, worker_timings: WorkerTimings) -> ServeRemote:
    """Start a supervisor on the stand-in for the length of a block; it drains at the block's end."""

    @asynccontextmanager
    async def start(**settings: Any) -> AsyncGenerator[Supervisor]:
        async with working(await open_remote(platform.url), handlers, worker_timings, **settings) as supervisor:
            yield supervisor

    return start
