"""Runs that a handler makes without `run_agent`: another attempt repeats them, and what they cost adds up."""

import pytest
from agno.agent import Agent

from tests.supervisor.stories import Handlers, done
from tests.support import wait_until
from tests.workers import handlers, working
from worker import Task
from worker.engine.engine import Engine
from worker.testing import ScriptedModel
from worker.words.retry import RetryPolicy

__all__ = ["handlers"]

AGAIN = RetryPolicy(attempts=3, base=0.01)


async def test_the_account_has_what_earlier_attempts_have_paid(engine: Engine, handlers: Handlers) -> None:
    tries = list(range(3))

    async def handler(task: Task) -> str:
        tries.pop()
        output = await Agent(model=ScriptedModel(["done"])).arun("go")
        if tries:
            raise ConnectionError("away")
        return str(output.content)

    handlers.bind(handler, retries=AGAIN)
    async with working(engine, handlers):
        task = await done(engine)
    assert (task.result, task.errors) == ("done", 2)
    assert task.tokens is not None
    assert (task.tokens.prompt_tokens, task.tokens.completion_tokens) == (30, 15)


async def test_also_where_the_last_attempt_pays_nothing(engine: Engine, handlers: Handlers) -> None:
    tries = list(range(3))

    async def handler(task: Task) -> None:
        tries.pop()
        if not tries:
            raise ValueError("for good")
        await Agent(model=ScriptedModel(["done"])).arun("go")
        raise ConnectionError("away")

    handlers.bind(handler, retries=AGAIN)
    async with working(engine, handlers):
        task = await done(engine)
    assert (task.status, task.result) == ("error", "for good")
    assert task.tokens is not None
    assert (task.tokens.prompt_tokens, task.tokens.completion_tokens) == (20, 10)


@pytest.mark.parametrize("first", ["error", "completed"])
async def test_a_retry_by_hand_adds_to_what_was_paid(engine: Engine, handlers: Handlers, first: str) -> None:
    tries = list(range(3))

    async def handler(task: Task) -> str:
        tries.pop()
        await Agent(model=ScriptedModel(["done"])).arun("go")
        if first == "error" and tries:
            raise ValueError("for good")
        return "done"

    handlers.bind(handler)
    async with working(engine, handlers):
        task = await done(engine)
        for paid in (20, 30):
            await engine.tasks.retry(task.id, resume=True)

            async def has_ended(id_: str = task.id) -> bool:
                return (await engine.tasks.get(id_)).status.is_terminal

            await wait_until(has_ended, "the end of the retry", 20)
            task = await engine.tasks.get(task.id)
            assert task.tokens is not None
            assert (task.tokens.prompt_tokens, task.tokens.completion_tokens) == (paid, paid // 2)
    assert task.status == "completed"
