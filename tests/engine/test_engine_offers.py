"""A task that is made where a worker waits begins in the transaction that makes it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.contract.steps import claim, create, deliver, finish, log, wish, worker
from tests.engine.proxy import Proxy, far, way
from tests.engine.test_engine_away import INSERTED, SECONDS
from tests.support import wait_until
from worker.engine.engine import Engine
from worker.words.errors import Conflict
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.statuses import TaskUpdateEventType as Type
from worker.words.work import Assignment, Subscription, WorkerCard

__all__ = ["far", "way"]


@asynccontextmanager
async def waiting(
    engine: Engine, by: WorkerCard, count: int = 1, **demand: Any
) -> AsyncGenerator["asyncio.Task[list[Assignment]]"]:
    """A worker that waits for tasks; its first look has found none."""
    task = asyncio.create_task(claim(engine, by, count, **demand))
    await wait_until(lambda: by.id in engine.core.writer.hand_offs.workers, "it waits", SECONDS)
    yield task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_it_is_created_and_begun_at_the_same_moment(engine: Engine) -> None:
    by = await worker(engine)
    async with waiting(engine, by, 2) as wait:
        created = await create(engine)
        ((task, attempt),) = await wait
    assert (created.status, created.last_event) == (Status.Pending, 1), "as it was when it was created"
    assert task == await engine.tasks.get(created.id)
    assert (task.status, attempt, task.last_event) == (Status.Executing, 1, 2)
    first, second = await log(engine, created.id)
    assert (first.type, second.type) == (Type.TaskCreated, Type.TaskUpdated)
    assert first.time == second.time == task.started_at == created.created_at
    assert (first.data.status, second.data.status) == (Status.Pending, Status.Executing)
    await finish(engine, Assignment(task, attempt), result="R")
    assert (await engine.tasks.get(created.id)).result == "R"


async def test_what_is_begun_is_no_more_than_the_worker_wants(engine: Engine) -> None:
    by = await worker(engine)
    async with waiting(engine, by, 2) as wait:
        made = await asyncio.gather(*(create(engine) for _ in range(5)))
        begun = await wait
    assert {task.id for task in made} > {each.task.id for each in begun}
    assert len(begun) == 2
    rest = await claim(engine, by, 5)
    assert {task.id for task in made} == {each.task.id for each in [*begun, *rest]}
    assert {each.attempt for each in [*begun, *rest]} == {1}


async def test_other_agents_and_other_organizations_wait(engine: Engine) -> None:
    by = await worker(engine)
    async with waiting(engine, by) as wait:
        other = await create(engine, agent="writer")
        foreign = await engine.organization("acme").tasks.create(wish())
        mine = await create(engine)
        assert [each.task.id for each in await wait] == [mine.id]
    assert (await engine.tasks.get(other.id)).status is Status.Pending
    assert (await engine.organization("acme").tasks.get(foreign.id)).status is Status.Pending


async def test_a_named_agent_without_a_place_is_not_taken_for_one_of_the_others(engine: Engine) -> None:
    by = await worker(engine, any_agent=True)
    async with waiting(engine, by, agents={"analyst": 0}, others=1) as wait:
        named, other = await create(engine), await create(engine, agent="writer")
        assert [each.task.id for each in await wait] == [other.id]
    assert (await engine.tasks.get(named.id)).status is Status.Pending


async def test_a_worker_that_was_taken_for_dead_begins_nothing(engine: Engine) -> None:
    by = await worker(engine)
    async with waiting(engine, by):
        await engine.core.rows("update worker.workers set gone_at = now() where id = %s", (by.id,))
        task = await create(engine)
        assert (await engine.tasks.get(task.id)).status is Status.Pending
        other = await worker(engine)
        assert [each.task.id for each in await claim(engine, other)] == [task.id]


async def test_one_that_is_refused_leaves_its_neighbour_its_place(engine: Engine) -> None:
    by = await worker(engine)
    there = await create(engine, agent="writer")
    async with waiting(engine, by) as wait:
        refused = asyncio.create_task(engine.tasks.create(wish(), under=there.id))
        made = await create(engine)
        with pytest.raises(Conflict):
            await refused
        begun = await wait
    assert [each.task for each in begun] == [await engine.tasks.get(made.id)]
    assert begun[0].attempt == 1


async def test_whoever_listens_hears_that_it_was_begun(engine: Engine) -> None:
    by = await worker(engine, subscriptions=[Subscription("h", Type.TaskCreated), Subscription("h", Type.TaskUpdated)])
    async with waiting(engine, by) as wait:
        task = await create(engine)
        await wait
    heard: list[tuple[str, int | None]] = []
    while found := await deliver(engine, by, 10, seconds=0):
        heard += [(each.event.task_id, each.event.number) for each in found]
        await asyncio.gather(*(engine.work.settle(each) for each in found))
    assert sorted(heard) == [(task.id, 1), (task.id, 2)]


async def test_one_whose_creates_answer_was_lost_is_queued_again_uncharged(far: Engine, way: Proxy) -> None:
    by = await worker(far)
    async with waiting(far, by) as wait:
        way.cut_at(INSERTED)
        task = await asyncio.wait_for(create(far), SECONDS)
        assert way.cuts == 1
        (again,) = await asyncio.wait_for(wait, SECONDS)
    assert (again.task.id, again.attempt) == (task.id, 2), "the first attempt nobody heard of"
    assert (again.task.suspicions, again.task.crashes, again.task.errors) == (0, 0, 0)
    await finish(far, again)
    assert (await far.tasks.get(task.id)).status is Status.Completed
    assert len(await far.core.rows("select id from worker.tasks")) == 1


async def test_a_wait_that_is_cancelled_at_any_moment_loses_no_task(engine: Engine) -> None:
    by = await worker(engine)
    lost = 0
    for turns in range(60):
        async with waiting(engine, by) as wait:
            creating = asyncio.create_task(create(engine))
            for _ in range(turns):
                await asyncio.sleep(0)  # a turn of the loop
            wait.cancel()
            try:
                held = await wait
            except asyncio.CancelledError:
                lost += 1
                held = []
        task = await creating
        held = held or await claim(engine, by)
        assert [each.task.id for each in held] == [task.id]
        await finish(engine, held[0])
    assert lost, "some were"


async def test_many_at_once_are_each_begun_once(engine: Engine) -> None:
    count = 300
    by = await worker(engine)
    async with waiting(engine, by, 50) as wait:
        made = await asyncio.gather(*(create(engine) for _ in range(count)))
        held = await wait
    while len(held) < count:
        held += await claim(engine, by, 50)
    assert sorted(each.task.id for each in held) == sorted(task.id for task in made)
    assert {each.attempt for each in held} == {1}
