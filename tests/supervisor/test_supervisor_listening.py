"""Handlers of events: none keeps another waiting, nor the tasks; each has as many calls at once as it asked for."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from tests.supervisor.stories import Handlers, Serve, create, done, finished, within
from tests.support import wait_until
from worker import GiveUp, Task
from worker.engine.engine import Engine
from worker.words.deliveries import DeliveryQuery
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.statuses import DeliveryState


@pytest.mark.parametrize("is_sync", [True, False], ids=["sync", "async"])
async def test_a_handler_that_hangs_keeps_nobody_else_waiting(
    engine: Engine, handlers: Handlers, serve: Serve, *, is_sync: bool
) -> None:
    heard: list[str] = []
    freed, stuck = threading.Event(), list[str]()

    def sync_hangs(task: Task) -> None:
        stuck.append(task.id)
        freed.wait(30)

    async def hangs(task: Task) -> None:
        stuck.append(task.id)
        await asyncio.to_thread(freed.wait, 30)

    async def hears(task: Task) -> None:
        heard.append(task.id)

    def work(task: Task) -> str:
        return "done"

    handlers.bind(work)
    handlers.bind(sync_hangs if is_sync else hangs, None, "task_finished")
    handlers.bind(hears, None, "task_finished")
    async with serve(concurrency=2, drain_seconds=1):
        tasks = [(await done(engine)).id for _ in range(6)]
        await wait_until(lambda: set(heard) == set(tasks), "the other handler has heard of all")
        assert len(stuck) == 2
        freed.set()
        await wait_until(lambda: set(stuck) == set(tasks), "it goes on once it is free")


async def test_a_handler_is_called_as_often_at_once_as_it_asked_for(
    engine: Engine, handlers: Handlers, serve: Serve
) -> None:
    now, most, heard = 0, 0, list[str]()
    full = asyncio.Event()

    async def hears(task: Task) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        if now == 3:
            full.set()
        await within(10, full.wait())
        await asyncio.sleep(0)
        now -= 1
        heard.append(task.id)

    handlers.bind(lambda: "done")
    handlers.bind(hears, None, "task_finished", concurrency=3)
    async with serve(concurrency=8):
        tasks = [await create(engine) for _ in range(7)]
        for task in tasks:
            await finished(engine, task)
        await wait_until(lambda: len(heard) == 7, "it has heard of all")
    assert most == 3


async def failing_alone(task: Task) -> None:
    raise ExceptionGroup("", [ConnectionError("away"), ExceptionGroup("", [GiveUp("it is gone")])])


async def failing_beside(task: Task) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(30))
        group.create_task(failing_alone(task))


@pytest.mark.parametrize("handler", [failing_alone, failing_beside])
async def test_a_handler_gives_up_in_a_group_of_exceptions_too(
    engine: Engine, handlers: Handlers, serve: Serve, handler: Callable[..., None]
) -> None:
    handlers.bind(lambda: "done")
    handlers.bind(handler, None, "task_finished")
    async with serve():
        assert (await done(engine)).status is Status.Completed

        async def set_aside() -> bool:
            return bool(await engine.deliveries.find(DeliveryQuery(state=DeliveryState.SetAside)))

        await wait_until(set_aside, "it is set aside at once")
    (delivery,) = await engine.deliveries.find(DeliveryQuery())
    assert (delivery.tries, delivery.error) == (1, "away; it is gone")
