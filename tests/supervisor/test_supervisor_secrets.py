"""A task's secrets in the errors of its run: who may read the task, or uses the same provider, does not learn them."""

import base64
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from agno.agent import Agent
from agno.exceptions import ModelProviderError
from agno.models.response import ModelResponse
from agno.team import Team

from tests.conftest import execute
from tests.supervisor.stories import Handlers, Serve, create, done
from tests.support import wait_until
from worker import Task, run_agent
from worker.engine.engine import Engine
from worker.redaction import Redactor, holding
from worker.telemetry import tracebacks
from worker.testing import Call, ScriptedModel

TOKEN = "s3cret/canary ü+0123=="
TOKENS = {"crm": TOKEN}


def lookup(customer: str) -> str:
    raise RuntimeError(f"{customer} is refused to {TOKEN}")


class Failing(ScriptedModel):
    """A model whose every call fails.

    Args:
        error: The error.
    """

    def __init__(self, error: ModelProviderError) -> None:
        super().__init__(["-"])
        self._error = error

    async def ainvoke(self, *_: Any, **__: Any) -> Any:
        raise self._error

    async def ainvoke_stream(self, *_: Any, **__: Any) -> AsyncIterator[ModelResponse]:
        raise self._error
        yield ModelResponse()


async def test_no_error_that_others_read_tells_them(
    serve: Serve, handlers: Handlers, engine: Engine, database_url: str
) -> None:
    async def of_a_tool(task: Task) -> Task:
        model = ScriptedModel([Call("lookup", {"customer": "c1"}), "done"])
        return await run_agent(Agent(model=model, tools=[lookup], telemetry=False), task)

    async def of_a_member(task: Task) -> Task:
        member = Agent(
            name="researcher",
            model=Failing(ModelProviderError(f"{TOKEN} cannot do this", status_code=400)),
            telemetry=False,
        )
        delegated = Call("delegate_task_to_member", {"member_id": "researcher", "task": "x"})
        return await run_agent(Team(members=[member], model=ScriptedModel([delegated, "done"]), telemetry=False), task)

    async def of_the_provider(task: Task) -> Task:
        return await run_agent(
            Agent(
                model=Failing(ModelProviderError(f"Incorrect API key provided: {TOKEN}", status_code=401)),
                telemetry=False,
            ),
            task,
        )

    async def of_the_handler(task: Task) -> None:
        raise ExceptionGroup("several", [KeyError(TOKEN), ValueError(f"https://api.example/{quote(TOKEN, safe='')}/x")])

    for function in (of_a_tool, of_a_member, of_the_provider, of_the_handler):
        handlers.bind(function, function.__name__)
    async with serve():
        assert (await done(engine, "of_a_tool", user_tokens=TOKENS)).result == "done"
        await done(engine, "of_a_member", user_tokens=TOKENS)
        assert "***" in str((await done(engine, "of_the_handler", user_tokens=TOKENS)).result)
        waiting = await create(engine, "of_the_provider", user_tokens=TOKENS)

        async def is_away() -> bool:
            return bool((await engine.tasks.get(waiting.id)).error_code)

        await wait_until(is_away, "the task waits for its provider")
        (provider,) = await engine.tasks.providers()
        assert provider.message == "Incorrect API key provided: ***"
    told = execute(database_url, "select data::text from worker.events")
    told += execute(database_url, "select result from worker.tasks")
    assert "c1 is refused to ***" in str(told)
    assert "*** cannot do this" in str(told)
    for form in ("s3cret", "canary"):
        assert [row for row in told if form in str(row)] == []


@pytest.mark.parametrize(
    "form",
    [str, repr, quote, quote_plus, partial(quote, safe=""), partial(quote, safe="/+=,:;@")],
    ids=["plain", "repr", "path", "query", "component", "as httpx"],
)
def test_a_secret_is_recognized_in_the_forms_that_clients_give_it(form: Callable[[str], str]) -> None:
    with holding(TOKENS):
        assert "canary" not in Redactor()(f"failed for {form(TOKEN)}")


def test_a_secret_across_the_end_of_what_is_shown_is_no_less_hidden() -> None:
    long = base64.b64encode(bytes(range(256)) * 20).decode()  # longer than the usual margin, as tokens may be
    with holding([long]):
        for before in (0, 5, 3_000, tracebacks.MESSAGE_CHARACTERS - 20):
            text = "x" * before + long + "y" * 10_000
            for shown in (
                Redactor().beginning(text, tracebacks.MESSAGE_CHARACTERS),
                tracebacks.formatted(RuntimeError(text)),
            ):
                assert long[:20] not in shown
