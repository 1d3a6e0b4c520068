"""Handlers that wait for a time or a signal: they hold no place meanwhile, and go on where they were."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.contract.conftest import Sql
from tests.contract.steps import AGENT, create, log, until
from tests.supervisor.stories import Handlers
from tests.workers import handlers, no_spare_platform, working
from worker.contracts import Platform
from worker.face.context import Context
from worker.face.task import Task
from worker.words.errors import Conflict
from worker.words.signals import NewSignal, ReceivedSignal
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.statuses import TaskUpdateEventType as Type
from worker.words.tasks import TaskRecord

__all__ = ["handlers", "no_spare_platform"]

DONE: list[str] = []


@pytest.fixture(autouse=True)
def _done() -> None:
    DONE.clear()


async def handed_back(platform: Platform, task_id: str) -> TaskRecord:
    """The task once an attempt of it has ended to wait."""
    async with asyncio.timeout(20):
        async for event in platform.tasks.events(task_id):
            if event.type is Type.TaskUpdated and event.attempt and event.data.status is Status.Pending:
                break
    return await platform.tasks.get(task_id)


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_a_long_sleep_is_over_when_its_time_is(
    platform: Platform, handlers: Handlers, sql: Sql, kind: str
) -> None:
    async def work(task: Task, context: Context) -> str:
        await context.step("prepare", DONE.append, "prepare")
        await context.sleep(timedelta(days=1))
        return "done"

    def work_sync(task: Task, context: Context) -> str:
        context.step_sync("prepare", DONE.append, "prepare")
        context.sleep_sync(86_400)
        return "done"

    handlers.bind(work if kind == "async" else work_sync, AGENT)
    async with working(platform, handlers):
        task = await create(platform)
        waiting = await handed_back(platform, task.id)
        assert waiting.waiting_for == "sleeps for 1 d"
        assert waiting.available_at is not None
        assert waiting.available_at - waiting.created_at > timedelta(hours=23)
        assert (waiting.errors, waiting.crashes) == (0, 0)
        await sql(
            "update worker.journal set value = replace(value::text, %s, %s)::json where task_id = %s",
            waiting.available_at.isoformat()[:10],
            "2020-01-01",
            task.id,
        )
        await sql("update worker.tasks set available_at = now() where id = %s", task.id)
        done = await until(platform, task.id, Status.Completed, Status.Error)
    assert (done.status, done.result, DONE) == (Status.Completed, "done", ["prepare"])
    assert done.waiting_for is None


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_a_handler_may_wait_until_a_fixed_time(
    platform: Platform, handlers: Handlers, sql: Sql, kind: str
) -> None:
    at = datetime.now(UTC) + timedelta(seconds=6)

    async def work(task: Task, context: Context) -> str:
        await context.sleep(at - datetime.now(UTC))
        try:
            await context.wait_for("paid", timeout=at - datetime.now(UTC))
        except TimeoutError:
            return "done"
        return "a signal"

    def work_sync(task: Task, context: Context) -> str:
        context.sleep_sync(at - datetime.now(UTC))
        try:
            context.wait_for_sync("paid", timeout=at - datetime.now(UTC))
        except TimeoutError:
            return "done"
        return "a signal"

    handlers.bind(work if kind == "async" else work_sync, AGENT)
    async with working(platform, handlers):
        task = await create(platform)
        done = await until(platform, task.id, Status.Completed, Status.Error)
    assert done.result == "done"


async def test_a_short_sleep_is_simply_awaited(platform: Platform, handlers: Handlers) -> None:
    async def work(task: Task, context: Context) -> str:
        await context.sleep(0.05)
        return "done"

    handlers.bind(work, AGENT)
    async with working(platform, handlers):
        task = await create(platform)
        done = await until(platform, task.id, Status.Completed)
    assert done.execution_attempts == 1


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_a_signal_is_waited_for(platform: Platform, handlers: Handlers, kind: str) -> None:
    async def work(task: Task, context: Context) -> Any:
        first = await context.wait_for("paid", match={"invoice": 17})
        second = await context.wait_for("paid")
        return [first, second]

    def work_sync(task: Task, context: Context) -> Any:
        return [context.wait_for_sync("paid", match=lambda data: data["invoice"] == 17), context.wait_for_sync("paid")]

    handlers.bind(work if kind == "async" else work_sync, AGENT)
    async with working(platform, handlers):
        task = await create(platform)
        waiting = await handed_back(platform, task.id)
        assert waiting.waiting_for == "waits for the signal 'paid'"
        await platform.tasks.signal(task.id, NewSignal(name="other", data=1))
        await platform.tasks.signal(task.id, NewSignal(name="paid", data={"invoice": 16}))
        await platform.tasks.signal(task.id, NewSignal(name="paid", data={"invoice": 17, "by": "Ann"}))
        done = await until(platform, task.id, Status.Completed, Status.Error)
    assert done.result == '[{"invoice":17,"by":"Ann"},{"invoice":16}]'
    told = [event.data for event in await log(platform, task.id) if event.type is Type.SignalReceived]
    assert [ReceivedSignal.model_validate(each).number for each in told] == [1, 2, 3]
    with pytest.raises(Conflict):
        await platform.tasks.signal(task.id, NewSignal(name="paid"))


async def test_a_signal_that_came_before_is_taken_at_once(platform: Platform, handlers: Handlers) -> None:
    async def work(task: Task, context: Context) -> Any:
        return await context.wait_for("paid", timeout=3600)

    handlers.bind(work, AGENT)
    task = await create(platform)
    await platform.tasks.signal(task.id, NewSignal(name="paid", data="early"))
    async with working(platform, handlers):
        done = await until(platform, task.id, Status.Completed)
    assert (done.result, done.execution_attempts) == ("early", 1)


async def test_a_wait_ends_with_its_time(platform: Platform, handlers: Handlers) -> None:
    async def work(task: Task, context: Context) -> str:
        try:
            await context.wait_for("paid", timeout=0.1)
        except TimeoutError as error:
            return str(error)
        return "paid"

    handlers.bind(work, AGENT)
    async with working(platform, handlers):
        task = await create(platform)
        done = await until(platform, task.id, Status.Completed)
    assert done.result == "no signal 'paid' was received within 0.1 s"


async def test_a_signal_that_comes_while_the_attempt_ends_is_not_missed(platform: Platform, handlers: Handlers) -> None:
    """The run has looked, and ends to wait; what comes in between wakes it all the same."""
    looked, sent = asyncio.Event(), asyncio.Event()

    async def work(task: Task, context: Context) -> Any:
        try:
            return await context.wait_for("paid")
        except asyncio.CancelledError:
            looked.set()
            await sent.wait()
            raise

    handlers.bind(work, AGENT)
    async with working(platform, handlers):
        task = await create(platform)
        await asyncio.wait_for(looked.wait(), 20)
        await platform.tasks.signal(task.id, NewSignal(name="paid", data="in between"))
        sent.set()
        done = await until(platform, task.id, Status.Completed)
    assert done.result == "in between"
