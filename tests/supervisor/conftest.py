"""A supervisor in the test's own loop, on a real engine, with handlers of the test's own registry."""

from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from tests.supervisor.stories import Handlers, Serve
from tests.workers import handlers, no_spare_platform, notices, worker_timings, working
from worker.engine.engine import Engine
from worker.supervisor import Supervisor
from worker.supervisor.timings import WorkerTimings

__all__ = ["handlers", "no_spare_platform", "notices", "serve", "worker_timings"]


@pytest.fixture
def serve(engine: Engine, handlers: Handlers, worker_timings: WorkerTimings) -> Serve:
    """Start a supervisor for the length of a block; it drains at the block's end."""

    def start(platform: Engine = engine, **settings: Any) -> AbstractAsyncContextManager[Supervisor]:
        return working(platform, handlers, worker_timings, **settings)

    return start
