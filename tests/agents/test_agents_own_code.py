"""Transient errors of the user's own code within an agent are retried wherever they are raised; others are told."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from agno.agent import Agent
from agno.team import Team
from agno.workflow import Step, Workflow

from worker import RetryPolicy, Task, run_agent
from worker.registry import Registry
from worker.testing import Call, ScriptedModel, run_handler
from worker.testing import running as stage

pytestmark = pytest.mark.usefixtures("environment", "worker_platform")


def away(*_: Any, **__: Any) -> Any:
    raise ConnectionError("db away")


async def away_async(*_: Any, **__: Any) -> Any:
    raise ConnectionError("db away")


def in_a_group(*_: Any, **__: Any) -> Any:
    raise ExceptionGroup("unhandled errors in a TaskGroup", [ConnectionError("db away")])


def defect(*_: Any, **__: Any) -> Any:
    raise ValueError("no such column")


def agent(**options: Any) -> Agent:
    return Agent(id="a", model=ScriptedModel(["done"]), **options)


def team(**options: Any) -> Team:
    return Team(id="t", members=[agent()], model=ScriptedModel(["done"]), **options)


Make = Callable[[Any], Any]

ENDING: dict[str, Make] = {
    "tools": lambda code: agent(tools=code),
    "tools of a team": lambda code: team(tools=code),
    "instructions": lambda code: agent(instructions=code),
    "step": lambda code: Workflow(id="w", steps=[Step(name="s", executor=code)]),
}
PASSED_OVER: dict[str, Make] = {
    "pre-hook": lambda code: agent(pre_hooks=[code]),
    "post-hook": lambda code: agent(post_hooks=[code]),
    "pre-hook of a team": lambda code: team(pre_hooks=[code]),
    "dependencies": lambda code: agent(dependencies={"x": code}, add_dependencies_to_context=True),
    "retriever": lambda code: agent(knowledge_retriever=code, add_knowledge_to_context=True),
}


def handler(make: Make, code: Any) -> Callable[[Task], Any]:
    async def handle(task: Task) -> Task:
        return await run_agent(make(code), task)

    return handle


@pytest.mark.parametrize("place", [*ENDING, *PASSED_OVER])
async def test_a_transient_error_is_retried_wherever_it_comes_from(place: str) -> None:
    for code in (away, away_async, in_a_group):
        run = await run_handler(handler((ENDING | PASSED_OVER)[place], code), text="x")
        assert (run.status, run.retry_in is None) == ("pending", False), (code, run.error)
        (attempt,) = await run.task.aattempts()
        assert str(attempt.error).endswith("db away")
        assert attempt.error_code == "unavailable"


@pytest.mark.parametrize("place", PASSED_OVER)
async def test_what_agno_goes_on_without_is_named_in_a_note(place: str) -> None:
    run = await run_handler(handler(PASSED_OVER[place], defect), text="x")
    assert (run.status, run.result) == ("completed", "done")
    assert run.notes == ["defect failed, and the agent went on without it: no such column"]
    registry = Registry()
    registry.add(once := handler(PASSED_OVER[place], away), "task_created", None, retries=RetryPolicy(attempts=1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage.registry, "default", registry)
        last = await run_handler(once, text="x")
    assert last.status == "completed"
    assert last.notes == ["away failed, and the agent went on without it: db away"]


async def test_what_a_tool_raises_is_for_its_model() -> None:
    def fetch() -> str:
        """Fetch."""
        return away()

    async def handle(task: Task) -> Task:
        model = ScriptedModel([Call("fetch", {}), "there is none"])
        return await run_agent(Agent(id="a", model=model, tools=[fetch], tool_hooks=[hook]), task)

    async def hook(function_name: str, function_call: Any, arguments: dict[str, Any]) -> Any:
        await asyncio.sleep(0)
        return function_call(**arguments)

    run = await run_handler(handle, text="x")
    assert (run.status, run.result, run.notes) == ("completed", "there is none", [])
