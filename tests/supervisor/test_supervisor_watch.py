"""A handler that blocks the event loop keeps its tasks, and is named."""

import asyncio
import time
from collections.abc import Iterator

import pytest

from tests.cli.conftest import here, shells
from tests.cli.shells import Shell
from tests.server.serving import Serving
from tests.supervisor.stories import Handlers, Serve, create, done, finished
from tests.support import wait_until
from worker import Task
from worker.engine.engine import Engine
from worker.engine.timings import EngineTimings
from worker.supervisor import watch
from worker.supervisor.timings import WorkerTimings
from worker.words.loop_notices import LoopBlocked, LoopFreed
from worker.words.notices import Notice
from worker.words.statuses import AgentExecutionStatus as Status

__all__ = ["here", "shells"]


def count_rows() -> None:
    time.sleep(0.6)


@pytest.fixture
def worker_timings() -> WorkerTimings:
    return WorkerTimings(loop=0.02, loop_blocked=0.3)


@pytest.mark.usefixtures("environment")
async def test_who_blocks_the_loop_is_named_once_with_its_stack_and_when_it_is_over(
    engine: Engine, handlers: Handlers, serve: Serve, notices: list[Notice]
) -> None:
    async def blocks(task: Task) -> str:
        count_rows()
        return "done"

    handlers.bind(blocks)
    async with serve() as supervisor:
        task = await done(engine)
        await wait_until(lambda: any(isinstance(each, LoopFreed) and each.task_id for each in notices), "it is over")
        await wait_until(lambda: supervisor.loop_lag < 0.3, "the lag is small again")
        held = supervisor._wear.wear().troubles
    # a busy machine may keep the loop from its work, too, which is nobody's doing
    (blocked,) = [each for each in notices if isinstance(each, LoopBlocked) and each.task_id]
    (freed,) = [each for each in notices if isinstance(each, LoopFreed) and each.task_id]
    named = (task.id, "agent", 1)
    assert (
        (blocked.task_id, blocked.agent_id, blocked.attempt) == named == (freed.task_id, freed.agent_id, freed.attempt)
    )
    assert blocked.handler is not None
    assert blocked.handler.endswith("blocks")
    assert "in count_rows" in blocked.stack[0]
    assert "in blocks" in blocked.stack[1]
    assert len(blocked.stack) <= watch.LINES
    assert 0.3 <= blocked.seconds < freed.seconds
    told = f"in count_rows blocked the event loop (task {task.id})"
    assert [each for each in held if each.startswith("supervisor/test_supervisor_watch.py:") and each.endswith(told)]


@pytest.mark.usefixtures("environment")
async def test_a_handler_that_waits_is_not_said_to_block(
    engine: Engine, handlers: Handlers, serve: Serve, notices: list[Notice]
) -> None:
    async def waits(task: Task) -> str:
        await asyncio.sleep(0.6)
        return "done"

    def in_thread(task: Task) -> str:
        count_rows()
        return "done"

    handlers.bind(waits, "waits")
    handlers.bind(in_thread, "in_thread")
    async with serve():
        await asyncio.gather(done(engine, "waits"), done(engine, "in_thread"))
    assert not any(isinstance(each, LoopBlocked) for each in notices)


HANDLERS = """
    import os, time
    from worker import Task, on_task

    @on_task(agent_id=os.environ["AGENT"])
    async def blocks(task: Task) -> str:
        time.sleep(float(task.input.text))
        return "done"
"""


@pytest.fixture
def server(database_url: str) -> Iterator[Serving]:
    serving = Serving(database_url).start()
    yield serving
    serving.stop()


@pytest.mark.parametrize("timings", [EngineTimings(trust=0.5)], ids=["quick"])
async def test_tasks_of_a_blocked_worker_stay_its_own_on_both_platforms(
    here: Shell, engine: Engine, server: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocked for longer than the lease: three seconds on the database, six over HTTP."""
    engine.guard()
    await server.started()
    here.handlers(HANDLERS)
    local, remote = await create(engine, "local", "4.5"), await create(engine, "remote", "8")
    monkeypatch.setenv("AGENT", "local")
    monkeypatch.setenv("WORKER_LEASE_SECONDS", "3")
    workers = [here.start("run")]
    monkeypatch.setenv("AGENT", "remote")
    monkeypatch.setenv("XPANDER_BASE_URL", server.base)
    workers.append(here.start("run"))
    for task in (local, remote):
        found = await finished(engine, task)
        assert (found.status, found.execution_attempts, found.suspicions) == (Status.Completed, 1, 0)
    for worker in workers:
        await worker.says("the event loop is no longer blocked")
        assert worker.log.count("a handler blocks the event loop") == 1
        assert "mine.blocks" in worker.log
        assert await asyncio.to_thread(worker.end) == 0
