"""Tool calls that Agno answers itself: they are in the log like any others, once."""

from typing import Any

import pytest
from agno.agent import Agent
from agno.exceptions import ModelProviderError

from tests.agents.attempts import Task
from tests.agents.runs import Runner
from worker.testing import Call, ScriptedModel


def put(x: int) -> str:
    """Put."""
    return f"put {x}"


CASES: dict[str, tuple[str, Any, str]] = {
    "unknown tool": ("puut", {"x": 1}, "does not exist"),
    "arguments that are no object": ("put", "x = 1", "not a valid JSON object"),
    "an unknown argument": ("put", {"x": 1, "y": 2}, "y"),
    "a missing argument": ("put", {}, "x"),
    "over the limit": ("put", {"x": 2}, "Tool call limit reached."),
}


def told(messages: list[Any]) -> list[str]:
    return [str(each.content) for each in messages if each.role == "tool"]


@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize("case", CASES)
async def test_a_refused_call_is_a_request_and_a_result(running: Runner, case: str, streams: bool) -> None:
    name, arguments, text = CASES[case]
    turns = [Call("put", {"x": 1})] if case == "over the limit" else []
    model = ScriptedModel([*turns, Call(name, arguments, "call-1"), "done"])
    await running(Agent(model=model, tools=[put], stream=streams), tool_call_limit=1)
    (request,) = [each for each in running.log.data("tool_call_request") if each["request_id"] == "call-1"]
    (result,) = [each for each in running.log.data("tool_call_result") if each["request_id"] == "call-1"]
    assert (request["tool_name"], request["payload"]) == (name, arguments)
    assert result["is_error"]
    assert text in result["result"]
    assert result["result"] == told(model.requests[-1].messages)[-1]


async def test_a_tool_that_was_not_called_is_not_among_those_used(running: Runner) -> None:
    ran = await running(Agent(model=ScriptedModel([Call("puut"), "done"]), tools=[put]))
    assert ran.used_tools == []


async def test_refusals_of_plain_code_are_there_too(running: Runner) -> None:
    def ask(question: str) -> str:
        """Ask."""
        inner = Agent(name="inner", model=ScriptedModel([Call("no"), "inner"]), tools=[put])
        return str(inner.run(question).content)

    await running(Agent(model=ScriptedModel([Call("ask", {"question": "?"}), "done"]), tools=[ask]))
    refused = [each for each in running.log.data("tool_call_result") if each["is_error"]]
    assert [(each["tool_name"], each["graph_node_id"]) for each in refused] == [("no", "inner")]


@pytest.mark.parametrize("dies_at", range(1, 5))
async def test_an_attempt_that_follows_says_it_no_second_time(dies_at: int) -> None:
    task = Task()

    async def handle(run_agent: Any) -> Any:
        turns = [Call("puut", {"x": 1}, "a"), Call("put", {"x": 1}, "b"), Call("put", {"x": 2}, "c"), "done"]
        agent = Agent(name="ann", model=ScriptedModel(turns), tools=[put], tool_call_limit=1)
        return await run_agent(agent)

    await task.attempted(handle, dies_at=dies_at)
    await task.attempted(handle)
    for kind in ("tool_call_request", "tool_call_result"):
        ids = [event.data["request_id"] for event in task.events if event.type == kind]
        assert ids == ["a", "b", "c"]


async def test_a_run_that_begins_again_says_it_no_second_time() -> None:
    task, failing = Task(), [ModelProviderError("busy", 503)]

    def turn(messages: list[Any]) -> Any:
        if not told(messages):
            return Call("puut", {"x": 1}, "a")
        if failing:
            raise failing.pop()
        return "done"

    model = ScriptedModel(turn)

    async def handle(run_agent: Any) -> Any:
        return await run_agent(Agent(name="ann", model=model, tools=[put], retries=1, delay_between_retries=0))

    await task.attempted(handle)
    assert [event.data["request_id"] for event in task.events if event.type == "tool_call_request"] == ["a"]
    assert len(model.requests) == 3
