"""Models that give an agent's answer its form: a useless answer of theirs repeats that one call, and nothing else."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest
from agno.agent import Agent
from agno.team import Team
from pydantic import BaseModel

from tests.agents.attempts import Task
from tests.agents.runs import flow
from tests.providers.answers import Says
from tests.providers.standin import WIRES, StandIn
from worker.agents.errors import AgentFailed
from worker.testing import Call, ScriptedModel
from worker.words.classification import classify


class Total(BaseModel):
    total: int


GOOD = '{"total":42}'

shapes = pytest.mark.parametrize("shape", ["agent", "team", "workflow"])
kinds = pytest.mark.parametrize("kind", ["parser_model", "output_model"])


class Made(NamedTuple):
    """What is run, the model that answers without a form, and the server of the one that gives the form."""

    whole: Any
    main: ScriptedModel
    last: StandIn


@asynccontextmanager
async def made(shape: str, kind: str, *answers: str) -> AsyncGenerator[Made]:
    """Make an agent, a team or a workflow whose last model gives these answers in turn."""

    async def look() -> str:
        """Look."""
        return "seen"

    main = ScriptedModel([Call("look"), "The total is 42."])
    with StandIn(WIRES["openai-chat"], [Says((each,)) for each in answers]) as last:
        options: dict[str, Any] = {"id": "a", "model": main, "tools": [look], "output_schema": Total}
        options |= {kind: last.model(), "telemetry": False}
        one = Team(members=[], **options) if shape == "team" else Agent(**options)
        yield Made(flow(one) if shape == "workflow" else one, main, last)
        await last.close_clients()


@shapes
@kinds
async def test_the_model_that_gives_the_form_repairs_it(kind: str, shape: str) -> None:
    async with made(shape, kind, "It is 42.", GOOD) as (whole, main, last):
        task = Task(output_schema=Total.model_json_schema())
        result = await task.attempted(lambda run_agent: run_agent(whole))
        assert "".join(str(result.content).split()) == GOOD
        assert (len(main.requests), len(last.requests)) == (2, 2)


@shapes
@kinds
async def test_an_empty_answer_of_that_model_repeats_its_call_alone(kind: str, shape: str) -> None:
    async with made(shape, kind, "", GOOD) as (whole, main, last):
        task = Task()
        with pytest.raises(AgentFailed, match="empty") as caught:
            await task.attempted(lambda run_agent: run_agent(whole))
        assert classify(caught.value).is_retryable
        result = await task.attempted(lambda run_agent: run_agent(whole))
        assert "".join(str(result.content).split()) == GOOD
        assert (len(main.requests), len(last.requests)) == (2, 2)
