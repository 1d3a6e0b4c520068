"""Parents that wait for children hold their places: where they hold all of them, somebody is told."""

import asyncio
from typing import Any

import pytest

from tests.supervisor.stories import Handlers, Serve, create, done
from tests.support import wait_until
from worker import Task, Tasks
from worker.engine.engine import Engine
from worker.supervisor.timings import WorkerTimings
from worker.words.notices import WorkerDeadlocked
from worker.words.statuses import AgentExecutionStatus as Status


@pytest.fixture
def worker_timings() -> WorkerTimings:
    return WorkerTimings(wear=0.02, deadlock=0.2)


async def follows(task: Task) -> str:
    child = await Tasks().acreate("agent", "a child")
    async for _ in child.aevents():
        pass
    return "ended"


def follows_in_a_thread(task: Task) -> str:
    for _ in Tasks().create("agent", "a child").events():
        pass
    return "ended"


async def asks_again(task: Task) -> str:
    child = await Tasks().acreate("agent", "a child")
    while not (await Tasks().aget(child.id)).status.is_terminal:  # noqa: ASYNC110 - as users do
        await asyncio.sleep(0.02)
    return "ended"


@pytest.mark.parametrize("parent", [follows, follows_in_a_thread, asks_again])
async def test_parents_in_every_place_are_told_of_once(
    engine: Engine, handlers: Handlers, serve: Serve, notices: list[Any], parent: Any
) -> None:
    handlers.bind(parent, "parent")
    handlers.bind(lambda: "child", "agent")

    def told() -> list[WorkerDeadlocked]:
        return [each for each in notices if isinstance(each, WorkerDeadlocked)]

    parents = {(await create(engine, "parent")).id for _ in range(2)}
    async with serve(concurrency=2, drain_seconds=0.1):
        await wait_until(told, "somebody is told")
        (notice,) = told()
        assert set(notice.task_ids) == parents
        children = [await engine.tasks.get(each) for each in notice.awaited]
        assert [(each.agent_id, each.status) for each in children] == [("agent", Status.Pending)] * 2
        for each in children:
            await engine.tasks.stop(each.id)

        async def ended() -> bool:
            return all([(await engine.tasks.get(each)).status is Status.Completed for each in parents])

        await wait_until(ended, "both parents end")
    assert len(told()) == 1


async def test_nobody_is_told_where_a_place_is_left(
    engine: Engine, handlers: Handlers, serve: Serve, notices: list[Any]
) -> None:
    handlers.bind(follows, "parent")
    handlers.bind(lambda: asyncio.sleep(0.5, "child"), "agent")
    async with serve(concurrency=2):
        assert (await done(engine, "parent")).result == "ended"
    assert not [each for each in notices if isinstance(each, WorkerDeadlocked)]
