"""Runs that wait for a person: asked once, answered once, and every tool called exactly as often as it was approved."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from copy import copy
from pathlib import Path
from typing import Any

import pytest
from agno.agent import Agent
from agno.approval.decorator import approval
from agno.db.in_memory import InMemoryDb
from agno.db.sqlite import SqliteDb
from agno.tools import tool
from agno.tools.user_control_flow import UserControlFlowTools
from agno.tools.user_feedback import UserFeedbackTools
from agno.workflow import Step, StepOutput, Workflow

from tests.agents.attempts import Task
from tests.agents.runs import flow
from tests.agents.waiting import (
    CALLS,
    NO,
    YES,
    answer,
    asked,
    asks,
    book,
    branches,
    echo,
    look,
    measure,
    pay,
    payer,
    step,
    team,
    to_its_end,
)
from worker.testing.models import Call, ScriptedModel
from worker.words.requests import InputAnswer


def within_a_function() -> Workflow:
    async def call(step_input: Any) -> StepOutput:
        output = await payer().arun(step_input.input)
        CALLS["after the agent"] += 1
        return StepOutput(content=output.content)

    return flow(Step(name="call", executor=call), Step(name="then", agent=Agent(name="last", **asks())))


def as_a_tool() -> Agent:
    async def consult(question: str) -> str:
        """Ask a colleague."""
        CALLS["consult"] += 1
        return str((await payer().arun(question)).content)

    return Agent(name="boss", tools=[consult], **asks(Call("consult", {"question": "how much?"}, "consult-1")))


PROGRAMS: dict[str, Callable[[], Any]] = {
    "an agent": payer,
    "an agent with a database": lambda: payer(db=InMemoryDb()),
    "a member": lambda: team(payer()),
    "two members": lambda: team(payer("one", 1), payer("two", 2)),
    "a nested team": lambda: team(team(payer(), name="inner"), name="outer"),
    "a step": lambda: flow(Step(name="pay", agent=payer()), Step(name="then", agent=Agent(name="last", **asks()))),
    "parallel steps": lambda: flow(
        branches(Step(name="a", agent=payer("one", 1)), Step(name="b", agent=payer("two", 2)))
    ),
    "a step that is a team": lambda: flow(Step(name="pay", team=team(payer()))),
    "a function of a workflow": within_a_function,
    "a tool of an agent": as_a_tool,
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
async def test_an_approved_tool_is_called_once_wherever_it_waits(program: Callable[[], Any]) -> None:
    task = Task()
    result, tools = await to_its_end(task, program)
    assert tools.count("pay") == sum(1 for each in CALLS if each.startswith("pay"))
    assert set(CALLS.values()) == {1} or "consult" in CALLS
    assert "paid" in (result.content or "")


KILLED = ("an agent", "two members", "a step", "a tool of an agent")


@pytest.mark.parametrize("program", [PROGRAMS[each] for each in KILLED], ids=KILLED)
async def test_it_may_be_killed_at_every_write(program: Callable[[], Any]) -> None:
    whole, _ = await to_its_end(Task(), program)
    writes = 0
    for dies_at in range(40):
        CALLS.clear()
        task = Task()
        if program is payer:
            with suppress(asyncio.CancelledError):
                await task.attempted(lambda run_agent: run_agent(program()), dies_at=dies_at)
        answer(task, await asked(task, program))
        died = False
        with suppress(asyncio.CancelledError):
            died = await task.attempted(lambda run_agent: run_agent(program()), dies_at=dies_at) is None
        result, _ = await to_its_end(task, program)
        assert result.content == whole.content
        assert all(CALLS[each] <= 2 for each in CALLS if each.startswith("pay")), "what was cut is made again, once"
        if not died:
            break
        writes += 1
    assert writes, "it has been killed at least once"


async def test_a_question_is_the_same_in_every_attempt_and_another_call_is_another_question() -> None:
    task = Task()
    first, second = await asked(task, payer), await asked(task, payer)
    assert [each.id for each in first] == [each.id for each in second]
    assert (await asked(Task(), lambda: payer(amount=6)))[0].id != first[0].id


async def test_what_was_refused_is_not_done_though_a_deploy_asks_nobody_any_more() -> None:
    def deployed() -> Agent:
        own, free = payer(), copy(pay)
        free.requires_confirmation = False
        own.tools = [look, free]
        return own

    task = Task()
    answer(task, await asked(task, payer), NO)
    result = await task.attempted(lambda run_agent: run_agent(deployed()))
    assert "far too dear" in result.content
    assert not [each for each in CALLS if each.startswith("pay")]
    again = Task()
    assert not await asked(again, deployed)
    assert CALLS["pay 5"] == 1


def caller(*calls: Call, tools: Any = None) -> Callable[[], Agent]:
    return lambda: Agent(name="caller", tools=tools or [pay, book, measure], **asks(*calls))


async def said(program: Callable[[], Any], given: Any) -> str:
    result, _ = await to_its_end(Task(), program, given)
    return result.content or ""


async def test_a_rejection_reaches_the_model_with_its_note_and_the_tool_is_not_called() -> None:
    assert "far too dear" in await said(payer, NO)
    assert not [each for each in CALLS if each.startswith("pay")]
    assert "rejected by the user" in await said(payer, InputAnswer(approve=False))


async def test_arguments_may_be_changed_before_approval_and_a_note_goes_to_the_model() -> None:
    content = await said(payer, InputAnswer(approve=True, arguments={"amount": 3}, note="the rest later"))
    assert CALLS["pay 3"] == 1
    assert CALLS["pay 5"] == 0
    assert "paid 3" in content
    assert "the rest later" in content
    assert '{"amount": 3}' in content


async def test_a_form_fills_in_what_the_model_left_open() -> None:
    program = caller(Call("book", {"city": "Rome"}, "book-1"))
    (request,) = await asked(Task(), program)
    assert request.kind == "user_input"
    assert request.value_schema is not None
    assert request.value_schema["required"] == ["seats"]
    assert request.value_schema["properties"]["seats"]["type"] == "integer"
    assert "booked 2 to Rome" in await said(program, InputAnswer(value={"seats": 2}))
    assert CALLS == {"book Rome 2": 1}


async def test_somebody_else_carries_a_tool_out() -> None:
    program = caller(Call("measure", {"what": "the table"}, "measure-1"))
    assert "80 cm" in await said(program, InputAnswer(value="80 cm"))
    assert '{"cm": 80}' in await said(program, InputAnswer(value={"cm": 80}))
    assert "no time" in await said(program, InputAnswer(approve=False, note="no time"))


async def test_a_model_asks_for_a_form_by_itself() -> None:
    field = {"field_name": "colour", "field_type": "str", "field_description": "Which?"}
    tools = [UserControlFlowTools()]
    program = caller(Call("get_user_input", {"user_input_fields": [field]}, "ask-1"), tools=tools)
    (request,) = await asked(Task(), program)
    assert request.value_schema is not None
    assert request.value_schema["properties"] == {"colour": {"type": "string", "description": "Which?"}}
    expected = 'User inputs retrieved: [{"name": "colour", "value": "red"}]'
    assert expected in await said(program, InputAnswer(value={"colour": "red"}))


async def test_a_model_asks_questions_with_choices() -> None:
    question = {
        "question": "Where?",
        "header": "Place",
        "options": [{"label": "here", "description": "at home"}, {"label": "there"}],
    }
    tools = [UserFeedbackTools()]
    program = caller(Call("ask_user", {"questions": [question]}, "ask-1"), tools=tools)
    (request,) = await asked(Task(), program)
    assert request.kind == "user_feedback"
    assert request.value_schema is not None
    assert request.value_schema["properties"]["Where?"]["items"]["enum"] == ["here", "there"]
    assert request.value_schema["properties"]["Where?"]["description"] == "Place\nhere: at home"
    expected = 'User feedback received: [{"question": "Where?", "selected": ["there"]}]'
    assert expected in await said(program, InputAnswer(value={"Where?": ["there"]}))


async def test_several_requests_of_one_turn_wait_for_all_and_come_in_the_order_of_their_calls() -> None:
    calls = [
        Call("measure", {"what": "x"}, "1"),
        Call("pay", {"amount": 1}, "2"),
        Call("book", {"city": "Bonn"}, "3"),
        Call("pay", {"amount": 2}, "4"),
    ]
    program, task = caller(*calls), Task()
    requests = await asked(task, program)
    assert [each.tool_name for each in requests] == ["measure", "pay", "book", "pay"]
    answer(task, requests[:2], {"measure": InputAnswer(value="1 m"), "pay": YES})
    left = await asked(task, program)
    assert [each.id for each in left] == [each.id for each in requests[2:]]
    answer(task, left, {"book": InputAnswer(value={"seats": 9}), "pay": NO})
    result = await task.attempted(lambda run_agent: run_agent(program()))
    assert result.content == "the question | 1 m | paid 1 | booked 9 to Bonn | far too dear"
    assert CALLS == {"pay 1": 1, "book Bonn 9": 1}


async def test_a_run_may_pause_any_number_of_times() -> None:
    def script(messages: list[Any]) -> Any:
        done = sum(each.role == "tool" for each in messages)
        return Call("pay", {"amount": done + 1}, f"pay-{done}") if done < 3 else echo(messages)

    def program() -> Agent:
        return Agent(name="again", tools=[pay], model=ScriptedModel(script))

    result, tools = await to_its_end(Task(), program)
    assert tools == ["pay"] * 3
    assert CALLS == {"pay 1": 1, "pay 2": 1, "pay 3": 1}
    assert result.content == "the question | paid 1 | paid 2 | paid 3"


async def test_an_answer_does_not_fit_another_question() -> None:
    def unnamed(amount: int) -> Callable[[], Agent]:
        options = asks(Call("pay", {"amount": amount}, "pay-1"))
        return lambda: Agent(tools=[pay], instructions=f"Pay {amount}.", **options)

    task = Task()
    answer(task, await asked(task, unnamed(5)))
    (request,) = await asked(task, unnamed(500))  # a deploy, after which the model is asked anew
    assert request.arguments == {"amount": 500}
    assert not CALLS


def plain_agent_in_a_tool() -> Agent:
    def consult(question: str) -> str:
        """Ask a colleague."""
        CALLS["consult"] += 1
        return str(payer().run(question).content)

    return Agent(name="boss", tools=[consult], **asks(Call("consult", {"question": "how much?"}, "consult-1")))


def plain_workflow_in_a_step() -> Workflow:
    def call(step_input: Any) -> StepOutput:
        return StepOutput(content=flow(step("two", requires_confirmation=True), step("three")).run("x").content)

    return flow(Step(name="call", executor=call))


@pytest.mark.parametrize(
    ("program", "content"), [(plain_agent_in_a_tool, "paid 5"), (plain_workflow_in_a_step, ">two>three")]
)
async def test_plain_code_within_waits_too(program: Callable[[], Any], content: str) -> None:
    result, _ = await to_its_end(Task(), program)
    assert content in (result.content or "")
    assert CALLS["pay 5"] + CALLS["two"] == 1


@pytest.mark.parametrize(("given", "status"), [(YES, "approved"), (NO, "rejected")], ids=["approved", "rejected"])
async def test_agnos_own_record_of_an_approval_is_resolved(given: InputAnswer, status: str, tmp_path: Path) -> None:
    db = SqliteDb(db_file=str(tmp_path / "agno.db"))
    asks_first: Any = approval

    @asks_first
    @tool(requires_confirmation=True)
    def refund(amount: int) -> str:
        """Refund an amount."""
        return f"refunded {amount}"

    def program() -> Agent:
        return Agent(name="clerk", db=db, tools=[refund], **asks(Call("refund", {"amount": 7}, "refund-1")))

    task = Task()
    requests = await asked(task, program)
    assert [each["status"] for each in db.get_approvals()[0]] == ["pending"]
    answer(task, requests, given)
    await task.attempted(lambda run_agent: run_agent(program()))
    assert [each["status"] for each in db.get_approvals()[0]] == [status]
