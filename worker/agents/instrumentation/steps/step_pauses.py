"""Workflows that wait for a person to confirm a step, give input, choose a route, review an output or handle an error.

Agno ends the workflow's stream there. If the journal has the answers, the workflow continues immediately with Agno's
own ``continue_run``; otherwise the run asks. Agents that wait within a step are handled in ``pauses``.
"""

from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

from worker.agents.errors import AgentFailed
from worker.agents.instrumentation.frames import Frame, current_frame
from worker.agents.instrumentation.tool_calls.pauses import AskedField, form
from worker.words.requests import InputAnswer, InputRequest, RequestKind

Original = Callable[..., Any]
Kind = RequestKind


class PausedWorkflow(NamedTuple):
    """The state of a paused workflow.

    Args:
        session: Agno's session at the pause.
        output: Agno's ``WorkflowRunOutput``.
    """

    session: Any
    output: Any


def saved(original: Original) -> Original:
    """Make the hook for storing a workflow, which Agno does whenever one pauses."""

    async def hook(self: Any, session: Any, run: Any) -> None:
        _hold(session, run)
        await original(self, session=session, run=run)

    return hook


def saved_sync(original: Original) -> Original:
    """Sync version of ``saved``."""

    def hook(self: Any, session: Any, run: Any) -> None:
        _hold(session, run)
        original(self, session=session, run=run)

    return hook


def _hold(session: Any, output: Any) -> None:
    frame = current_frame.get() if output.is_paused else None
    for each in () if frame is None else frame.path():
        if each.run_id == output.run_id:
            each.held = PausedWorkflow(session, output)
            return


def session(original: Original) -> Original:
    """Make the hook for reading a continued workflow's session, which may have no database to be read from."""

    async def hook(self: Any, *arguments: Any, **options: Any) -> Any:
        held = _paused_workflow_of(self)
        return await original(self, *arguments, **options) if held is None else held.session

    return hook


def session_sync(original: Original) -> Original:
    """Sync version of ``session``."""

    def hook(self: Any, *arguments: Any, **options: Any) -> Any:
        held = _paused_workflow_of(self)
        return original(self, *arguments, **options) if held is None else held.session

    return hook


def _paused_workflow_of(workflow: Any) -> PausedWorkflow | None:
    frame = current_frame.get()
    return next((each.held for each in frame.path() if each.owner is workflow), None) if frame is not None else None


async def continued(workflow: Any, frame: Frame, items: Any) -> AsyncGenerator[Any]:
    """Pass on a workflow's events, and continue after each pause that has been answered."""
    output = None
    while True:
        async with aclosing(items):
            async for each in items:
                yield _with_output(each, output)
        output = answered(frame)
        if output is None:
            return
        items = await workflow.acontinue_run(output, stream=True, stream_events=True)


def continued_sync(workflow: Any, frame: Frame, items: Iterator[Any]) -> Iterator[Any]:
    """Sync version of ``continued``."""
    output = None
    while True:
        for each in items:
            yield _with_output(each, output)
        output = frame.run.call(answered, frame)
        if output is None:
            return
        items = workflow.continue_run(output, stream=True, stream_events=True)


def _with_output(event: Any, output: Any) -> Any:
    """Add the run's output to the last event of a continued workflow, from which an enclosing step reads it."""
    if output is not None and getattr(event, "run_output", output) is None and event.run_id == output.run_id:
        event.run_output = output
    return event


async def completed(workflow: Any, frame: Frame, output: Any) -> Any:
    """Continue a workflow that is not streamed after each pause that has been answered."""
    while (paused := answered(frame)) is not None:
        output = await workflow.acontinue_run(paused)
    return output


def completed_sync(workflow: Any, frame: Frame, output: Any) -> Any:
    """Sync version of ``completed``."""
    while (paused := frame.run.call(answered, frame)) is not None:
        output = workflow.continue_run(paused)
    return output


def answered(frame: Frame) -> Any:
    """Return a paused workflow's output with the answers applied; None if it has not paused, or still has to wait.

    Raises:
        AgentFailed: A person has declined something that the workflow needs.
    """
    held, frame.held = frame.held, None
    if held is None:
        return None
    frame.pauses += 1
    found = list(_requests_of(frame, held.output))
    open_ones = [request for request, _ in found if frame.run.journal.answer(request.id) is None]
    if not found or open_ones:
        if open_ones:
            frame.run.ask(open_ones, frame)
        return None  # without a request, it is an agent within a step that waits
    for request, apply in found:
        answer = frame.run.journal.answer(request.id)
        if answer is not None:
            apply(answer)
    frame.held = held  # its session is needed to continue
    return held.output


Apply = Callable[[InputAnswer], None]


def _requests_of(frame: Frame, output: Any) -> Iterator[tuple[InputRequest, Apply]]:
    """Yield the requests of a paused workflow, each with a function that applies the answer."""
    where = [frame.scope.key, "step", frame.pauses]
    for each in output.error_requirements or ():
        yield request_of_error(where, each), partial(_decide, each)
    for each in (output.step_requirements or ())[-1:]:  # earlier ones have been handled
        if not each.requires_executor_input and not each.is_resolved:
            yield from requests_of_step(where, each)


def request_of_error(where: Sequence[Any], error: Any) -> InputRequest:
    """Return the request for Agno's ``ErrorRequirement``: whether to try the step again.

    Args:
        where: The place of the request in the journal.
        error: The requirement.
    """
    question = f"{error.step_name} failed: {error.error_message} Try it again?"
    return InputRequest.create(where, Kind.Confirmation, agent=error.step_name, question=question)


def requests_of_step(where: Sequence[Any], step: Any) -> Iterator[tuple[InputRequest, Apply]]:
    """Yield the requests of Agno's ``StepRequirement``, each with a function that applies the answer.

    Args:
        where: The place of the requests in the journal.
        step: The requirement.
    """
    what: dict[str, Any] = {"agent": step.step_name, "answer_by": step.timeout_at}
    if step.requires_output_review:
        shown = {"output": getattr(step.step_output, "content", None)}
        said = {**what, "question": step.output_review_message, "arguments": shown}
        yield InputRequest.create(where, Kind.OutputReview, **said), partial(_in_time, step, _review)
    elif step.requires_confirmation:
        said = {**what, "question": step.confirmation_message}
        yield InputRequest.create(where, Kind.Confirmation, **said), partial(_in_time, step, _confirm)
    if step.requires_user_input:
        fields = [_field(each) for each in step.user_input_schema or ()]
        schema = form(fields) if fields else {"type": "object", "minProperties": 1}
        said = {**what, "question": step.user_input_message, "value_schema": schema}
        yield InputRequest.create(where, Kind.UserInput, **said), partial(_in_time, step, _fill_in)
    if step.requires_route_selection:
        said = {
            **what,
            "question": step.user_input_message,
            "choices": step.available_choices or [],
            "several": step.allow_multiple_selections,
        }
        yield InputRequest.create(where, Kind.RouteSelection, **said), partial(_select, step)


def _field(each: Any) -> AskedField:
    allowed = each.allowed_values
    return AskedField(each.name, each.field_type, each.description, each.value, allowed, is_needed=each.required)


def _decide(error: Any, answer: InputAnswer) -> None:
    if answer.approve:
        error.retry()
    else:
        error.skip()


def _in_time(step: Any, apply: Callable[[Any, InputAnswer], None], answer: InputAnswer) -> None:
    """Apply an answer; if there was none within the step's own ``timeout``, let Agno apply ``on_timeout``."""
    if answer.unanswered and step.timeout_at is not None:
        if apply is _fill_in:
            if step.on_timeout != "skip":  # the step cannot continue without input
                _check_declined(step, answer)
            step.requires_user_input, step.requires_confirmation = False, True
        step.timeout_at = datetime.now(UTC)
    else:
        apply(step, answer)


def _confirm(step: Any, answer: InputAnswer) -> None:
    if answer.approve:
        step.confirm()
    else:
        step.reject(answer.note)


def _review(step: Any, answer: InputAnswer) -> None:
    if answer.approve and answer.value is not None:
        step.edit(answer.value)
    else:
        _confirm(step, answer)


def _fill_in(step: Any, answer: InputAnswer) -> None:
    _check_declined(step, answer)
    step.set_user_input(validate=False, **answer.value)


def _select(step: Any, answer: InputAnswer) -> None:
    _check_declined(step, answer)
    step.selected_choices = answer.value if isinstance(answer.value, list) else [answer.value]


def _check_declined(step: Any, answer: InputAnswer) -> None:
    if answer.approve is False:
        why = answer.note or "no reason given"
        raise AgentFailed(f"The workflow cannot continue: input that {step.step_name!r} requires was declined: {why}")
