"""Servers on this test's database, and clients that know nothing of us."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server.serving import BareWorker, Serving
from worker.engine.timings import EngineTimings
from worker.server.timings import ServerTimings

Start = Callable[..., Awaitable[Serving]]
KEY = "a-key-of-the-tests"


@pytest.fixture
async def start(
    database_url: str, environment: Path, timings: EngineTimings, server_timings: ServerTimings
) -> AsyncIterator[Start]:
    """Start one more server; all are stopped in the end."""
    started: list[Serving] = []

    async def one(url: str = database_url, **options: Any) -> Serving:
        serving = Serving(url, timings=timings, server_timings=server_timings, **options).start()
        started.append(serving)
        await serving.started()
        return serving

    yield one
    for serving in started:
        serving.stop()


@pytest.fixture
async def serving(start: Start) -> Serving:
    """A server with a key."""
    return await start(key=KEY)


@pytest.fixture
async def client(serving: Serving) -> AsyncIterator[httpx.AsyncClient]:
    """A client with the server's key."""
    async with httpx.AsyncClient(base_url=serving.base, headers={"x-api-key": KEY}, timeout=30) as client:
        yield client


@pytest.fixture
def sync_client(serving: Serving) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=serving.base, headers={"x-api-key": KEY}, timeout=30) as client:
        yield client


@pytest.fixture
async def bare_worker(client: httpx.AsyncClient) -> AsyncIterator[Callable[..., Awaitable[BareWorker]]]:
    """Open one more bare worker's stream; all are closed in the end."""
    async with AsyncExitStack() as stack:

        async def one(agent_id: str = "analyst", *, by: httpx.AsyncClient | None = None, query: str = "") -> BareWorker:
            worker = BareWorker(by or client, agent_id, query=query)
            stack.push_async_callback(worker.close)
            return await worker.open()

        yield one
