"""What becomes of a workflow one of whose steps fails: nothing that follows works on an error's text."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from agno.agent import Agent
from agno.exceptions import ModelProviderError
from agno.workflow import Condition, HumanReview, Loop, OnError, Parallel, Router, Step, StepOutput, Steps, Workflow

from tests.agents.attempts import Task
from tests.agents.runs import flow
from tests.support import is_retryable
from worker import Task as OwnTask
from worker.agents.errors import AgentFailed
from worker.testing import ScriptedModel, run_handler
from worker.words.classification import classify

PASSES, STAYS = ConnectionError("gone"), ModelProviderError("no such model", status_code=400)


def clerk(error: Exception) -> Agent:
    return Agent(name="clerk", model=ScriptedModel(lambda _: error), telemetry=False)


def by_agent(error: Exception, **options: Any) -> Step:
    return Step(name="first", agent=clerk(error), **options)


def by_function(error: Exception, **options: Any) -> Step:
    def work(_: Any) -> StepOutput:
        raise error

    return Step(name="first", executor=work, **options)


def by_async_function(error: Exception, **options: Any) -> Step:
    async def work(_: Any) -> StepOutput:
        raise error

    return Step(name="first", executor=work, **options)


def by_generator(error: Exception, **options: Any) -> Step:
    def work(_: Any) -> Iterator[str]:
        yield "half"
        raise error

    return Step(name="first", executor=work, **options)


def by_function_with_agent(error: Exception, **options: Any) -> Step:
    async def work(_: Any) -> StepOutput:
        return StepOutput(content=(await clerk(error).arun("go")).content)

    return Step(name="first", executor=work, **options)


def by_function_that_passes_on(error: Exception, **options: Any) -> Step:
    def work(_: Any) -> Iterator[Any]:
        yield from clerk(error).run("go", stream=True)

    return Step(name="first", executor=work, **options)


def by_workflow(error: Exception, **options: Any) -> Step:
    return Step(name="outer", workflow=flow(Step(name="first", agent=clerk(error)), name="inner"), **options)


KINDS = (
    by_agent,
    by_function,
    by_async_function,
    by_generator,
    by_function_with_agent,
    by_function_that_passes_on,
    by_workflow,
)


@dataclass
class Office:
    """What steps have done."""

    done: list[str] = field(default_factory=list[str])

    def step(self, name: str) -> Step:
        def work(_: Any) -> StepOutput:
            self.done.append(name)
            return StepOutput(content=name)

        return Step(name=name, executor=work)

    def flow(self, place: "Place", first: Step) -> Workflow:
        return flow(*place(self, first), self.step("next"))


Place = Callable[[Office, Step], list[Any]]


def parallel(*steps: Any) -> Parallel:
    """Steps side by side; what Agno takes is wider than its annotations say."""
    return Parallel(*steps, name="both")


def only(step: Any) -> Router:
    """A router that chooses the step."""

    def select(_: Any) -> list[Any]:
        return [step]

    return Router(name="one of", choices=[step], selector=select)


PLACES: dict[str, Place] = {
    "alone": lambda _, first: [first],
    "steps": lambda office, first: [Steps(name="group", steps=[first, office.step("within")])],
    "parallel": lambda office, first: [parallel(first, office.step("beside"))],
    "loop": lambda office, first: [Loop(name="loop", steps=[first, office.step("within")], max_iterations=2)],
    "condition": lambda office, first: [Condition(name="if", evaluator=True, steps=[first, office.step("within")])],
    "router": lambda _, first: [only(first)],
    "workflow": lambda office, first: [Step(name="deep", workflow=flow(first, office.step("within"), name="deep"))],
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("streams", [True, False])
async def test_nothing_follows_a_step_that_fails(place: str, streams: bool) -> None:
    for make in KINDS:
        for error in (PASSES, STAYS):
            office, where = Office(), f"{make.__name__} {error}"
            workflow = office.flow(PLACES[place], make(error))
            with pytest.raises(AgentFailed, match=f"Step 'first' failed: {error}") as caught:
                await Task(events_streaming=streams).attempted(lambda run, workflow=workflow: run(workflow))
            assert caught.value.__cause__ is error, where
            assert classify(caught.value).code == classify(error).code, where
            assert is_retryable(caught.value) is (error is PASSES), where
            assert office.done == (["beside"] if place == "parallel" else []), where


@pytest.mark.parametrize("place", PLACES)
async def test_what_follows_runs_once_the_step_has_succeeded(place: str) -> None:
    office, turns = Office(), iter([PASSES, "fine"])
    first = Step(name="first", agent=Agent(name="clerk", model=ScriptedModel(lambda _: next(turns)), telemetry=False))
    workflow, task = office.flow(PLACES[place], first), Task()
    if place == "loop":
        turns = iter([PASSES, "fine", "fine"])
    with pytest.raises(AgentFailed):
        await task.attempted(lambda run: run(workflow))
    office.done.clear()
    assert (await task.attempted(lambda run: run(workflow))).content == "next"
    assert office.done[-1] == "next"
    assert task.notes() == []


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("make", [by_agent, by_function, by_generator])
@pytest.mark.parametrize("options", [{"skip_on_failure": True}, {"human_review": HumanReview(on_error="skip")}])
async def test_a_step_that_may_fail_is_passed_over_with_a_note(make: Any, place: str, options: Any) -> None:
    office, task = Office(), Task()
    workflow = office.flow(PLACES[place], make(STAYS, **options))
    assert (await task.attempted(lambda run: run(workflow))).content == "next"
    assert office.done[-1] == "next"
    assert set(task.notes()) == {"missing"}


async def test_agnos_default_for_errors_is_no_declaration() -> None:
    for review in (None, HumanReview(), HumanReview(on_error=OnError.skip), HumanReview(on_error=OnError.fail)):
        office = Office()
        workflow = office.flow(PLACES["alone"], by_function(STAYS, human_review=review))
        with pytest.raises(AgentFailed):
            await Task().attempted(lambda run, workflow=workflow: run(workflow))
        assert not office.done


async def test_a_failed_step_is_an_event() -> None:
    for make in (by_agent, by_function):
        task, workflow = Task(), flow(make(STAYS), name="f")
        with pytest.raises(AgentFailed):
            await task.attempted(lambda run, workflow=workflow: run(workflow))
        assert [data["phase"] for kind, data in task.said() if kind == "step"] == ["started", "failed"]


async def test_steps_beside_a_failed_one_are_not_paid_for_twice() -> None:
    asked, turns = list[str](), iter([STAYS, "fine"])

    def answer(_: Any) -> str:
        asked.append("beside")
        return "said"

    beside = Step(name="beside", agent=Agent(name="other", model=ScriptedModel(answer), telemetry=False))
    first = Step(name="first", agent=Agent(name="clerk", model=ScriptedModel(lambda _: next(turns)), telemetry=False))
    workflow, task = flow(parallel(first, beside)), Task()
    with pytest.raises(AgentFailed):
        await task.attempted(lambda run: run(workflow))
    await task.attempted(lambda run: run(workflow))
    assert asked == ["beside"]


async def test_a_loop_that_succeeds_in_the_end_has_succeeded() -> None:
    tries = list[str]()

    def work(_: Any) -> StepOutput:
        tries.append("once more")
        return StepOutput(content=f"{len(tries)} tries", success=len(tries) == 3, error="not yet")

    until = Loop(name="until", steps=[Step(name="s", executor=work)], end_condition=lambda outputs: outputs[-1].success)
    assert (await Task().attempted(lambda run: run(flow(until)))).content == "3 tries"
    tries.extend("xxx")
    with pytest.raises(AgentFailed, match="Step 's' failed: not yet"):
        await Task().attempted(lambda run: run(flow(until)))


def by_itself(workflow: Workflow, way: str) -> Callable[[OwnTask], Any]:
    """A handler that runs a workflow without ``run_agent``."""
    workflow.telemetry = False

    async def handler(task: OwnTask) -> Any:
        if way == "streamed":
            items: Any = workflow.arun("go", stream=True)
            return [each async for each in items][-1].content
        return (workflow.run("go") if way == "plain" else await workflow.arun("go")).content

    return handler


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("way", ["plain", "whole", "streamed"])
@pytest.mark.parametrize("make", [by_agent, by_function, by_generator])
@pytest.mark.parametrize("options", [{"skip_on_failure": True}, {"human_review": HumanReview(on_error="skip")}])
async def test_a_step_that_may_fail_is_passed_over_also_by_itself(make: Any, way: str, options: Any) -> None:
    office = Office()
    workflow = office.flow(PLACES["alone"], make(STAYS, **options))
    run = await run_handler(by_itself(workflow, way), text="x")
    assert (run.status, run.result) == ("completed", "next")
    assert office.done[-1] == "next"


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(
    ("make", "way"), [(by_agent, "whole"), (by_agent, "streamed"), (by_workflow, "streamed"), (by_function, "plain")]
)
async def test_a_workflow_that_a_handler_runs_by_itself_ends_too(make: Any, way: str) -> None:
    office = Office()
    workflow = office.flow(PLACES["alone"], make(STAYS))
    run = await run_handler(by_itself(workflow, way), text="x")
    assert (run.status, run.result) == ("error", "Step 'first' failed: no such model")
    assert run.task.error_code == "invalid_request"
    assert not office.done
