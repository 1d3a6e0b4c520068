"""Handlers that make tasks and wait for them: each is made once, holds no place of its parent's, and ends with it."""

import asyncio
import re
from typing import Any

import pytest

from tests.contract.steps import AGENT, create, log, run, until
from tests.contract.test_contract_waits import handed_back
from tests.supervisor.stories import Handlers
from tests.support import wait_until
from tests.workers import handlers, no_spare_platform, working
from worker.agents.journal import Journal
from worker.contracts import Platform
from worker.current import Run
from worker.engine.state.families import MAX_CHILDREN
from worker.engine.timings import EngineTimings
from worker.face.children import ChildTask
from worker.face.context import Context
from worker.face.task import Task
from worker.words.errors import ChildFailed, LeaseLost, ValidationError
from worker.words.ids import new_id
from worker.words.signals import NewSignal
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.statuses import TaskUpdateEventType as Type
from worker.words.task_lists import TaskQuery
from worker.words.tasks import AgentExecutionInput, NewTask

__all__ = ["handlers", "no_spare_platform"]

HELPER = f"{AGENT}-helper"
RUNS: list[str] = []


@pytest.fixture(autouse=True)
def _runs() -> None:
    RUNS.clear()


async def help_out(task: Task) -> str:
    """A child: it fails where it is asked to."""
    RUNS.append(task.input.text or "")
    if task.input.text == "fail":
        raise ValueError("I cannot")
    return f"{task.input.text} is done"


async def children_of(platform: Platform, task_id: str) -> list[str]:
    found = await platform.tasks.find(TaskQuery(parent_task_id=task_id))
    return sorted(each.id for each in found)


async def _waits_for_a_signal(platform: Platform, task_id: str) -> bool:
    return (await platform.tasks.get(task_id)).waiting_for == "waits for the signal 'go on'"


@pytest.mark.parametrize("timings", [EngineTimings(children=3600.0)], ids=["nobody looks in vain"])
async def test_a_parent_goes_on_as_soon_as_its_last_child_has_ended(platform: Platform, handlers: Handlers) -> None:

    async def work(task: Task, context: Context) -> str:
        done = await context.gather(*(context.run_task(HELPER, name) for name in ("a", "b")))
        last = await context.run_task(HELPER, "c")
        return "; ".join(each.result or "" for each in (*done, last))

    handlers.bind(work, AGENT)
    handlers.bind(help_out, HELPER)
    async with working(platform, handlers):
        task = await create(platform)
        done = await until(platform, task.id, Status.Completed, Status.Error)
    assert (done.status, done.result) == (Status.Completed, "a is done; b is done; c is done")


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_a_child_is_made_once_and_waited_for(platform: Platform, handlers: Handlers, kind: str) -> None:
    async def work(task: Task, context: Context) -> str:
        await context.step("count", RUNS.append, "before")
        child = await context.run_task(HELPER, "the first", title="one")
        again = await context.run_task(HELPER, "the second")
        return f"{child.result}, {again.result}"

    def work_sync(task: Task, context: Context) -> str:
        context.step_sync("count", RUNS.append, "before")
        child = context.run_task_sync(HELPER, "the first", title="one")
        return f"{child.result}, {context.run_task_sync(HELPER, 'the second').result}"

    handlers.bind(work if kind == "async" else work_sync, AGENT)
    handlers.bind(help_out, HELPER)
    async with working(platform, handlers):
        task = await create(platform)
        done = await until(platform, task.id, Status.Completed, Status.Error)
    assert (done.status, done.result) == (Status.Completed, "the first is done, the second is done")
    assert RUNS == ["before", "the first", "the second"]
    assert sorted(done.sub_executions) == await children_of(platform, task.id)
    first, _ = [await platform.tasks.get(each) for each in done.sub_executions]
    assert (first.parent_execution, first.title, done.errors) == (task.id, "one", 0)


async def test_a_parent_holds_no_place_while_it_waits(platform: Platform, handlers: Handlers) -> None:
    async def work(task: Task, context: Context) -> list[str | None]:
        made = [context.run_task(HELPER, str(number)) for number in range(20)]
        return [each.result for each in await context.gather(*made)]

    handlers.bind(work, AGENT)
    handlers.bind(help_out, HELPER)
    async with working(platform, handlers, concurrency=1):
        task = await create(platform)
        waiting = await handed_back(platform, task.id)
        done = await until(platform, task.id, Status.Completed, Status.Error)
    assert waiting.waiting_for == f"waits for 20 tasks of {HELPER}"
    assert waiting.available_at is None
    assert done.result == str([f"{number} is done" for number in range(20)]).replace("'", '"').replace(", ", ",")
    assert sorted(RUNS) == sorted(str(number) for number in range(20))


async def test_a_child_that_fails_is_an_error_of_its_parent(platform: Platform, handlers: Handlers) -> None:
    async def work(task: Task, context: Context) -> str:
        try:
            await context.run_task(HELPER, "fail")
        except ChildFailed as error:
            RUNS.append(str(error.task.status))
            await context.run_task(HELPER, "something else")
            raise
        return "never"

    handlers.bind(work, AGENT)
    handlers.bind(help_out, HELPER)
    async with working(platform, handlers):
        task = await create(platform)
        done = await until(platform, task.id, Status.Completed, Status.Error)
    (child, _) = done.sub_executions
    assert done.status is Status.Error
    assert done.result == f"Task {child} of agent {HELPER} ended as error: I cannot"
    assert (RUNS, done.errors, done.error_code) == (["fail", "error", "something else", "error"], 0, "handler")


async def test_gather_ends_with_the_first_that_fails_or_waits_for_all(platform: Platform, handlers: Handlers) -> None:
    goes_on = asyncio.Event()

    async def help_slowly(task: Task) -> str:
        if task.input.text == "slow":
            await goes_on.wait()
        return await help_out(task)

    async def work(task: Task, context: Context) -> Any:
        made = [context.run_task(HELPER, each) for each in ("slow", "fail")]
        if task.input.text == "all":
            return [str(each.status) for each in await context.gather(*made, return_exceptions=True)]
        return await context.gather(*made)

    handlers.bind(work, AGENT)
    handlers.bind(help_slowly, HELPER)
    async with working(platform, handlers):
        first, all_of_them = await create(platform, text="first"), await create(platform, text="all")
        ended = await until(platform, first.id, Status.Completed, Status.Error)
        assert ended.status is Status.Error
        assert not (await platform.tasks.get(all_of_them.id)).status.is_terminal
        goes_on.set()
        done = await until(platform, all_of_them.id, Status.Completed, Status.Error)
    assert done.result == '["completed","error"]'


async def test_whoever_stops_a_task_stops_its_children_and_theirs(platform: Platform, handlers: Handlers) -> None:
    begun = asyncio.Event()

    async def work(task: Task, context: Context) -> Any:
        return (await context.run_task(HELPER, "go on")).result

    async def go_on(task: Task, context: Context) -> Any:
        return (await context.run_task(f"{AGENT}-last", "and on")).result

    async def last(task: Task) -> None:
        begun.set()
        await asyncio.Event().wait()

    for each, agent in ((work, AGENT), (go_on, HELPER), (last, f"{AGENT}-last")):
        handlers.bind(each, agent)
    async with working(platform, handlers):
        task = await create(platform)
        await asyncio.wait_for(begun.wait(), 20)
        await platform.tasks.stop(task.id)
        (child,) = await children_of(platform, task.id)
        (grandchild,) = await children_of(platform, child)
        for each in (task.id, child, grandchild):
            assert (await until(platform, each, Status.Stopped)).status is Status.Stopped


async def test_stopping_a_finished_task_leaves_its_children_alone(platform: Platform) -> None:
    parent = await create(platform)
    child = await platform.tasks.create(
        NewTask(agent_id=HELPER, input=AgentExecutionInput(text="x"), parent_execution=parent.id)
    )
    await platform.tasks.update(parent.id, {"status": "completed"})
    await platform.tasks.stop(parent.id)
    assert (await platform.tasks.get(child.id)).status is Status.Pending


async def test_a_child_that_ends_while_the_attempt_does_is_not_missed(platform: Platform, handlers: Handlers) -> None:
    looked, ended = asyncio.Event(), asyncio.Event()

    async def work(task: Task, context: Context) -> Any:
        try:
            return (await context.run_task(HELPER, "quick")).result
        except asyncio.CancelledError:
            looked.set()
            await ended.wait()
            raise

    handlers.bind(work, AGENT)
    handlers.bind(help_out, HELPER)
    async with working(platform, handlers):
        task = await create(platform)
        await asyncio.wait_for(looked.wait(), 20)
        (child,) = await children_of(platform, task.id)
        await until(platform, child, Status.Completed)
        ended.set()
        done = await until(platform, task.id, Status.Completed, Status.Error)
    assert done.result == "quick is done"


async def test_what_came_of_a_child_is_as_it_was_when_its_parent_heard_it(
    platform: Platform, handlers: Handlers
) -> None:
    async def work(task: Task, context: Context) -> Any:
        first = (await context.run_task(HELPER, "once")).result
        return [first, await context.wait_for("go on")]

    handlers.bind(work, AGENT)
    handlers.bind(help_out, HELPER)
    async with working(platform, handlers):
        task = await create(platform)
        await wait_until(lambda: _waits_for_a_signal(platform, task.id), "it has heard of its child", 20)
        (child,) = await children_of(platform, task.id)
        await platform.tasks.create(NewTask(agent_id=HELPER, id=child, input=AgentExecutionInput(text="again")))
        await until(platform, child, Status.Completed)
        await platform.tasks.signal(task.id, NewSignal(name="go on"))
        done = await until(platform, task.id, Status.Completed, Status.Error)
    assert done.result == '["once is done",null]'


async def test_a_retry_from_the_start_makes_children_anew(platform: Platform, handlers: Handlers) -> None:
    async def work(task: Task, context: Context) -> Any:
        return (await context.run_task(HELPER, "once")).id

    handlers.bind(work, AGENT)
    handlers.bind(help_out, HELPER)
    async with working(platform, handlers):
        task = await create(platform)
        first = await until(platform, task.id, Status.Completed)
        after = (await platform.tasks.retry(task.id)).last_event
        second = await until(platform, task.id, Status.Completed, after=after)
    assert first.result != second.result
    assert second.sub_executions == [second.result]


async def test_only_the_owner_makes_children_and_only_its_own(platform: Platform) -> None:
    _, held = await run(platform)
    other = await create(platform, text="another's")
    wish = NewTask(agent_id=HELPER, input=AgentExecutionInput(text="x"))
    child = new_id()
    for _ in range(2):
        await platform.work.make_children(held.task.id, held.attempt, {child: wish})
    assert await children_of(platform, held.task.id) == [child]
    (read,) = await platform.work.children(held.task.id, [child, other.id, new_id()])
    assert (read.id, read.parent_execution) == (child, held.task.id)
    with pytest.raises(LeaseLost):
        await platform.work.make_children(held.task.id, held.attempt + 1, {new_id(): wish})
    with pytest.raises(ValidationError, match=re.escape(f"at most {MAX_CHILDREN:,} children")):
        await platform.work.make_children(held.task.id, held.attempt, {new_id(): wish for _ in range(MAX_CHILDREN)})
    updates = [each.data for each in await log(platform, held.task.id) if each.type is Type.TaskUpdated]
    assert [each.sub_executions for each in updates if each.sub_executions] == [[child]]


@pytest.mark.parametrize("mode", ["reject", "steer"])
async def test_a_child_that_its_conversation_does_not_take_is_refused_by_what_it_says(
    platform: Platform, handlers: Handlers, mode: Any
) -> None:
    begun, goes_on = asyncio.Event(), asyncio.Event()

    async def busy(task: Task) -> None:
        begun.set()
        await goes_on.wait()

    async def work(task: Task, context: Context) -> None:
        await context.run_task(HELPER, "now", conversation_id="c")

    handlers.bind(work, AGENT, retries=1)
    handlers.bind(busy, HELPER, conversation=mode)
    async with working(platform, handlers):
        await platform.tasks.create(
            NewTask(agent_id=HELPER, input=AgentExecutionInput(text="first"), conversation_id="c")
        )
        await asyncio.wait_for(begun.wait(), 20)
        task = await create(platform)
        done = await until(platform, task.id, Status.Completed, Status.Error)
        goes_on.set()
    assert done.status is Status.Error
    assert ("received its text" if mode == "steer" else "is busy with task") in (done.result or "")


def test_options_that_no_child_has_are_refused() -> None:
    attempt = Run("t", "a", None, journal=Journal("t", 1))  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValidationError, match="A child task does not support the option 'existing_task_id'"):
        Context(attempt).run_task("b", "x", existing_task_id="y")
    with pytest.warns(RuntimeWarning, match="a task of agent 'b' was never created"):
        ChildTask(attempt, "b", "x", None, {})
