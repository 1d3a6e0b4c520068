"""Workflows that wait for a person by themselves, and what is not done again when they go on."""

from collections.abc import Callable
from typing import Any

import pytest
from agno.agent import Agent
from agno.db.in_memory import InMemoryDb
from agno.workflow import Condition, Loop, Router, Step, StepOutput, Workflow
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
    asks,
    branches,
    counted,
    look,
    payer,
    step,
    to_its_end,
)
from worker.agents.errors import AgentFailed
from worker.testing.models import Call
from worker.words.requests import InputAnswer

STEPS: dict[str, tuple[Callable[[], Workflow], InputAnswer, str]] = {
    "confirmation": (
        lambda: flow(step("one"), step("two", requires_confirmation=True, confirmation_message="go?"), step("three")),
        YES,
        ">one>two>three",
    ),
    "a rejection that skips": (
        lambda: flow(step("one"), step("two", requires_confirmation=True, on_reject="skip"), step("three")),
        NO,
        ">one>three",
    ),
    "input": (
        lambda: flow(step("one"), step("two", requires_user_input=True, user_input_schema=FIELD), step("three")),
        InputAnswer(value={"who": "Ann"}),
        ">one>two with [('who', 'Ann')]>three",
    ),
    "output review": (
        lambda: flow(step("one", requires_output_review=True), step("two")),
        YES,
        ">one>two",
    ),
    "an edited output": (
        lambda: flow(step("one", requires_output_review=True), step("two")),
        InputAnswer(approve=True, value="better"),
        "better>two",
    ),
    "a route": (
        lambda: flow(
            step("one"),
            Router(
                name="way",
                choices=[step("left"), step("right")],
                human_review=HumanReview(requires_user_input=True, user_input_message="which?"),
            ),
        ),
        InputAnswer(value="right"),
        ">one>right",
    ),
    "twice": (
        lambda: flow(step("one", requires_confirmation=True), step("two", requires_confirmation=True)),
        YES,
        ">one>two",
    ),
}


def nested(*inner: Any) -> Workflow:
    """A workflow of which one step is a workflow."""
    return flow(step("one"), Step(name="inner", workflow=flow(*inner)), step("four"))


def failing(times: int) -> Step:
    """A step that fails a number of times, and asks what to do then."""

    def work(step_input: Any) -> StepOutput:
        CALLS["failing"] += 1
        if CALLS["failing"] <= times:
            raise ValueError("out of paper")
        return StepOutput(content=f"{step_input.previous_step_content or ''}>two")

    return Step(name="two", executor=work, max_retries=0, human_review=HumanReview(on_error="pause"))


STEPS.update(
    {
        "an error that is tried again": (lambda: flow(step("one"), failing(2), step("three")), YES, ">one>two>three"),
        "an error that is passed over": (lambda: flow(step("one"), failing(9), step("three")), NO, ">one>three"),
        "a loop to begin": (
            lambda: flow(
                Loop(name="l", steps=[step("two")], human_review=HumanReview(requires_confirmation=True)), step("three")
            ),
            NO,
            ">three",
        ),
        "an iteration to review": (
            lambda: flow(
                Loop(name="l", steps=[step("two")], human_review=HumanReview(requires_iteration_review=True)),
                step("three"),
            ),
            YES,
            ">two>three",
        ),
        "a branch to take": (
            lambda: flow(
                Condition(
                    name="c",
                    steps=[step("two")],
                    else_steps=[step("other")],
                    human_review=HumanReview(requires_confirmation=True, on_reject="else"),
                ),
                step("three"),
            ),
            NO,
            ">other>three",
        ),
        "several routes": (
            lambda: flow(
                Router(
                    name="way",
                    choices=[step("left"), step("right")],
                    human_review=HumanReview(requires_user_input=True, allow_multiple_selections=True),
                )
            ),
            InputAnswer(value=["left", "right"]),
            ">left>right",
        ),
        "a confirmation within": (
            lambda: nested(step("two", requires_confirmation=True), step("three")),
            YES,
            ">two>three>four",
        ),
        "an input within": (
            lambda: nested(step("two", requires_user_input=True, user_input_schema=FIELD), step("three")),
            InputAnswer(value={"who": "Ann"}),
            ">two with [('who', 'Ann')]>three>four",
        ),
        "a review deep within": (
            lambda: nested(Step(name="deep", workflow=flow(step("two", requires_output_review=True))), step("three")),
            InputAnswer(approve=True, value="better"),
            "better>three>four",
        ),
    }
)


@pytest.mark.parametrize("db", [None, InMemoryDb], ids=["without a database", "with one"])
@pytest.mark.parametrize(("program", "given", "content"), STEPS.values(), ids=STEPS)
async def test_a_workflow_goes_on_where_it_waited(
    program: Callable[[], Workflow], given: InputAnswer, content: str, db: Callable[[], InMemoryDb] | None
) -> None:
    kept = None if db is None else db()

    def made() -> Workflow:
        workflow = program()
        workflow.db = kept
        return workflow

    task = Task()
    if "one" in content or "four" in content:
        await asked(task, made)
        assert not CALLS["three"] + CALLS["four"], "what comes after it waits, too"
    result, _ = await to_its_end(task, made, given)
    assert result.content == content


@pytest.mark.parametrize(
    ("review", "on_timeout", "content"),
    [
        ("requires_confirmation", "approve", ">one>two>three"),
        ("requires_confirmation", "skip", ">one>three"),
        ("requires_confirmation", "cancel", None),
        ("requires_output_review", "approve", ">one>two>three"),
        ("requires_user_input", "skip", ">one>three"),
        ("requires_user_input", "approve", None),
    ],
)
async def test_what_nobody_answers_in_time_is_done_as_the_step_says(
    review: str, on_timeout: str, content: str | None
) -> None:
    fields = {"user_input_schema": FIELD} if review == "requires_user_input" else {}

    def program() -> Workflow:
        two = step("two", timeout=3600, on_timeout=on_timeout, **{review: True}, **fields)
        return flow(step("one"), two, step("three"))

    task = Task()
    if content is None:
        with pytest.raises(AgentFailed, match=r"rejected|declined"):
            await to_its_end(task, program, LATE)
        return
    result, _ = await to_its_end(task, program, LATE)
    assert result.content == content


def mixed_step() -> Step:
    """A step whose function calls an agent, and counts."""

    async def work(step_input: Any) -> StepOutput:
        CALLS["mixed"] += 1
        output = await Agent(name="within", tools=[look], **asks(Call("look", {"what": "it"}, "look-1"))).arun("x")
        return StepOutput(content=f"{step_input.previous_step_content or ''}>{output.content} {CALLS['mixed']}")

    return Step(name="mixed", executor=work)


@pytest.mark.parametrize(
    ("program", "pauses"),
    [
        (lambda: flow(counted("one"), counted("two", **REVIEW), counted("three")), 1),
        (lambda: flow(counted("one"), step("two", requires_confirmation=True), counted("six", **REVIEW)), 2),
        (lambda: flow(mixed_step(), counted("two", **REVIEW)), 1),
        (lambda: flow(counted("one"), Step(name="pay", agent=payer()), counted("three")), 1),
        (lambda: flow(branches(counted("one"), Step(name="pay", agent=payer())), counted("three")), 1),
        (lambda: nested(counted("two", **REVIEW), counted("three")), 1),
    ],
    ids=["a review", "twice", "one that calls an agent", "an agent", "beside an agent", "a workflow within"],
)
async def test_what_functions_among_the_steps_did_is_not_done_again_after_an_answer(
    program: Callable[[], Workflow], pauses: int
) -> None:
    task, asked_for = Task(), 0
    while requests := await asked(task, program):
        asked_for += 1
        assert asked_for <= pauses, "it asks the same again"
        answer(task, requests)
    assert asked_for == pauses
    done = {name: count for name, count in CALLS.items() if not name.startswith("pay")}
    assert set(done.values()) == {1}, done


async def test_a_reviewed_output_that_is_sent_back_is_made_anew_with_what_was_said() -> None:
    def program() -> Workflow:
        return flow(counted("one"), counted("two", requires_output_review=True, on_reject="retry"), counted("three"))

    task = Task()
    answer(task, await asked(task, program), NO)
    (again,) = await asked(task, program)
    assert (again.arguments or {})["output"].startswith(">one 1 ['one']>two 2")
    answer(task, [again])
    result = await task.attempted(lambda run_agent: run_agent(program()))
    assert CALLS == {"one": 1, "two": 2, "three": 1}
    assert ">two 2" in result.content
