"""Results of tools that are longer than their model can take."""

from typing import Any

import pytest
from agno.agent import Agent
from agno.tools import tool

from tests.agents.attempts import Task
from tests.agents.runs import Runner
from worker.agents.instrumentation.tool_calls.long_results import CHARACTERS, budget_of
from worker.testing import Call, ScriptedModel

PAGE = "x" * 3_000_000
CUT = "\n[Cut here: these are the first {0} of 3,000,000 characters. Ask for less, or for another part.]"
NOTE = "The result of fetch is too long for the model, which received the first {0} of 3,000,000 characters."


def fetch() -> str:
    """Fetch a page."""
    return PAGE


def failing() -> str:
    """Fail."""
    raise ValueError(PAGE)


def told(model: ScriptedModel) -> str:
    return str(model.requests[-1].messages[-1].content)


@pytest.mark.parametrize("streams", [True, False])
async def test_a_model_is_given_the_beginning_and_the_log_has_all(running: Runner, streams: bool) -> None:
    model = ScriptedModel([Call("fetch"), "done"])
    ran = await running(Agent(model=model, tools=[fetch], stream=streams))
    assert ran.content == "done"
    assert told(model) == PAGE[:CHARACTERS] + CUT.format("200,000")
    (result,) = running.log.data("tool_call_result")
    assert len(result["result"]) == len(PAGE)
    assert [(each["kind"], each["text"]) for each in running.log.data("note")] == [("tool", NOTE.format("200,000"))]


async def test_an_error_is_a_result_like_any_other(running: Runner) -> None:
    model = ScriptedModel([Call("failing"), "done"])
    await running(Agent(model=model, tools=[failing]))
    assert told(model).endswith(CUT.format("200,000"))


@pytest.mark.parametrize(("setting", "kept"), [("1000", 1_000 + len(CUT.format("1,000"))), ("0", len(PAGE))])
async def test_the_setting_counts(running: Runner, monkeypatch: pytest.MonkeyPatch, setting: str, kept: int) -> None:
    monkeypatch.setenv("WORKER_TOOL_RESULT_CHARACTERS", setting)
    model = ScriptedModel([Call("fetch"), "done"])
    await running(Agent(model=model, tools=[fetch]))
    assert len(told(model)) == kept


async def test_what_fits_is_left_alone(running: Runner) -> None:
    def exactly() -> str:
        """Fetch."""
        return PAGE[:CHARACTERS]

    model = ScriptedModel([Call("exactly"), "done"])
    await running(Agent(model=model, tools=[exactly]))
    assert told(model) == PAGE[:CHARACTERS]
    assert not running.log.data("note")


async def test_a_result_that_is_the_answer_is_whole(running: Runner) -> None:
    answer = tool(stop_after_tool_call=True)(fetch)
    assert (await running(Agent(model=ScriptedModel([Call("fetch")]), tools=[answer]))).content == PAGE


def test_a_small_model_is_given_less() -> None:
    assert budget_of(ScriptedModel([], id="smollm2-135m"), None) == 3_000


async def test_an_attempt_that_follows_is_told_the_same() -> None:
    task = Task()

    async def handle(run_agent: Any) -> Any:
        model = ScriptedModel([Call("fetch", id="a"), Call("fetch", id="b"), "done"])
        return (await run_agent(Agent(name="ann", model=model, tools=[fetch]))).content

    await task.attempted(handle, dies_at=3)
    assert await task.attempted(handle) == "done"
    assert task.notes() == ["tool", "tool"]


@pytest.mark.parametrize("levels", [90, 500])
async def test_a_deeply_nested_result_is_given_as_text(levels: int) -> None:
    task, model = Task(), ScriptedModel([Call("nested", id="a"), Call("fetch", id="b"), "done"])

    def nested() -> dict[str, Any]:
        """Nest."""
        whole: dict[str, Any] = {}
        for _ in range(levels):
            whole = {"a": whole}
        return whole

    async def handle(run_agent: Any) -> Any:
        return (await run_agent(Agent(name="ann", model=model, tools=[nested, fetch]))).content

    await task.attempted(handle, dies_at=2)
    assert await task.attempted(handle) == "done"
    given = {str(each.content) for request in model.requests for each in request.messages if each.tool_call_id == "a"}
    assert given == {str(nested())}
