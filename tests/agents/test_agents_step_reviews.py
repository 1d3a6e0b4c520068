"""Steps within others that wait for a person, about which Agno asks nobody."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from agno.agent import Agent
from agno.workflow import Condition, Loop, Parallel, Router, Step, StepOutput, Steps, Workflow
from agno.workflow.types import HumanReview

from tests.agents.attempts import Task
from tests.agents.runs import flow
from tests.agents.waiting import (
    CALLS,
    FIELD,
    LATE,
    NO,
    REVIEW,
    YES,
    answer,
    asked,
    branches,
    counted,
    payer,
    step,
    to_its_end,
)
from worker.words.requests import InputAnswer

CONFIRMED = HumanReview(requires_confirmation=True)


def choose(step_input: Any) -> Any:
    """Agno takes a name, too, though its types do not say so."""
    del step_input
    return "two"


AROUND: dict[str, Callable[[Any], Any]] = {
    "a loop": lambda inner: Loop(name="g", steps=[inner], max_iterations=1),
    "a condition": lambda inner: Condition(name="g", evaluator=True, steps=[inner]),
    "a group": lambda inner: Steps(name="g", steps=[inner]),
    "parallel steps": branches,
    "a router": lambda inner: Router(name="g", selector=choose, choices=[inner]),
    "a loop in a group": lambda inner: Steps(name="g", steps=[Loop(name="l", steps=[inner], max_iterations=1)]),
}


@pytest.mark.parametrize("around", AROUND.values(), ids=AROUND)
@pytest.mark.parametrize(
    ("review", "given", "content"),
    [
        ({"requires_confirmation": True}, YES, ">one>two>three"),
        ({"requires_confirmation": True, "on_reject": "skip"}, NO, ">one>three"),
        (
            {"requires_user_input": True, "user_input_schema": FIELD},
            InputAnswer(value={"who": "Ann"}),
            "('who', 'Ann')",
        ),
        (REVIEW, YES, ">one>two>three"),
        (REVIEW, InputAnswer(approve=True, value="better"), "better>three"),
    ],
    ids=["confirmed", "rejected", "an input", "a review", "an edited output"],
)
async def test_people_are_asked_about_a_step_within_others_too(
    around: Callable[[Any], Any], review: dict[str, Any], given: InputAnswer, content: str
) -> None:
    task = Task()

    def program() -> Workflow:
        return flow(step("one"), around(step("two", **review)), step("three"))

    (request,) = await asked(task, program)
    assert request.agent == "two"
    assert not CALLS["three"]
    result, _ = await to_its_end(task, program, given)
    assert content in str(result.content).replace("=== two ===\n", "").replace("\n", "")
    assert CALLS["three"] == 1
    assert not [each for each in task.events if each.type == "note"]


@pytest.mark.parametrize("more", [[], [payer("three", 3)]], ids=["functions", "an agent that waits, too"])
async def test_what_runs_beside_a_step_that_waits_is_not_cut_off(more: list[Agent]) -> None:
    async def slowly(step_input: Any) -> StepOutput:
        CALLS["slowly"] += 1
        for _ in range(20):
            await asyncio.sleep(0)
        return StepOutput(content="done slowly")

    def program() -> Workflow:
        waits = [step(name, requires_confirmation=True) for name in ("two", "three")]
        agents = [Step(name=str(each.name), agent=each) for each in more]
        return flow(branches(*waits, Step(name="slowly", executor=slowly), *agents), step("four"))

    task = Task()
    requests = await asked(task, program)
    assert len(requests) == 2 + len(more), "all are asked at once"
    answer(task, requests)
    result = await task.attempted(lambda run_agent: run_agent(program()))
    assert result.paused is None
    assert CALLS["two"] == CALLS["three"] == CALLS["slowly"] == CALLS["four"] == 1
    assert CALLS["pay 3"] == len(more)


async def test_a_step_within_others_is_sent_back_and_made_anew() -> None:
    def program() -> Workflow:
        return flow(Steps(name="g", steps=[counted("one"), counted("two", on_reject="retry", **REVIEW)]))

    task = Task()
    answer(task, await asked(task, program), NO)
    (again,) = await asked(task, program)
    assert (again.arguments or {})["output"].startswith(">one 1 ['one']>two 2")
    answer(task, [again])
    await task.attempted(lambda run_agent: run_agent(program()))
    assert CALLS == {"one": 1, "two": 2}


@pytest.mark.parametrize("on_timeout", ["approve", "skip"])
async def test_a_step_within_others_has_its_own_timeout(on_timeout: str) -> None:
    def program() -> Workflow:
        two = step("two", requires_confirmation=True, timeout=3600, on_timeout=on_timeout)
        return flow(step("one"), Steps(name="g", steps=[two]), step("three"))

    result, _ = await to_its_end(Task(), program, LATE)
    assert result.content == (">one>two>three" if on_timeout == "approve" else ">one>three")


async def test_a_workflow_is_cancelled_from_within() -> None:
    def program() -> Workflow:
        return flow(step("one"), Steps(name="g", steps=[step("two", requires_confirmation=True, on_reject="cancel")]))

    task = Task()
    answer(task, await asked(task, program), NO)
    with pytest.raises(asyncio.CancelledError):
        await task.attempted(lambda run_agent: run_agent(program()))
    assert task.last_run is not None
    assert "step 'two' was rejected" in str(task.last_run.stopping.cause)


@pytest.mark.parametrize(
    "inner",
    [
        lambda: Loop(name="two", steps=[step("two")], max_iterations=1, human_review=CONFIRMED),
        lambda: Condition(name="two", steps=[step("two")], human_review=CONFIRMED),
        lambda: Steps(name="two", steps=[step("two")], human_review=CONFIRMED),
        lambda: Router(name="two", selector=choose, choices=[step("two")], human_review=CONFIRMED),
    ],
    ids=["a loop", "a condition", "a group", "a router"],
)
@pytest.mark.parametrize("around", [Loop, Steps, Parallel, Condition])
async def test_a_group_within_others_about_which_nobody_is_asked_is_noted(
    around: Any, inner: Callable[[], Any]
) -> None:
    task = Task()
    made = branches(inner()) if around is Parallel else around(name="g", steps=[inner()])
    result, _ = await to_its_end(task, lambda: flow(made))
    assert ">two" in str(result.content)
    notes = [each.data["text"] for each in task.events if each.type == "note"]
    assert [each for each in notes if "'two' was to wait for a person, and did not" in each] == notes[:1] != []
