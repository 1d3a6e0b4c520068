"""A supervisor in the test's own loop, whatever platform it works for, and what tests around one share."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.supervisor.stories import Handlers
from worker.contracts import Platform
from worker.face import bridge
from worker.registry import Registry
from worker.settings import Settings
from worker.supervisor import Supervisor
from worker.supervisor.timings import DEFAULT, WorkerTimings
from worker.words.notices import Notice, subscribe


@asynccontextmanager
async def working(
    platform: Platform, handlers: Registry, timings: WorkerTimings = DEFAULT, **settings: Any
) -> AsyncGenerator[Supervisor]:
    """Have a worker claim for the length of a block; it drains at the block's end.

    Raises: what its start ended with.
    """
    supervisor = Supervisor(platform, handlers, Settings.model_validate({"drain_seconds": 1, **settings}), timings)
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


@pytest.fixture(autouse=True)
def no_spare_platform() -> Iterator[None]:
    """Handlers that call sync twins on the worker's loop open a spare platform; it ends with its test."""
    yield
    bridge.close()


@pytest.fixture
def worker_timings() -> WorkerTimings:
    """How long supervisors wait; a test has others by a fixture of its own, or by parametrizing it."""
    return DEFAULT


@pytest.fixture
def handlers() -> Handlers:
    """Handlers of the test's own, none yet."""
    return Handlers()


@pytest.fixture
def notices() -> Iterator[list[Notice]]:
    """Everything announced during the test."""
    heard: list[Notice] = []
    end = subscribe(heard.append)
    yield heard
    end()
