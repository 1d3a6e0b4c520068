"""The last answer of a run is noted only if the attempt goes on: on the real engine, with the real supervisor."""

import asyncio
import json
from typing import Any

import pytest
from agno.agent import Agent

from tests.supervisor.stories import Handlers, Serve, create, done, finished, within
from tests.support import wait_until
from worker import Context, Task, idempotency_key, run_agent, run_agent_sync
from worker.engine.engine import Engine
from worker.testing import Call, ScriptedModel
from worker.words.retry import RetryPolicy
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.tasks import TaskRecord

pytestmark = pytest.mark.usefixtures("environment")

AT_ONCE = RetryPolicy(attempts=3, base=0.001)


class Oracle:
    """An agent that answers at once, and counts how often it was asked."""

    def __init__(self, *turns: Any) -> None:
        self.model = ScriptedModel(turns or ["So be it."])
        self.agent = Agent(id="oracle", model=self.model, tools=[self.look], telemetry=False)
        self.noted_at_look: list[str] = []
        self.engine: Engine | None = None

    async def look(self) -> str:
        """Look what is noted by now."""
        assert self.engine is not None
        self.noted_at_look += await noted(self.engine, str(idempotency_key()).partition(":")[0])
        return "looked"

    @property
    def asked(self) -> int:
        return len(self.model.requests)


async def noted(engine: Engine, task_id: str) -> list[str]:
    """The kinds of what the journal holds, in order."""
    rows = await engine.work.journal(task_id)
    return [json.loads(rows[key])["kind"] for key in sorted(rows, key=lambda key: int(key.rpartition(".")[2]))]


async def test_an_answer_that_only_the_end_follows_is_written_with_it_in_one_commit(
    engine: Engine, handlers: Handlers, serve: Serve
) -> None:
    oracle = Oracle()

    async def handler(task: Task) -> Task:
        task = await run_agent(oracle.agent, task)
        task.internal_status = "asked"
        return task

    handlers.bind(handler)
    async with serve():
        items = engine.core.writer.items
        task = await done(engine)
    assert (task.result, task.internal_status) == ("So be it.", "asked")
    assert engine.core.writer.items - items == 2, "its creation and its end"
    assert await noted(engine, task.id) == []


async def test_a_handler_that_waits_after_its_agent_has_the_answer_noted(
    engine: Engine, handlers: Handlers, serve: Serve
) -> None:
    oracle, goes_on = Oracle(), asyncio.Event()

    async def handler(task: Task) -> str:
        await run_agent(oracle.agent, task)
        if task.execution_attempts == 1:
            await goes_on.wait()
        return f"{task.result} Indeed."

    handlers.bind(handler)
    async with serve():
        task = await create(engine)

        async def is_noted() -> bool:
            return await noted(engine, task.id) == ["model", "run"]

        await wait_until(is_noted, "the answer is noted while the handler waits")
        await engine.core.rows("update worker.tasks set status = 'pending', worker_id = null")  # as a rescuer does
        engine.core.announce("w", [task.id])
        task = await finished(engine, task)
    assert (task.result, task.execution_attempts) == ("So be it. Indeed.", 2)
    assert oracle.asked == 1


async def test_what_fails_after_its_agent_is_tried_again_with_the_answer_it_had(
    engine: Engine, handlers: Handlers, serve: Serve
) -> None:
    oracle, trouble = Oracle(), [ConnectionError("gone"), ConnectionError("gone again")]

    async def handler(task: Task) -> Task:
        task = await run_agent(oracle.agent, task)
        if trouble:
            raise trouble.pop()
        return task

    handlers.bind(handler, retries=AT_ONCE)
    async with serve():
        task = await done(engine)
    assert (task.status, task.execution_attempts, oracle.asked) == (Status.Completed, 3, 1)


async def test_a_failure_of_its_own_while_the_worker_leaves_forgets_the_answer_and_no_other(
    engine: Engine, handlers: Handlers, serve: Serve
) -> None:
    oracle, begun, leaving = Oracle("One.", "Two."), asyncio.Event(), asyncio.Event()
    answers: list[str] = []

    async def handler(task: Task) -> str:
        first = (await run_agent(oracle.agent, task)).result
        begun.set()
        await leaving.wait()
        second = (await run_agent(oracle.agent, task)).result
        answers.extend([first, second])
        if task.execution_attempts == 1:
            raise ValueError("that makes no sense")
        return "well"

    handlers.bind(handler)
    async with serve(drain_seconds=20) as supervisor:
        task = await create(engine)
        await within(10, begun.wait())
        supervisor.stop()
        leaving.set()
    async with serve():
        task = await finished(engine, task)
    assert (task.result, oracle.asked) == ("well", 3), "the second answer alone is given anew"


@pytest.mark.parametrize("goes_on", ["step", "save", "run"])
async def test_whatever_an_attempt_begins_after_an_answer_finds_it_noted(
    engine: Engine, handlers: Handlers, serve: Serve, goes_on: str
) -> None:
    oracle, seen = Oracle(), list[list[str]]()

    async def look(task: Task) -> str:
        seen.append(await noted(engine, task.id))
        return "looked"

    async def handler(task: Task, context: Context) -> str:
        await run_agent(oracle.agent, task)
        match goes_on:
            case "step":
                await context.step("look", look, task)
            case "save":
                task.internal_status = "asked"
                await task.asave()
                seen.append(await noted(engine, task.id))
            case _:

                async def before(_: Any) -> None:
                    seen.append(await noted(engine, task.id))

                await run_agent(Agent(model=ScriptedModel(["and so on"], before=before), telemetry=False), task)
        return "well"

    handlers.bind(handler)
    async with serve():
        task = await done(engine)
    assert (task.result, seen) == ("well", [["model", "run"]])


async def test_a_tool_begins_only_when_the_answer_that_asks_for_it_is_noted(
    engine: Engine, handlers: Handlers, serve: Serve
) -> None:
    oracle = Oracle(Call("look"), "done")
    oracle.engine = engine

    async def handler(task: Task) -> Task:
        return await run_agent(oracle.agent, task)

    handlers.bind(handler)
    async with serve():
        task = await done(engine)
    assert task.result == "done"
    assert oracle.noted_at_look == ["model"]


async def test_a_sync_handler_finds_the_answer_noted(engine: Engine, handlers: Handlers, serve: Serve) -> None:
    oracle, seen = Oracle(), list[list[str]]()

    def handler(task: Task) -> Task:
        task = run_agent_sync(oracle.agent, task)
        seen.append(asyncio.run_coroutine_threadsafe(noted(engine, task.id), loop).result())
        return task

    loop = asyncio.get_running_loop()
    handlers.bind(handler)
    async with serve():
        task = await done(engine)
    assert (task.status, seen) == (Status.Completed, [["model", "run"]])


async def test_behind_a_pause_the_answer_is_kept(engine: Engine, handlers: Handlers, serve: Serve) -> None:
    oracle = Oracle()

    async def handler(task: Task) -> Task:
        task = await run_agent(oracle.agent, task)
        task.status = Status.Paused if task.execution_attempts == 1 else Status.Completed
        return task

    handlers.bind(handler)
    async with serve():
        task: TaskRecord = await create(engine)

        async def is_paused() -> bool:
            return (await engine.tasks.get(task.id)).status is Status.Paused

        await wait_until(is_paused, "it is paused")
        await engine.tasks.retry(task.id)
        task = await finished(engine, task)
    assert (task.status, task.result, oracle.asked) == (Status.Completed, "So be it.", 1)
