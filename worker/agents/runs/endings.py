"""How an Agno run ended: with a content, waiting for a person, or in an error that Agno does not raise."""

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
"""Events that say how a run ended; an agent's and a team's completion shows in their output, which comes last."""

UNSUPPORTED_PAUSE = "Executor HITL inside"
"""How Agno ends a workflow in whose parallel steps an agent waits for a person: it could not go on there; we can."""


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a run.

    Args:
        content: What Agno has as its content: text, a value, a pydantic object.
        paused: The task's ``hitl_request`` where the run waits for a person.
        output: Agno's own output of the run, if one came.
        made: What holds the media that the run has made: its output, or a workflow's last event.
    """

    content: Any = None
    paused: dict[str, Any] | None = None
    output: Any = None
    made: Any = None


def is_ending(name: str) -> bool:
    """Whether an event says how a run ended, by its name."""
    return name in ENDINGS


def ending_of(last: Any, output: Any, run: AgentRun) -> Ending:
    """Read the end of a run.

    Args:
        last: The run's own event of ``ENDINGS``, if one came.
        output: Agno's RunOutput or TeamRunOutput, if one came.
        run: Knows the exceptions behind Agno's error texts, and which steps may fail.

    Raises:
        AgentFailed: It ended in an error.
    """
    if run.asked and (last is None or last.event == "WorkflowCompleted"):
        return Ending()  # Agno ends a workflow's stream without a word of a step that waits for a person
    if last is None:
        if output is None:
            raise AgentFailed("The run ended without a result.")
        return Ending(output.content, output=output, made=output)
    if last.event in ERRORS:
        if getattr(last, "error_type", None) == "output_check_error" and run.has_streamed:
            run.emit([discard_text()], at_once=True)  # what was checked has been read by then
        raise failed(getattr(last, "error", None) or last.content, run)
    if last.event in CANCELLATIONS:
        reason = last.reason or "no reason given"
        raise AgentFailed(f"The run was cancelled within Agno: {reason}", run.failure(str(reason)))
    if last.event in PAUSES:
        return Ending(paused=hitl_request(last), output=output)
    check_steps(last.step_results, run.skipped_steps, run.failure)
    return Ending(last.content, output=output, made=last)


def failed(text: object, run: AgentRun) -> AgentFailed:
    """The error for a text of Agno's, with the exception behind it if a model raised it."""
    said = str(text or "The run ended in an error.")
    cause = run.failure(said)
    return AgentFailed(said if cause is None else message_of(cause), cause)


def hitl_request(paused: Any) -> dict[str, Any]:
    """What a task says of a run that waits for a person.

    Args:
        paused: Agno's event or output of it.
    """
    requirements = getattr(paused, "requirements", None) or getattr(paused, "step_requirements", None) or []
    listed = [plain(each.to_dict()) for each in requirements]
    first = next((each.get("tool_execution") or each for each in listed), {})
    waiting = first.get("tool_call_id") or first.get("step_id") or paused.run_id
    return {"wait_node_id": waiting, "requirements": listed}


def check_steps(results: Any, skipped: Container[str], behind: Callable[[str], BaseException | None]) -> None:
    """A workflow whose step failed is completed all the same; the step's result knows.

    Args:
        results: Agno's, of steps or lists of them.
        skipped: What Agno says in the place of the result of a step that may fail.
        behind: Finds the exception behind a text.

    Raises:
        AgentFailed: One failed.
    """
    for result in results or ():
        if isinstance(result, list):
            check_steps(result, skipped, behind)
            continue
        inside: list[Any] = result.steps or []
        check_steps(inside, skipped, behind)
        explained = any(not each.success for each in inside)  # by a step inside that may fail
        if not result.success and not explained and result.content not in skipped:
            said = str(result.error or result.content or "no reason given")
            cause = behind(said)
            why = said if cause is None else message_of(cause)
            raise AgentFailed(f"Step {result.step_name!r} failed: {why}", cause)
