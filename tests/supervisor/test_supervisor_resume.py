"""A task that a worker takes up again goes on where it stood: on the real engine, with the real supervisor."""

import asyncio
import threading
from collections import Counter
from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from agno.agent import Agent
from agno.exceptions import ModelProviderError
from pydantic import BaseModel

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


class Shop:
    """An agent with two tools, of which the second one may wait or fail."""

    def __init__(self) -> None:
        self.ran: Counter[str] = Counter()
        self.keys: list[str | None] = []
        self.stuck = asyncio.Event()
        self.model = ScriptedModel([Call("weigh", {"what": "a"}), Call("pack", {"what": "a"}), "Sent."])
        self.agent = Agent(id="agent", model=self.model, tools=[self.weigh, self.pack], telemetry=False)
        self.trouble: list[Any] = []

    async def weigh(self, what: str) -> dict[str, str]:
        """Weigh."""
        self.ran["weigh"] += 1
        return {"weighed": what}

    async def pack(self, what: str) -> str:
        """Pack."""
        self.ran["pack"] += 1
        self.keys.append(idempotency_key())
        if self.trouble:
            self.stuck.set()
            await self.trouble.pop().wait()
        return f"packed {what}"


class Invoice(BaseModel):
    due: date
    total: Decimal


async def told(engine: Engine, task: TaskRecord) -> list[str]:
    events = [event async for event in engine.tasks.events(task.id, follow=False)]
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    return [str(event.type) for event in events if not event.type.startswith("task_")]


async def test_a_drain_hands_back_and_another_worker_goes_on(engine: Engine, handlers: Handlers, serve: Serve) -> None:
    shop = Shop()
    shop.trouble = [asyncio.Event()]

    async def handler(task: Task) -> Task:
        return await run_agent(shop.agent, task)

    handlers.bind(handler)
    async with serve(drain_seconds=0.1):
        task = await create(engine)
        await within(10, shop.stuck.wait())
    assert (await engine.tasks.get(task.id)).status is Status.Pending
    async with serve():
        task = await finished(engine, task)
    assert (task.status, task.result, task.errors, task.crashes) == (Status.Completed, "Sent.", 0, 0)
    assert shop.ran == {"weigh": 1, "pack": 2}
    assert shop.keys[0] == shop.keys[1] is not None
    assert len(shop.model.requests) == 3
    assert (task.tokens and task.tokens.prompt_tokens, task.used_tools) == (30, ["weigh", "pack"])
    assert await told(engine, task) == ["tool_call_request", "tool_call_result"] * 2


async def test_a_retryable_error_goes_on_where_it_stood(engine: Engine, handlers: Handlers, serve: Serve) -> None:
    shop, busy = Shop(), [ModelProviderError("overloaded", status_code=529)]
    script = shop.model.script

    def turn(messages: list[Any]) -> Any:
        taken = sum(each.role == "assistant" for each in messages)
        if taken == 2 and busy:
            return busy.pop()
        assert not callable(script)
        return script[taken]

    shop.model.script = turn

    def handler(task: Task) -> Task:
        return run_agent_sync(shop.agent, task)

    handlers.bind(handler, retries=AT_ONCE)
    async with serve():
        task = await done(engine)
    assert (task.status, task.result, task.execution_attempts) == (Status.Completed, "Sent.", 2)
    assert (shop.ran, len(shop.model.requests)) == ({"weigh": 1, "pack": 1}, 4)
    assert task.tokens is not None
    assert task.tokens.prompt_tokens == 30
    assert await told(engine, task) == ["tool_call_request", "tool_call_result"] * 2


async def test_a_run_that_fails_by_itself_while_the_worker_leaves_asks_its_model_again(
    engine: Engine, handlers: Handlers, serve: Serve
) -> None:
    shop, ready, fail = Shop(), asyncio.Event(), asyncio.Event()
    failures = ["once"]

    async def handler(task: Task) -> Task:
        await run_agent(shop.agent, task)
        if failures.pop() if failures else None:
            ready.set()
            await fail.wait()
            raise ValueError("the answer makes no sense")
        return task

    handlers.bind(handler)
    async with serve(drain_seconds=20) as supervisor:
        task = await create(engine)
        await within(10, ready.wait())
        supervisor.stop()
        fail.set()
    async with serve():
        task = await finished(engine, task)
    assert task.result == "Sent."
    assert (shop.ran, len(shop.model.requests)) == ({"weigh": 1, "pack": 1}, 4), "the last answer alone is given anew"


async def test_a_retry_by_hand_begins_anew(engine: Engine, handlers: Handlers, serve: Serve) -> None:
    shop = Shop()

    async def handler(task: Task) -> Task:
        return await run_agent(shop.agent, task)

    handlers.bind(handler)
    async with serve():
        task = await done(engine)
        await engine.tasks.retry(task.id)

        async def is_finished() -> bool:
            return (await engine.tasks.get(task.id)).status is Status.Completed

        await wait_until(is_finished, "it is finished again")
    assert shop.ran == {"weigh": 2, "pack": 2}
    assert len(set(shop.keys)) == 2, "calls of a run that begins anew are other calls"


async def test_steps_of_a_handler_are_done_once(engine: Engine, handlers: Handlers, serve: Serve) -> None:
    ran: Counter[str] = Counter()
    keys: list[str | None] = []
    answers: list[Any] = []

    async def load(number: int) -> tuple[int, str]:
        ran["load"] += 1
        keys.append(idempotency_key())
        return number, "rows"

    def save(number: int) -> dict[str, int]:
        ran["save"] += 1
        keys.append(idempotency_key())
        if ran["save"] == 1:
            raise ConnectionError("the warehouse is away")
        return {"saved": number}

    async def handler(task: Task, context: Context) -> str:
        answers.append([await context.step("load", load, number) for number in (1, 2)])
        answers.append(await context.step("save", save, 3))
        answers.append(await asyncio.to_thread(context.step_sync, "count", ran.total))
        assert idempotency_key() is None
        if ran["again"] == 0:
            ran["again"] += 1
            raise ConnectionError("and once more")
        return "done"

    handlers.bind(handler, retries=AT_ONCE)
    async with serve():
        task = await done(engine)
    assert (task.status, task.result, task.execution_attempts) == (Status.Completed, "done", 3)
    assert ran == {"load": 2, "save": 2, "again": 1}
    assert answers == [[(1, "rows"), (2, "rows")]] * 2 + [{"saved": 3}, 4, [(1, "rows"), (2, "rows")], {"saved": 3}, 4]
    assert keys == [f"{task.id}:step:{each}" for each in ("load.0", "load.1", "save.0", "save.0")]


async def test_a_step_of_a_sync_handler_is_done_once(engine: Engine, handlers: Handlers, serve: Serve) -> None:
    ran: Counter[str] = Counter()

    def count() -> int:
        ran["count"] += 1
        return ran["count"]

    def handler(task: Task, context: Context) -> str:
        answer = context.step_sync("count", count)
        if context.attempt == 1:
            raise ConnectionError("once")
        return str(answer)

    handlers.bind(handler, retries=AT_ONCE)
    async with serve():
        task = await done(engine)
    assert (task.result, ran["count"]) == ("1", 1)


async def test_a_step_that_json_cannot_say_is_an_error_by_name(
    engine: Engine, handlers: Handlers, serve: Serve
) -> None:
    async def handler(task: Task, context: Context) -> None:
        await context.step("strange", lambda: print)

    handlers.bind(handler)
    async with serve():
        task = await done(engine)
    assert task.status is Status.Error
    assert "The result of step 'strange' cannot be converted to JSON" in (task.result or "")


async def test_a_step_answers_in_the_form_of_its_annotation_or_is_not_begun(
    engine: Engine, handlers: Handlers, serve: Serve
) -> None:
    answers: list[Any] = []
    begun: list[str] = []

    def price() -> Decimal:
        return Decimal("1.50")

    async def invoice() -> Invoice:
        return Invoice(due=date(2026, 1, 2), total=Decimal("1.50"))

    def unlike() -> threading.Lock:
        begun.append("unlike")
        return threading.Lock()

    async def handler(task: Task, context: Context) -> None:
        answers.extend([await context.step("price", price), await context.step("invoice", invoice)])
        answers.append(await context.step("plain", lambda: (price(), date(2026, 1, 2))))
        if context.attempt == 1:
            raise ConnectionError("once more")
        await context.step("unlike", unlike)

    handlers.bind(handler, retries=AT_ONCE)
    async with serve():
        task = await done(engine)
    once = [Decimal("1.50"), Invoice(due=date(2026, 1, 2), total=Decimal("1.50")), ["1.50", "2026-01-02"]]
    assert answers == once * 2
    assert "Step 'unlike' returns" in (task.result or "")
    assert not begun


async def test_a_result_of_many_megabytes_is_kept_too(
    engine: Engine, handlers: Handlers, serve: Serve, database_url: str
) -> None:
    """It goes to the file store: a retry does not do it again."""
    large, ran = "x" * (12 * 1024 * 1024), Counter[str]()

    def fetch() -> str:
        ran["fetch"] += 1
        return large

    async def handler(task: Task, context: Context) -> str:
        text = await context.step("fetch", fetch)
        ran["handler"] += 1
        if ran["handler"] == 1:
            raise ConnectionError("try again")
        return str(len(text))

    handlers.bind(handler, retries=AT_ONCE)
    async with serve():
        task = await done(engine)
    assert (task.result, ran) == (str(len(large)), {"fetch": 1, "handler": 2})
    assert await told(engine, task) == []
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("select octet_length(value::text), sha256 is null from worker.journal").fetchall()
    assert rows == [(4, False)]


@pytest.mark.parametrize("how", ["time limit", "stop", "final error", "a defect behind it"])
async def test_a_retry_by_hand_may_resume(engine: Engine, handlers: Handlers, serve: Serve, how: str) -> None:
    shop, defects = Shop(), [ValueError("a defect")] if how == "a defect behind it" else []
    if how in ("time limit", "stop"):
        shop.trouble = [asyncio.Event()]
    script, refused = shop.model.script, [ModelProviderError("no such thing", status_code=400)]

    def turn(messages: list[Any]) -> Any:
        taken = sum(each.role == "assistant" for each in messages)
        if taken == 2 and refused and how == "final error":
            return refused.pop()
        assert not callable(script)
        return script[taken]

    shop.model.script = turn

    async def handler(task: Task) -> Task:
        task = await run_agent(shop.agent, task)
        if defects:
            raise defects.pop()
        return task

    handlers.bind(handler, timeout=1 if how == "time limit" else None)
    async with serve():
        task = await create(engine)
        if how == "stop":
            await within(10, shop.stuck.wait())
            await engine.tasks.stop(task.id)
        ended = await finished(engine, task)
        assert ended.status is not Status.Completed
        asked = len(shop.model.requests)
        await engine.tasks.retry(task.id)

        async def is_done() -> bool:
            found = await engine.tasks.get(task.id)
            return found.execution_attempts == 2 and found.status.is_terminal

        await wait_until(is_done, "the second attempt has ended")
        task = await engine.tasks.get(task.id)
    assert (task.status, task.result, task.execution_attempts) == (Status.Completed, "Sent.", 2)
    assert shop.ran["weigh"] == 1
    is_repeated = how == "final error"  # what led to it is asked for again: else it would only be met again
    assert shop.ran["pack"] == (2 if is_repeated or shop.stuck.is_set() else 1)
    assert len(shop.model.requests) - asked == (2 if is_repeated else 1)
    assert (await told(engine, task)).count("tool_call_request") == (3 if is_repeated else 2)


SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


@pytest.mark.parametrize("failed", ["its form", "by the handler's word"])
async def test_a_retry_by_hand_asks_anew_for_the_answer_that_failed(
    engine: Engine, handlers: Handlers, serve: Serve, failed: str
) -> None:
    answers = ["no number", "nor now", '{"n": 1}'] if failed == "its form" else ['{"n": 0}', '{"n": 1}']
    model = ScriptedModel(lambda _: answers.pop(0))
    weighed: list[str] = []

    async def weigh() -> str:
        weighed.append("once")
        return "weighed"

    async def handler(task: Task, context: Context) -> Task:
        await context.step("weigh", weigh)
        task = await run_agent(Agent(name="ann", model=model), task)
        await context.step("look at it", str, task.result)
        if "0" in str(task.result):
            task.status = Status.Error
        return task

    handlers.bind(handler)
    async with serve():
        task = await create(engine, output_schema=SCHEMA)
        assert (await finished(engine, task)).status is Status.Error
        await engine.tasks.retry(task.id)

        async def is_done() -> bool:
            return (await engine.tasks.get(task.id)).status is Status.Completed

        await wait_until(is_done, "the second attempt has given a number")
    assert not answers
    assert weighed == ["once"]
