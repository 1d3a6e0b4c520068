"""Runs that wait for a person: asked once, answered once, and every tool called exactly as often as it was approved."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from agno.agent import Agent
from agno.approval.decorator import approval
from agno.db.in_memory import InMemoryDb
from agno.db.sqlite import SqliteDb
from agno.team import Team
from agno.tools import tool
from agno.tools.user_control_flow import UserControlFlowTools
from agno.tools.user_feedback import UserFeedbackTools
from agno.workflow import Loop, Parallel, Router, Step, StepOutput, Steps, Workflow
from agno.workflow.types import HumanReview

from tests.agents.attempts import Task
from tests.agents.runs import flow
from worker.agents.errors import AgentFailed
from worker.agents.running import RunResult
from worker.current import REASON_PAUSE
from worker.testing.models import Call, ScriptedModel
from worker.words.outside_rows import answer_row
from worker.words.requests import InputAnswer, InputRequest, requests_of

YES = InputAnswer(approve=True)
NO = InputAnswer(approve=False, note="far too dear")

CALLS: Counter[str] = Counter()


@pytest.fixture(autouse=True)
def _count() -> None:
    CALLS.clear()


@tool(requires_confirmation=True)
def pay(amount: int) -> str:
    """Pay an amount."""
    CALLS[f"pay {amount}"] += 1
    return f"paid {amount}"


@tool(requires_user_input=True, user_input_fields=["seats"])
def book(city: str, seats: int) -> str:
    """Book seats."""
    CALLS[f"book {city} {seats}"] += 1
    return f"booked {seats} to {city}"


@tool(external_execution=True)
def measure(what: str) -> str:
    """Measure something by hand."""
    raise AssertionError("somebody else does it")


def look(what: str) -> str:
    """Look at something."""
    CALLS[f"look {what}"] += 1
    return f"{what} seen"


def echo(messages: list[Any]) -> str:
    """An answer that shows what the model was told of its tools, and by people."""
    told = [str(each.content) for each in messages if each.role in ("tool", "user")]
    return " | ".join(told)


def asks(*calls: Call, **options: Any) -> dict[str, Any]:
    """A model that calls tools first, and then says what came of them."""

    def script(messages: list[Any]) -> Any:
        is_last = not calls or any(each.role == "tool" for each in messages)
        return echo(messages) if is_last else list(calls)

    return {"model": ScriptedModel(script), **options}


def payer(name: str = "payer", amount: int = 5, **options: Any) -> Agent:
    return Agent(
        name=name,
        tools=[pay, look],
        **asks(Call("look", {"what": name}, f"look-{name}"), Call("pay", {"amount": amount}, f"pay-{name}"), **options),
    )


def branches(*steps: Any) -> Parallel:
    return Parallel(*steps, name="both")


def team(*members: Any, **options: Any) -> Team:
    names = [each.name for each in members]
    calls = [Call("delegate_task_to_member", {"member_id": name, "task": "see to it"}, f"to-{name}") for name in names]
    return Team(name=options.pop("name", "team"), members=list(members), **asks(*calls), **options)


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


def paused(result: Any) -> list[InputRequest]:
    assert isinstance(result, RunResult)
    return requests_of(result.paused)


async def asked(task: Task, program: Callable[[], Any]) -> list[InputRequest]:
    """What an attempt asks; empty: it has ended."""
    try:
        result = await task.attempted(lambda run_agent: run_agent(program()))
    except asyncio.CancelledError:
        assert task.last_run is not None
        if task.last_run.stopping.reason != REASON_PAUSE:
            raise
        return requests_of(task.last_run.stopping.cause)
    return paused(result)


def answer(task: Task, requests: list[InputRequest], given: Mapping[str, InputAnswer] | InputAnswer = YES) -> None:
    for each in requests:
        said = given if isinstance(given, InputAnswer) else given[each.tool_name or ""]
        row = answer_row(each.id, said.said())
        task.rows[row.key] = row.value


async def to_its_end(task: Task, program: Callable[[], Any], given: Any = YES) -> tuple[RunResult, list[str]]:
    """Run a program, answering whatever it asks."""
    tools: list[str] = []
    for _ in range(5):
        result = None
        try:
            result = await task.attempted(lambda run_agent: run_agent(program()))
            requests = paused(result)
        except asyncio.CancelledError:
            assert task.last_run is not None
            if task.last_run.stopping.reason != REASON_PAUSE:
                raise
            requests = requests_of(task.last_run.stopping.cause)
        if not requests:
            assert result is not None
            return result, tools
        tools += [each.tool_name or "" for each in requests]
        answer(task, requests, given)
    raise AssertionError("it asks on and on")


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
    question = {"question": "Where?", "header": "Place", "options": [{"label": "here"}, {"label": "there"}]}
    tools = [UserFeedbackTools()]
    program = caller(Call("ask_user", {"questions": [question]}, "ask-1"), tools=tools)
    (request,) = await asked(Task(), program)
    assert request.kind == "user_feedback"
    assert request.value_schema is not None
    assert request.value_schema["properties"]["Where?"]["items"]["enum"] == ["here", "there"]
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


# workflows that wait by themselves


def step(name: str, **review: Any) -> Step:
    def work(step_input: Any) -> StepOutput:
        CALLS[name] += 1
        given = (step_input.additional_data or {}).get("user_input")
        more = f" with {sorted(given.items())}" if given else ""
        return StepOutput(content=f"{step_input.previous_step_content or ''}>{name}{more}")

    return Step(name=name, executor=work, human_review=HumanReview(**review) if review else None)


FIELD = [{"name": "who", "field_type": "str", "required": True}]

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


STEPS.update(
    {
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


LATE = InputAnswer(approve=False, note="Nobody has answered within 1 h.", unanswered=True)


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


@pytest.mark.parametrize("around", [Loop, Steps, Parallel])
async def test_a_step_about_which_agno_asks_nobody_is_noted(around: Any) -> None:
    task = Task()
    inner = step("two", requires_confirmation=True)
    made = branches(inner) if around is Parallel else around(name="g", steps=[inner])
    result, _ = await to_its_end(task, lambda: flow(made))
    assert result.content == ">two"
    assert any("was to wait for a person, and did not" in str(each.data) for _, each in task.log)


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
