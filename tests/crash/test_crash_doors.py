"""Every way to leave meets every place where a user's code is called (`make crash`): the suite has a part of it."""

import asyncio
import signal

import pytest

from tests.cli.conftest import here, shells
from tests.cli.shells import Running
from tests.supervisor import doors
from tests.supervisor.test_supervisor_doors import check, left, worker
from worker.engine.engine import Engine

__all__ = ["here", "shells", "worker"]

pytestmark = [pytest.mark.crash, pytest.mark.timeout(3600)]

OF_HANDLERS = [
    *((agent, place) for agent in ("async", "sync") for place in ("handler", "result", "step")),
    ("async", "task"),
    ("async", "thread"),
    ("async-stream", "handler"),
    ("sync-stream", "handler"),
]
OF_AGENTS = [
    (agent, place)
    for agent in ("async", "sync")
    for place in ("tool", "tool stream", "tool hook", "hook", "post_hook", "instructions", "function")
]
PLACES = [*OF_HANDLERS, *OF_AGENTS, ("told", "listener")]


@pytest.mark.parametrize(("agent", "place"), PLACES, ids=["-".join(each) for each in PLACES])
async def test_every_way_meets_every_place(worker: Running, engine: Engine, agent: str, place: str) -> None:
    may_complete = (agent, place) not in OF_HANDLERS  # Agno passes some over, and tells a model of others
    check(await left(engine, agent, place, list(doors.WAYS)), may_complete=may_complete)
    assert await asyncio.to_thread(worker.end, signal.SIGTERM) == 0
