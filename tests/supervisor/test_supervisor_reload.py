"""A worker that is given other handlers while it runs."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.supervisor.stories import Handlers, Serve, create, done, finished, within
from tests.support import wait_until
from worker import Task
from worker.engine.engine import Engine
from worker.words.errors import Unavailable
from worker.words.statuses import AgentExecutionStatus as Status

pytestmark = pytest.mark.usefixtures("environment")


def saying(word: str) -> Callable[..., object]:
    async def handler(task: Task) -> str:
        return word

    return handler


def with_handler(function: Callable[..., object], agent: str | None = "agent", **options: Any) -> Handlers:
    handlers = Handlers()
    handlers.bind(function, agent, **options)
    return handlers


async def test_what_runs_finishes_with_the_old_code_and_new_tasks_get_the_new(
    engine: Engine, handlers: Handlers, serve: Serve
) -> None:
    go_on, begun = asyncio.Event(), asyncio.Event()

    async def slow(task: Task) -> str:
        begun.set()
        await go_on.wait()
        return "old"

    handlers.bind(slow)
    async with serve() as supervisor:
        running = await create(engine)
        await within(5, begun.wait())
        await supervisor.reload(with_handler(saying("new")))
        assert (await done(engine)).result == "new"
        go_on.set()
        ended = await finished(engine, running)
        assert (ended.result, ended.execution_attempts, ended.crashes) == ("old", 1, 0)


async def test_agents_come_and_go(engine: Engine, handlers: Handlers, serve: Serve) -> None:
    handlers.bind(saying("one"), "one")
    async with serve() as supervisor:
        assert (await done(engine, "one")).result == "one"
        await supervisor.reload(with_handler(saying("two"), "two"))
        assert (await done(engine, "two")).result == "two"
        left = await create(engine, "one")
        assert (await done(engine, "two")).result == "two"
        assert (await engine.tasks.get(left.id)).status is Status.Pending
        (listed,) = await engine.organization("default").presence.workers()
        assert (listed.agents, listed.any_agent) == (("two",), False)
        await supervisor.reload(with_handler(saying("any"), None))
        assert (await finished(engine, left)).result == "any"


async def test_a_worker_without_handlers_waits_for_its_first(engine: Engine, handlers: Handlers, serve: Serve) -> None:
    task = await create(engine)
    async with serve() as supervisor:
        await supervisor.reload(with_handler(saying("at last")))
        assert (await finished(engine, task)).result == "at last"


async def test_listeners_are_replaced_and_a_delivery_under_way_is_finished_by_the_old(
    engine: Engine, handlers: Handlers, serve: Serve
) -> None:
    heard: list[str] = []
    go_on, begun = asyncio.Event(), asyncio.Event()

    async def first(task: Task) -> None:
        begun.set()
        await go_on.wait()
        heard.append("first")

    async def second(task: Task) -> None:
        heard.append("second")

    handlers.bind(saying("done"))
    handlers.bind(first, None, "task_finished")
    others = with_handler(saying("done"))
    others.bind(second, None, "task_finished")
    async with serve() as supervisor:
        await done(engine)
        await within(5, begun.wait())
        await supervisor.reload(others)
        await done(engine)
        await wait_until(lambda: heard == ["second"], "the new listener heard of the task that came after the reload")
        go_on.set()
        await wait_until(lambda: heard == ["second", "first"], "the old listener ended what it had begun")
        await supervisor.reload(with_handler(saying("done")))
        await done(engine)
    assert heard == ["second", "first"]


async def test_hooks_of_the_new_run_before_and_of_the_old_after_its_last_run(
    engine: Engine, handlers: Handlers, serve: Serve
) -> None:
    said: list[str] = []
    go_on, begun = asyncio.Event(), asyncio.Event()

    async def slow(task: Task) -> str:
        begun.set()
        await go_on.wait()
        said.append("old run ended")
        return "old"

    handlers.bind(slow)
    handlers.shutdown_hooks.append(lambda: said.append("old shutdown"))
    others = with_handler(saying("new"))
    others.boot_hooks.append(lambda: said.append("new boot"))
    others.shutdown_hooks.append(lambda: said.append("new shutdown"))
    async with serve() as supervisor:
        await create(engine)
        await within(5, begun.wait())
        await supervisor.reload(others)
        assert said == ["new boot"]
        go_on.set()
        await wait_until(lambda: said == ["new boot", "old run ended", "old shutdown"], "the old handlers were let go")
    assert said[3:] == ["new shutdown"]


async def test_a_boot_hook_that_raises_leaves_the_old_handlers_at_work(
    engine: Engine, handlers: Handlers, serve: Serve
) -> None:
    def broken() -> None:
        raise Unavailable("not today")

    handlers.bind(saying("old"))
    others = with_handler(saying("new"))
    others.boot_hooks.append(broken)
    async with serve() as supervisor:
        with pytest.raises(Unavailable):
            await supervisor.reload(others)
        assert (await done(engine)).result == "old"


async def test_a_worker_that_leaves_lets_go_of_old_runs_too(engine: Engine, handlers: Handlers, serve: Serve) -> None:
    said: list[str] = []
    begun = asyncio.Event()

    async def endless(task: Task) -> None:
        begun.set()
        await asyncio.Event().wait()

    handlers.bind(endless)
    handlers.shutdown_hooks.append(lambda: said.append("old shutdown"))
    async with serve(drain_seconds=0) as supervisor:
        task = await create(engine)
        await within(5, begun.wait())
        await supervisor.reload(with_handler(saying("new"), "other"))
    assert said == ["old shutdown"]
    assert (await engine.tasks.get(task.id)).status is Status.Pending


async def test_the_handlers_limit_is_that_of_old_and_new_runs_together(
    engine: Engine, handlers: Handlers, serve: Serve
) -> None:
    go_on, begun = asyncio.Event(), asyncio.Event()

    async def narrow(task: Task) -> str:
        begun.set()
        await go_on.wait()
        return "old"

    handlers.bind(narrow, concurrency=1)
    async with serve() as supervisor:
        first = await create(engine)
        await within(5, begun.wait())
        others = with_handler(narrow, concurrency=1)
        others.bind(saying("other"), "other")
        await supervisor.reload(others)
        second = await create(engine)
        assert (await done(engine, "other")).result == "other"
        assert (await engine.tasks.get(second.id)).status is Status.Pending
        go_on.set()
        assert (await finished(engine, first)).result == "old"
        assert (await finished(engine, second)).result == "old"
