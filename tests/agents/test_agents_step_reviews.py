"""Steps within others that wait for a person, about which Agno asks nobody."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from agno.agent import Agent
from agno.workflow import Condition, Loop, Parallel, Router, Step, StepInput, StepOutput, Steps, Workflow
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


def failing(name: str, **review: Any) -> Step:
    """A step that fails once."""

    def work(step_input: Any) -> StepOutput:
        CALLS[name] += 1
        if CALLS[name] == 1:
            raise ValueError("out of paper")
        return StepOutput(content=f"{step_input.previous_step_content or ''}>{name}")

    return Step(name=name, executor=work, max_retries=0, human_review=HumanReview(**review) if review else None)


def ways(**review: Any) -> Router:
    return Router(name="two", selector=choose, choices=[step("two"), step("left")], human_review=HumanReview(**review))


def looping(*inner: Step, **review: Any) -> Loop:
    return Loop(name="two", steps=list(inner), max_iterations=3, human_review=HumanReview(**review))


def either(*inner: Step, **review: Any) -> Condition:
    return Condition(name="two", steps=list(inner), else_steps=[step("other")], human_review=HumanReview(**review))


ROUTE = {"requires_user_input": True, "user_input_message": "which?"}
RETRIED = {"on_reject": "retry", "max_retries": 2}
DECIDED: dict[str, tuple[Callable[[], Any], list[InputAnswer]]] = {
    "a group, confirmed": (lambda: Steps(name="two", steps=[step("two")], human_review=CONFIRMED), [YES]),
    "a group, rejected": (lambda: Steps(name="two", steps=[step("two")], human_review=CONFIRMED), [NO]),
    "a condition, confirmed": (lambda: either(step("two"), requires_confirmation=True), [YES]),
    "a condition, skipped": (lambda: either(step("two"), requires_confirmation=True, on_reject="skip"), [NO]),
    "a condition's other branch": (lambda: either(step("two"), requires_confirmation=True, on_reject="else"), [NO]),
    "a condition that fails": (lambda: either(failing("two"), on_error="pause"), [YES]),
    "a failed condition, passed over": (lambda: either(failing("two"), on_error="pause"), [NO]),
    "a loop, confirmed": (lambda: looping(step("two"), requires_confirmation=True), [YES]),
    "a loop, rejected": (lambda: looping(step("two"), requires_confirmation=True), [NO]),
    "a loop that is enough": (lambda: looping(step("two"), requires_iteration_review=True), [YES]),
    "a loop that goes on": (lambda: looping(step("two"), requires_iteration_review=True, **RETRIED), [NO, NO]),
    "a loop that goes on once": (lambda: looping(step("two"), requires_iteration_review=True, **RETRIED), [NO, YES]),
    "a loop, thrown away": (lambda: looping(step("two"), requires_iteration_review=True), [NO]),
    "a router, confirmed": (lambda: ways(requires_confirmation=True), [YES]),
    "a router, rejected": (lambda: ways(requires_confirmation=True), [NO]),
    "a route": (lambda: ways(**ROUTE), [InputAnswer(value="left")]),
    "routes": (lambda: ways(**ROUTE, allow_multiple_selections=True), [InputAnswer(value=["left", "two"])]),
    "a router's output": (lambda: ways(**REVIEW), [YES]),
    "an edited output": (lambda: ways(**REVIEW), [InputAnswer(approve=True, value="better")]),
    "another route": (lambda: ways(**REVIEW, **RETRIED), [NO, InputAnswer(value="left"), YES]),
    "a step that fails": (lambda: failing("two", on_error="pause"), [YES]),
    "a failed step, passed over": (lambda: failing("two", on_error="pause"), [NO]),
}


async def decided(program: Callable[[], Workflow], given: list[InputAnswer]) -> list[Any]:
    """What is asked in turn, and how often each function was called in the end."""
    task, seen = Task(), list[Any]()
    for each in given:
        (request,) = await asked(task, program)
        seen.append((request.kind, request.agent, request.question, request.value_schema, request.choices))
        answer(task, [request], each)
    result = await task.attempted(lambda run_agent: run_agent(program()))
    assert result.paused is None
    assert not [each for each in task.events if each.type == "note"]
    calls = dict(CALLS)
    CALLS.clear()
    return [*seen, calls]


def plain(*, stream: bool) -> Callable[[Any], Step]:
    """A step that runs a workflow by itself, in plain code."""

    def around(inner: Any) -> Step:
        def work(step_input: Any) -> StepOutput:
            whole = flow(Steps(name="g", steps=[inner]))
            if not stream:
                return StepOutput(content=whole.run(step_input.input).content)
            *_, last = whole.run(step_input.input, stream=True, stream_events=True)
            return StepOutput(content=last.content)  # type: ignore[union-attr]

        return Step(name="code", executor=work)

    return around


def routed(inner: Any) -> Steps:
    def always(step_input: Any) -> Any:
        del step_input
        return inner.name

    return Steps(name="g", steps=[Router(name="r", selector=always, choices=[inner])])


def beside(inner: Any) -> Parallel:
    return Parallel(inner, step("beside"), name="both")  # pyright: ignore[reportArgumentType] - Agno takes steps


PLACES: dict[str, Callable[[Any], Any]] = {
    "in a group": AROUND["a group"],
    "in a loop": AROUND["a loop"],
    "in a condition": AROUND["a condition"],
    "in a router in a group": routed,
    "beside another": beside,
    "in plain code": plain(stream=False),
    "in plain code, piece by piece": plain(stream=True),
}


@pytest.mark.parametrize("around", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize(("inner", "given"), DECIDED.values(), ids=DECIDED)
async def test_within_others_people_decide_on_groups_as_they_do_about_a_workflows_own(
    inner: Callable[[], Any], given: list[InputAnswer], around: Callable[[Any], Any]
) -> None:
    expected = await decided(lambda: flow(step("one"), inner(), step("three")), given)
    seen = await decided(lambda: flow(step("one"), around(inner()), step("three")), given)
    seen[-1].pop("beside", None)
    assert seen == expected


async def test_of_an_iteration_of_several_steps_each_is_made_once() -> None:
    def program() -> Workflow:
        review = {"requires_iteration_review": True, **RETRIED}
        return flow(Steps(name="g", steps=[looping(step("one"), step("two"), **review)]), step("three"))

    assert (await decided(program, [NO, NO]))[-1] == {"one": 3, "two": 3, "three": 1}


async def test_a_step_that_a_workflows_function_carries_out_waits_too() -> None:
    async def work(workflow: Workflow, execution_input: Any) -> Any:
        del workflow
        output = await step("two", requires_confirmation=True).aexecute(StepInput(input=execution_input.input))
        return output.content

    result, _ = await to_its_end(Task(), lambda: Workflow(name="w", steps=work))
    assert result.content == ">two"
    assert CALLS == {"two": 1}
