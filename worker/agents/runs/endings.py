"""How an Agno run ended: with content, waiting for a person, or with an error that Agno does not raise."""

from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Any

from worker.agents.errors import AgentFailed
from worker.agents.event_buffer import plain
from worker.agents.journal import discard_text
from worker.agents.runs.agent_run import AgentRun
from worker.words.classification import message_of

ERRORS = frozenset({"RunError", "TeamRunError", "WorkflowError"})
CANCELLATIONS = frozenset({"RunCancelled", "TeamRunCancelled", "WorkflowCancelled"})
PAUSES = frozenset({"RunPaused", "TeamRunPaused", "WorkflowPaused"})
ENDINGS = ERRORS | CANCELLATIONS | PAUSES | {"WorkflowCompleted"}
"""Events that report how a run ended; agents and teams complete with their output, which comes last."""

UNSUPPORTED_PAUSE = "Executor HITL inside"
"""Start of Agno's error if an agent waits for a person in a workflow's parallel steps, which only we can resume."""


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a run.

    Args:
        content: The content that Agno reports: text, a value, a pydantic object.
        paused: The task's ``hitl_request`` if the run waits for a person.
        output: Agno's own output of the run, if one came.
        made: The object that holds media made by the run: its output, or a workflow's last event.
    """

    content: Any = None
    paused: dict[str, Any] | None = None
    output: Any = None
    made: Any = None


def is_ending(name: str) -> bool:
    """Return whether an event of this name reports how a run ended."""
    return name in ENDINGS


def ending_of(last: Any, output: Any, run: AgentRun) -> Ending:
    """Determine how a run ended.

    Args:
        last: The run's own event of ``ENDINGS``, if one came.
        output: Agno's RunOutput or TeamRunOutput, if one came.
        run: The run, which knows the exceptions behind Agno's error texts and which steps may fail.

    Raises:
        AgentFailed: The run ended in an error.
    """
    if run.asked and (last is None or last.event == "WorkflowCompleted"):
        return Ending()  # Agno ends a workflow's stream without mentioning a step that waits for a person
    if last is None:
        if output is None:
            raise AgentFailed("The run ended without a result.")
        return Ending(output.content, output=output, made=output)
    if last.event in ERRORS:
        if getattr(last, "error_type", None) == "output_check_error" and run.has_streamed:
            run.emit([discard_text()], at_once=True)  # the rejected text has already been streamed
        raise failed(getattr(last, "error", None) or last.content, run)
    if last.event in CANCELLATIONS:
        reason = last.reason or "no reason given"
        raise AgentFailed(f"The run was cancelled within Agno: {reason}", run.failure(str(reason)))
    if last.event in PAUSES:
        return Ending(paused=hitl_request(last), output=output)
    check_steps(last.step_results, run.skipped_steps, run.failure)
    return Ending(last.content, output=output, made=last)


def failed(text: object, run: AgentRun) -> AgentFailed:
    """Return the error for one of Agno's error texts, caused by the exception behind it if a model raised one."""
    said = str(text or "The run ended in an error.")
    cause = run.failure(said)
    return AgentFailed(said if cause is None else message_of(cause), cause)


def hitl_request(paused: Any) -> dict[str, Any]:
    """Return the task's ``hitl_request`` for a run that waits for a person.

    Args:
        paused: Agno's event or output of the pause.
    """
    requirements = getattr(paused, "requirements", None) or getattr(paused, "step_requirements", None) or []
    listed = [plain(each.to_dict()) for each in requirements]
    first = next((each.get("tool_execution") or each for each in listed), {})
    waiting = first.get("tool_call_id") or first.get("step_id") or paused.run_id
    return {"wait_node_id": waiting, "requirements": listed}


def check_steps(results: Any, skipped: Container[str], behind: Callable[[str], BaseException | None]) -> None:
    """Raise if a workflow's step failed: Agno completes the workflow regardless, and only the result shows the failure.

    Args:
        results: Agno's results of steps, possibly in nested lists.
        skipped: The texts with which Agno replaces the results of steps that may fail.
        behind: Returns the exception behind a text.

    Raises:
        AgentFailed: A step failed.
    """
    for result in results or ():
        if isinstance(result, list):
            check_steps(result, skipped, behind)
            continue
        inside: list[Any] = result.steps or []
        check_steps(_counting(result), skipped, behind)
        explained = any(not each.success for each in inside)  # a nested step that may fail explains it
        if not result.success and not explained and result.content not in skipped:
            said = str(result.error or result.content or "no reason given")
            cause = behind(said)
            why = said if cause is None else message_of(cause)
            raise AgentFailed(f"Step {result.step_name!r} failed: {why}", cause)


def _counting(result: Any) -> list[Any]:
    """Return the nested results that count: of a loop's step, which may be repeated until it succeeds, the last one."""
    inside: list[Any] = result.steps or []
    if result.step_type != "Loop":
        return inside
    return [*{each.step_id or each.step_name: each for each in inside}.values()]
