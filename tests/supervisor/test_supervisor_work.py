"""Which tasks a worker takes, how many at once, with what files, and how it leaves."""

import asyncio
import threading
from typing import Any

import pytest

from tests.supervisor.stories import Handlers, Serve, create, done, finished, within
from tests.support import wait_until
from worker import Task, run_agent
from worker.engine.engine import Engine
from worker.testing import ScriptedModel
from worker.words.errors import ConfigurationError
from worker.words.notices import Notice, WorkerStopped
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.statuses import TaskUpdateEventType

pytestmark = pytest.mark.usefixtures("environment")


async def test_a_specific_handler_beats_the_general_one(engine: Engine, handlers: Handlers, serve: Serve) -> None:
    async def general(task: Task) -> str:
        return "general"

    async def special(task: Task) -> str:
        return "special"

    handlers.bind(general, None)
    handlers.bind(special, "analyst")
    async with serve():
        assert (await done(engine, "analyst")).result == "special"
        assert (await done(engine, "anyone")).result == "general"


async def test_a_worker_serves_only_the_agents_that_the_environment_names(
    engine: Engine, handlers: Handlers, serve: Serve
) -> None:
    async def general(task: Task) -> str:
        return "done"

    handlers.bind(general, None)
    async with serve(agent_id="one, two"):
        other = await create(engine, "three")
        assert (await done(engine, "one")).result == "done"
        assert (await done(engine, "two")).result == "done"
        assert (await engine.tasks.get(other.id)).status is Status.Pending


async def test_never_more_at_once_than_the_worker_and_each_handler_allow(
    engine: Engine, handlers: Handlers, serve: Serve
) -> None:
    running: dict[str, int] = {"narrow": 0, "wide": 0}
    most: dict[str, int] = {"narrow": 0, "wide": 0, "all": 0}

    async def handler(task: Task) -> None:
        running[task.agent_id] += 1
        most[task.agent_id] = max(most[task.agent_id], running[task.agent_id])
        most["all"] = max(most["all"], sum(running.values()))
        for _ in range(20):
            await asyncio.sleep(0)
        running[task.agent_id] -= 1

    handlers.bind(handler, "narrow", concurrency=2)
    handlers.bind(handler, "wide")
    tasks = [await create(engine, agent) for agent in ("narrow", "wide") for _ in range(20)]
    async with serve(concurrency=5):
        ended = await asyncio.gather(*(finished(engine, task) for task in tasks))
    assert {task.status for task in ended} == {Status.Completed}
    assert (most["narrow"], most["all"]) == (2, 5)


async def test_two_thousand_tasks_of_one_loop_all_finish_each_with_gapless_events(
    engine: Engine, handlers: Handlers, serve: Serve
) -> None:
    from worker import Tasks

    async def handler(task: Task) -> str:
        return f"did {task.input.text}"

    handlers.bind(handler)
    async with serve(concurrency=50):
        tasks = [await Tasks().acreate(agent_id="agent", prompt=str(number)) for number in range(2000)]
        query = "select count(*) as n from worker.tasks where status = 'completed'"

        async def all_finished() -> bool:
            return (await engine.core.rows(query))[0]["n"] == len(tasks)

        await wait_until(all_finished, "2,000 tasks completed", 90)
    rows = await engine.core.rows(
        "select t.id, t.result, t.last_event, t.settings->'input'->>'text' as text,"
        " array_agg(e.number order by e.number) as numbers"
        " from worker.tasks t join worker.events e on e.task_id = t.id group by t.id"
    )
    assert len(rows) == 2000
    for row in rows:
        assert row["numbers"] == list(range(1, row["last_event"] + 1))
        assert row["result"] == f"did {row['text']}"


async def test_files_are_read_before_the_handler_starts_so_sync_getters_do_not_block(
    engine: Engine, handlers: Handlers, serve: Serve
) -> None:
    seen: dict[str, Any] = {}

    async def handler(task: Task) -> str:
        seen["readable"] = task.get_human_readable_files()
        seen["message"] = task.to_message()
        return "done"

    handlers.bind(handler)
    reference = await engine.tasks.store_file("a.csv", "text/csv", b"year,total\n2020,5\n")
    async with serve():
        task = await done(engine, files=[reference])
    assert task.status is Status.Completed
    assert seen["readable"] == [{"url": reference, "content": "year,total\n2020,5\n"}]
    assert "2020,5" in seen["message"]


async def test_run_agent_does_the_main_job(engine: Engine, handlers: Handlers, serve: Serve) -> None:
    from agno.agent import Agent

    agent = Agent(id="agent", model=ScriptedModel(["It grew by 5."]), telemetry=False)

    async def handler(task: Task) -> Task:
        return await run_agent(agent, task)

    handlers.bind(handler)
    async with serve():
        task = await done(engine)
    assert (task.status, task.result) == (Status.Completed, "It grew by 5.")
    assert task.tokens is not None


async def test_draining_lets_what_runs_finish_and_claims_nothing_more(
    engine: Engine, handlers: Handlers, serve: Serve
) -> None:
    started, go_on = asyncio.Event(), asyncio.Event()

    async def handler(task: Task) -> str:
        started.set()
        await go_on.wait()
        return "done"

    handlers.bind(handler)
    async with serve(drain_seconds=20) as supervisor:
        first = await create(engine)
        await within(10, started.wait())
        supervisor.stop()
        late = await create(engine)
        go_on.set()
    assert (await engine.tasks.get(first.id)).status is Status.Completed
    assert (await engine.tasks.get(late.id)).status is Status.Pending


async def test_what_does_not_finish_in_time_is_handed_back_uncharged(
    engine: Engine, handlers: Handlers, serve: Serve, notices: list[Notice]
) -> None:
    started = asyncio.Event()

    async def handler(task: Task) -> None:
        started.set()
        await asyncio.Event().wait()

    handlers.bind(handler)
    async with serve(drain_seconds=0.1) as supervisor:
        task = await create(engine)
        await within(10, started.wait())
        supervisor.stop()
        supervisor.stop()  # a second wish changes nothing
    task = await engine.tasks.get(task.id)
    assert (task.status, task.errors, task.crashes, task.execution_attempts) == (Status.Pending, 0, 0, 1)
    assert [notice.handed_back for notice in notices if isinstance(notice, WorkerStopped)] == [1]


async def test_a_run_that_fails_while_the_worker_leaves_is_handed_back(
    engine: Engine, handlers: Handlers, serve: Serve
) -> None:
    started, fail = asyncio.Event(), asyncio.Event()

    async def handler(task: Task) -> None:
        started.set()
        await fail.wait()
        raise OSError("a tool's process got the dyno's SIGTERM")

    handlers.bind(handler)
    async with serve(drain_seconds=20) as supervisor:
        task = await create(engine)
        await within(10, started.wait())
        supervisor.stop()
        fail.set()
    task = await engine.tasks.get(task.id)
    assert (task.status, task.errors) == (Status.Pending, 0)


async def test_sync_work_that_does_not_end_is_freed_by_the_last_write(
    engine: Engine, handlers: Handlers, serve: Serve
) -> None:
    started, let_go = threading.Event(), threading.Event()

    def handler(task: Task) -> None:
        started.set()
        let_go.wait(20)

    handlers.bind(handler)
    async with serve(drain_seconds=0.1):
        task = await create(engine)
        assert await asyncio.to_thread(started.wait, 10)
    task = await engine.tasks.get(task.id)
    let_go.set()
    assert (task.status, task.crashes, task.errors) == (Status.Pending, 0, 0)


async def test_a_worker_in_a_hurry_hands_back_at_once(engine: Engine, handlers: Handlers, serve: Serve) -> None:
    started = asyncio.Event()

    async def handler(task: Task) -> None:
        started.set()
        await asyncio.Event().wait()

    handlers.bind(handler)
    async with asyncio.timeout(15), serve(drain_seconds=3600) as supervisor:
        task = await create(engine)
        await started.wait()
        supervisor.stop_now()
    assert (await engine.tasks.get(task.id)).status is Status.Pending


async def test_hooks_run_once_around_the_worker(engine: Engine, handlers: Handlers, serve: Serve) -> None:
    order: list[str] = []

    async def handler(task: Task) -> None:
        order.append("task")

    async def boot() -> None:
        order.append("boot")

    def shutdown() -> None:
        order.append("shutdown")

    handlers.bind(handler)
    handlers.boot_hooks.append(boot)
    handlers.shutdown_hooks.append(shutdown)
    async with serve():
        await done(engine)
    assert order == ["boot", "task", "shutdown"]


async def test_a_boot_hook_that_raises_stops_the_start_before_anything_is_claimed(
    engine: Engine, handlers: Handlers, serve: Serve
) -> None:
    async def handler(task: Task) -> None: ...

    def boot() -> None:
        raise ConfigurationError("the warehouse cannot be reached")

    handlers.bind(handler)
    handlers.boot_hooks.append(boot)
    task = await create(engine)
    with pytest.raises(ConfigurationError, match="warehouse"):
        async with serve():
            pass
    assert (await engine.tasks.get(task.id)).status is Status.Pending


async def test_events_reach_their_handlers_in_order_and_a_failed_one_again(
    engine: Engine, handlers: Handlers, serve: Serve
) -> None:
    heard: list[tuple[int | None, str]] = []
    failures = 0

    async def work(task: Task) -> str:
        for part in ("one", "two"):
            task.internal_status = part
            await task.asave()
        return "done"

    async def updated(task: Task, event: Any) -> None:
        heard.append((event.number, str(event.data.status)))

    async def ended(task: Task) -> None:
        nonlocal failures
        failures += 1
        if failures == 1:
            raise ConnectionError("the webhook is away")
        heard.append((None, f"finished {task.result}"))

    handlers.bind(work)
    handlers.bind(updated, "agent", TaskUpdateEventType.TaskUpdated)
    handlers.bind(ended, None, TaskUpdateEventType.TaskFinished)
    async with serve():
        await done(engine)
        await wait_until(lambda: (None, "finished done") in heard and len(heard) == 4, "all events delivered", 20)
    assert [each for each in heard if each[0] is not None] == [(2, "executing"), (3, "executing"), (4, "executing")]


async def test_a_save_by_a_delivery_handler_raises_no_delivery_to_itself(
    engine: Engine, handlers: Handlers, serve: Serve
) -> None:
    calls: dict[str, int] = {"first": 0, "second": 0}

    async def work(task: Task) -> str:
        return "done"

    async def first(task: Task) -> None:
        calls["first"] += 1
        task.title = f"seen {calls['first']}"
        await task.asave()

    async def second(task: Task) -> None:
        calls["second"] += 1

    handlers.bind(work, "other")
    handlers.bind(first, "agent", TaskUpdateEventType.TaskUpdated)
    handlers.bind(second, "agent", TaskUpdateEventType.TaskUpdated)
    async with serve():
        task = await create(engine)  # nobody serves it: it stays pending, so only saves make events
        await engine.tasks.update(task.id, {"internal_status": "touched"})
        await wait_until(lambda: calls["second"] == 2, "the second handler hears of both saves", 20)
        await done(engine, "other")
    assert calls == {"first": 1, "second": 2}
    assert (await engine.tasks.get(task.id)).title == "seen 1"
