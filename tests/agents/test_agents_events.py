"""What an agent says beside its text, and where a workflow stands: events of the task, each told once."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from agno.agent import Agent
from agno.models.message import Citations, UrlCitation
from agno.models.response import ModelResponse
from agno.run import RunContext
from agno.run.agent import CustomEvent
from agno.team import Team
from agno.workflow import Condition, Loop, Router, Step, Steps, Workflow
from agno.workflow.types import StepInput, StepOutput

from tests.agents.attempts import Task
from tests.agents.runs import Runner, flow
from worker.testing import Call, Pieces, ScriptedModel


class Thinking(ScriptedModel):
    """Says what it thinks before each answer, in two pieces, and names its source."""

    async def ainvoke_stream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ModelResponse]:
        async for each in super().ainvoke_stream(*args, **kwargs):
            for thought in ("I wonder ", "about it."):
                yield ModelResponse(role="assistant", reasoning_content=thought)
            yield each
        source = UrlCitation(url="https://example.org", title="An example")
        yield ModelResponse(role="assistant", citations=Citations(raw=object(), urls=[source]))


@dataclass
class Progress(CustomEvent):
    percent: int = 0
    where: Any = None


def agent(name: str, *turns: Any) -> Agent:
    return Agent(id=name, name=name, model=ScriptedModel(list(turns) or [f"{name} is done"]))


def beside(name: str, *steps: Any) -> Any:
    from agno.workflow import Parallel

    return Parallel(*steps, name=name)


def left(_: StepInput) -> Any:
    return "left"


def told(running: Runner) -> list[Any]:
    """Steps and text in their order: of a step its place and phase, of text itself."""
    return [
        f"{each.data['place']} {each.data['phase']}" if each.type == "step" else each.data
        for each in running.log.events
        if each.type in ("step", "chunk")
    ]


@pytest.mark.parametrize("streaming", [True, False])
async def test_what_a_model_thinks_is_one_thought_before_its_answer(running: Runner, *, streaming: bool) -> None:
    def add(a: int, b: int) -> int:
        return a + b

    model = Thinking([Call("add", {"a": 1, "b": 2}), Pieces(["th", "ree"])])
    await running(Agent(name="ann", model=model, tools=[add]), events_streaming=streaming)
    thoughts = [each["thought"] for each in running.log.data("think")]
    assert thoughts[0] == "I wonder about it."
    assert running.log.types[:3] == ["think", "tool_call_request", "tool_call_result"]
    cited = [each for each in running.log.data("custom") if each["name"] == "citations"]
    assert [(each["agent"], each["data"]["urls"][0]["url"]) for each in cited] == [("ann", "https://example.org")]


@pytest.mark.parametrize("is_sync", [True, False])
async def test_events_of_a_tools_own_are_told(running: Runner, *, is_sync: bool) -> None:
    async def ship(number: int) -> AsyncIterator[Any]:
        yield Progress(percent=50, where={"at": {1, 2}})
        yield f"shipped {number}"

    def ship_sync(number: int) -> Any:
        yield Progress(percent=50, where={"at": {1, 2}})
        yield f"shipped {number}"

    tool = ship_sync if is_sync else ship
    turns = [Call(tool.__name__, {"number": 1}, "call-1"), "done"]
    result = await running(Agent(name="ann", model=ScriptedModel(turns), tools=[tool]))
    (said,) = running.log.data("custom")
    assert (said["name"], said["data"]) == ("Progress", {"percent": 50, "where": {"at": [1, 2]}})
    (call,) = running.log.data("tool_call_result")
    assert call["result"].endswith("shipped 1")
    assert (call["tool_call_id"], said["tool_call_id"], result.content) == ("call-1", "call-1", "done")


async def test_the_state_of_a_session_is_told_where_there_is_any(running: Runner) -> None:
    def count(run_context: RunContext) -> str:
        assert run_context.session_state is not None
        run_context.session_state["n"] += 1
        return str(run_context.session_state["n"])

    turns = [Call("count"), "done"]
    await running(Agent(name="ann", model=ScriptedModel(turns), tools=[count], session_state={"n": 1}))
    assert running.log.data("custom") == [{"name": "session_state", "data": {"n": 2}, "agent": "ann"}]


async def test_steps_are_told_with_their_places(running: Runner) -> None:
    inner = flow(Step(name="deep", agent=agent("z")), name="inner")
    team = Team(
        name="T",
        members=[agent("m")],
        model=ScriptedModel([Call("delegate_task_to_member", {"member_id": "m", "task": "x"}), "T is done"]),
    )
    workflow = flow(
        Step(name="first", agent=agent("a")),
        Loop(name="twice", steps=[Step(name="in it", agent=agent("b", "one", "two"))], max_iterations=2),
        Condition(name="if", evaluator=lambda _: True, steps=[Step(name="then", agent=agent("c"))]),
        Router(name="way", choices=[Step(name="left", agent=agent("d"))], selector=left),
        Step(name="team", team=team),
        Step(name="within", workflow=inner),
    )
    await running(workflow, events_streaming=True)
    assert told(running) == [
        *("1 started", "a is done", "1 completed"),
        *("2 started", "2 started", "2.1 started", "one", "2.1 completed", "2 completed"),
        *("2 started", "2.1 started", "one", "2.1 completed", "2 completed", "2 completed"),
        *("3 started", "3.1 started", "c is done", "3.1 completed", "3 completed"),
        *("4 started", "4.1 started", "d is done", "4.1 completed", "4 completed"),
        *("5 started", "T is done", "5 completed"),
        *("6 started", "6.1 started", "z is done", "6.1 completed", "6 completed"),
    ]
    steps = {each["name"]: each for each in running.log.data("step") if each["phase"] == "started"}
    assert (steps["deep"]["path"], steps["in it"]["path"]) == (["within", "deep"], ["twice", "in it"])
    assert {each["kind"] for each in steps.values()} == {"step", "loop", "condition", "router"}
    assert [each.get("iteration") for each in running.log.data("step") if each["name"] == "twice"] == [
        *(None, 1, 1, 2, 2, None)
    ]
    assert [each["chosen"] for each in running.log.data("step") if each["name"] == "way"] == [["left"], ["left"]]


async def test_the_text_of_steps_beside_each_other_is_not_mixed_up(running: Runner) -> None:
    """Each model says a word, and the next one only when the others have said theirs."""
    turn = asyncio.Barrier(3)

    async def pause(_: Any) -> None:
        await turn.wait()

    def speaking(name: str) -> Step:
        pieces = Pieces([f"{name}{number} " for number in range(4)])
        return Step(name=name, agent=Agent(name=name, model=ScriptedModel([pieces], between=pause)))

    await running(flow(beside("all", *(speaking(name) for name in "abc"))), events_streaming=True)
    text = "".join(running.log.data("chunk"))
    assert sorted(text.split()) == sorted(f"{name}{number}" for name in "abc" for number in range(4))
    for name in "abc":
        assert f"{name}0 {name}1 {name}2 {name}3 " in text
    speaker, spoken = "", dict[str, str]()
    for each in running.log.events:
        if each.type == "step" and each.data["phase"] in ("started", "continued"):
            speaker = each.data["name"]
        elif each.type == "chunk":
            spoken[speaker] = spoken.get(speaker, "") + each.data
    assert spoken == {name: "".join(f"{name}{number} " for number in range(4)) for name in "abc"}


async def test_a_step_that_fails_and_one_that_is_a_function_are_told(running: Runner) -> None:
    async def count(_: StepInput) -> AsyncIterator[Any]:
        yield Progress(percent=1)
        yield StepOutput(content="counted")

    workflow = flow(Step(name="count", executor=count))
    result = await running(workflow, events_streaming=True)
    assert result.content == "counted"
    assert told(running) == ["1 started", "1 completed"]
    assert [each["data"] for each in running.log.data("custom")] == [{"percent": 1}]


async def test_whoever_is_killed_tells_nothing_twice_and_leaves_nothing_out() -> None:
    def made() -> Workflow:
        return flow(
            Step(name="first", agent=Agent(name="a", model=Thinking(["a is done"]))),
            beside("both", Step(name="left", agent=agent("b")), Step(name="right", agent=agent("c"))),
        )

    async def handler(run_agent: Any) -> Any:
        return await run_agent(made())

    whole = Task()
    await whole.attempted(handler)
    wanted = sorted(f"{each.type} {each.data}" for each in whole.events if each.type in ("think", "step", "custom"))
    for write in range(whole.writes):
        task = Task()
        await task.attempted(handler, dies_at=write)
        await task.attempted(handler)
        found = sorted(f"{each.type} {each.data}" for each in task.events if each.type in ("think", "step", "custom"))
        assert found == wanted


class Interrupted(ScriptedModel):
    """Says the first half of its answer, and waits for others before the second."""

    goes_on: asyncio.Event

    async def ainvoke_stream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ModelResponse]:  # noqa: ARG002
        yield ModelResponse(role="assistant", content="a is ")
        await asyncio.wait_for(self.goes_on.wait(), 10)
        yield ModelResponse(role="assistant", content="done with a. ")


@pytest.mark.parametrize("dies_at", range(12))
async def test_text_that_was_held_back_when_the_worker_died_is_told_by_the_next_attempt(dies_at: int) -> None:
    task = Task(events_streaming=True)

    def program() -> Workflow:
        slow = Interrupted(["unasked"])
        slow.goes_on = asyncio.Event()

        async def after(step_input: StepInput) -> StepOutput:
            slow.goes_on.set()
            return StepOutput(content=step_input.previous_step_content)

        quick: Any = Steps(
            name="b and more",
            steps=[
                Step(name="b", agent=agent("b", Pieces(("b is ", "done with b. ")))),
                Step(name="after b", executor=after),
            ],
        )
        first = Step(name="a", agent=Agent(id="a", name="a", model=slow))
        return flow(beside("both", first, quick), Step(name="c", agent=agent("c", "c is done")))

    done = await task.attempted(lambda run_agent: run_agent(program()), dies_at=dies_at)
    if done is None:
        done = await task.attempted(lambda run_agent: run_agent(program()))
    text = "".join(each.data for each in task.events if each.type == "chunk")
    assert text.count("b is done with b. ") == 1, text
    assert "a is done with a. " in text
    assert text.endswith("c is done")
    assert text.count("c is done") == 1
