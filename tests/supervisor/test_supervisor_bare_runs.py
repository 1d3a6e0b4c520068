"""Runs that a handler makes without `run_agent`: another attempt repeats them, and what they cost adds up."""

from agno.agent import Agent

from tests.supervisor.stories import Handlers, done
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
