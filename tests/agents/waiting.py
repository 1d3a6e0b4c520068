"""Programs that wait for a person, and attempts at them: what they ask, and answers to it."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from agno.agent import Agent
from agno.run import RunContext
from agno.team import Team
from agno.tools import tool
from agno.workflow import Parallel, Step, StepOutput
from agno.workflow.types import HumanReview

from tests.agents.attempts import Task
from worker.agents.runs.material import RunResult
from worker.current import REASON_PAUSE
from worker.testing.models import Call, ScriptedModel
from worker.words.outside_rows import answer_row
from worker.words.requests import InputAnswer, InputRequest, requests_of

YES = InputAnswer(approve=True)
NO = InputAnswer(approve=False, note="far too dear")

REVIEW = {"requires_output_review": True}
FIELD = [{"name": "who", "field_type": "str", "required": True}]
LATE = InputAnswer(approve=False, note="Nobody answered within 1 h.", unanswered=True)

CALLS: Counter[str] = Counter()


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
        row = answer_row(each.id, said.stored())
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


def step(name: str, **review: Any) -> Step:
    def work(step_input: Any) -> StepOutput:
        CALLS[name] += 1
        given = (step_input.additional_data or {}).get("user_input")
        more = f" with {sorted(given.items())}" if given else ""
        return StepOutput(content=f"{step_input.previous_step_content or ''}>{name}{more}")

    return Step(name=name, executor=work, human_review=HumanReview(**review) if review else None)


def counted(name: str, **review: Any) -> Step:
    """A step whose function says something else whenever it is called, and counts in the state, too."""

    def work(step_input: Any, run_context: RunContext) -> StepOutput:
        CALLS[name] += 1
        state = run_context.session_state
        assert state is not None
        state["counts"] = [*state.get("counts", []), name]
        return StepOutput(content=f"{step_input.previous_step_content or ''}>{name} {CALLS[name]} {state['counts']}")

    takes_two: Any = work
    return Step(name=name, executor=takes_two, human_review=HumanReview(**review) if review else None)
