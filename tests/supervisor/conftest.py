"""A supervisor in the test's own loop, on a real engine, with handlers of the test's own registry."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.supervisor.stories import Handlers, Serve
from worker.engine.engine import Engine
from worker.face import bridge
from worker.settings import Settings
from worker.supervisor import Supervisor
from worker.words.notices import Notice, subscribe


@pytest.fixture(autouse=True)
def no_spare_platform() -> Iterator[None]:
    """Handlers that call sync twins on the worker's loop open a spare platform; it ends with its test."""
    yield
    bridge.close()


@pytest.fixture
def handlers() -> Handlers:
    return Handlers()


@pytest.fixture
def serve(engine: Engine, handlers: Handlers) -> Serve:
    """Start a supervisor for the length of a block; it drains at the block's end."""

    @asynccontextmanager
    async def start(platform: Engine = engine, **settings: Any) -> AsyncGenerator[Supervisor]:
        supervisor = Supervisor(platform, handlers, Settings.model_validate({"drain_seconds": 1, **settings}))
        running = asyncio.create_task(supervisor.run())
        ready = asyncio.create_task(supervisor.ready())
        await asyncio.wait([running, ready], return_when=asyncio.FIRST_COMPLETED)
        if running.done():
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
