"""Behind a pooler in transaction mode: no prepared statements, no LISTEN, no session lock; leases and polling."""

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cli.conftest import here, shells
from tests.cli.shells import Shell
from tests.contract.steps import claim, create, finish, log, note, numbers, worker
from tests.engine.pooler import POOLERS, Pooler
from tests.support import wait_until
from worker.engine.engine import Engine
from worker.engine.timings import EngineTimings
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.work import Assignment

__all__ = ["here", "shells"]

HANDLERS = """
    from worker import on_task

    @on_task(agent_id="analyst")
    async def shout(task):
        return task.input.text.upper()
"""


@pytest.fixture(params=sorted(POOLERS))
async def pooler(request: pytest.FixtureRequest, database_url: str) -> AsyncIterator[Pooler]:
    if request.param == "pgbouncer" and shutil.which("pgbouncer") is None:
        pytest.skip("there is no pgbouncer on this machine; the same runs behind a pooler of our own")
    folder = Path(tempfile.mkdtemp(prefix="pooler-"))
    pooler = POOLERS[request.param](database_url, folder)
    await pooler.start()
    yield pooler
    await pooler.stop()
    shutil.rmtree(folder)


@pytest.fixture
async def pooled(pooler: Pooler, timings: EngineTimings) -> AsyncIterator[Engine]:
    engine = Engine(pooler.url, poll=0.1, timings=timings)
    await engine.open()
    yield engine
    await engine.close()


async def test_it_is_noticed_and_said(pooled: Engine) -> None:
    assert pooled.core.pooled
    assert "behind a pooler (leases and polling, no LISTEN)" in pooled.description


async def test_statements_that_run_again_and_again_are_never_prepared(pooled: Engine, database_url: str) -> None:
    """psycopg would prepare at the sixth time, on one backend, and run it on another."""
    by = await worker(pooled)
    held: list[Assignment] = []
    for _ in range(12):
        await create(pooled)
        held += await claim(pooled, by)

    async def work(each: Assignment) -> None:
        for number in range(12):
            await pooled.work.emit(each.task.id, each.attempt, [note(str(number))])
            await pooled.tasks.get(each.task.id)
        await finish(pooled, each)

    await asyncio.gather(*(work(each) for each in held))
    for each in held:
        assert await numbers(pooled, each.task.id) == list(range(1, 16))


async def test_two_processes_hear_of_one_another_by_polling(pooled: Engine, pooler: Pooler) -> None:
    other = Engine(pooler.url, poll=0.1)
    await other.open()
    try:
        by = await worker(other)
        waiting = asyncio.create_task(claim(other, by, seconds=20))
        task = await create(pooled)
        following = asyncio.create_task(_follow(pooled, task.id))
        (held,) = await asyncio.wait_for(waiting, 20)
        await other.work.emit(task.id, held.attempt, [note()])
        await finish(other, held)
        assert await asyncio.wait_for(following, 20) == [1, 2, 3, 4]
    finally:
        await other.close()


async def _follow(engine: Engine, task_id: str) -> list[int | None]:
    return [event.number async for event in engine.tasks.events(task_id)]


@pytest.mark.parametrize("timings", [EngineTimings(trust=0.5)], ids=["quick"])
async def test_a_worker_says_so_at_its_start_and_its_death_shows_by_its_lease(
    pooled: Engine, pooler: Pooler, here: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.handlers(HANDLERS)
    environment = {"DATABASE_URL": pooler.url, "WORKER_LEASE_SECONDS": "3"}
    first = here.start("run", **environment)
    await first.says("behind a pooler (leases and polling, no LISTEN)")
    await first.says("worker ready")
    task = await create(pooled, "well")
    await wait_until(lambda: _is_completed(pooled, task.id), "it works", 20)
    os.kill(first.process.pid, signal.SIGKILL)
    pooled.guard()
    await wait_until(lambda: _nobody_is_here(pooled), "its lease has run out, and it was noticed", 20)
    assert [event.number for event in await log(pooled, task.id)] == [1, 2, 3]


async def _is_completed(engine: Engine, task_id: str) -> bool:
    return (await engine.tasks.get(task_id)).status is Status.Completed


async def _nobody_is_here(engine: Engine) -> bool:
    return not await engine.core.rows("select id from worker.workers where gone_at is null")
