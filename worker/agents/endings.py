"""How an Agno run ended: with a content, waiting for a person, or in an error that Agno does not raise."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from worker.agents.calls import Calls
from worker.agents.errors import AgentFailed
from worker.agents.outlet import plain
from worker.words.tasks import Tokens

ERRORS = frozenset({"RunError", "TeamRunError", "WorkflowError"})
CANCELLATIONS = frozenset({"RunCancelled", "TeamRunCancelled", "WorkflowCancelled"})
PAUSES = frozenset({"RunPaused", "TeamRunPaused", "WorkflowPaused"})
STARTS = frozenset({"RunStarted", "TeamRunStarted", "WorkflowStarted"})
ENDINGS = ERRORS | CANCELLATIONS | PAUSES | {"WorkflowCompleted"}
"""Events that say how a run ended; an agent's and a team's completion is told by their output, which comes last."""


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a run.

    Args:
        content: What Agno has as its content: text, a value, a pydantic object.
        paused: The task's ``hitl_request`` where the run waits for a person.
        tokens: All models' of the run, its members' and steps' included.
    """

    content: Any = None
    paused: dict[str, Any] | None = None
    tokens: Tokens = field(default_factory=Tokens)


def ending_of(last: Any, output: Any, calls: Calls, skippable_steps: set[str]) -> Ending:
    """Read the end of a run.

    Args:
        last: The run's own event of ``ENDINGS``, if one came.
        output: Agno's RunOutput or TeamRunOutput, if one came.
        calls: Knows the exceptions behind Agno's error texts.
        skippable_steps: What Agno says in place of a result where a step that may fail has failed.

    Raises:
        AgentFailed: It ended in an error.
    """
    if last is None:
        if output is None:
            raise AgentFailed("The run ended without a result.")
        return Ending(output.content, tokens=tokens_of(output))
    if last.event in ERRORS:
        raise failed(getattr(last, "error", None) or last.content, calls)
    if last.event in CANCELLATIONS:
        raise AgentFailed(f"The run was cancelled within Agno: {last.reason or 'no reason given'}")
    if last.event in PAUSES:
        return Ending(paused=_hitl_request(last), tokens=tokens_of(output if output is not None else last))
    _check_steps(last.step_results, calls, skippable_steps)
    return Ending(last.content, tokens=tokens_of(last))


def failed(text: object, calls: Calls) -> AgentFailed:
    """The error for a text of Agno's, with the exception behind it if a model raised it."""
    said = str(text or "The run ended in an error.")
    return AgentFailed(said, calls.failure(said))


def tokens_of(output: Any) -> Tokens:
    """Tokens of a run and of all runs within it: Agno counts a team's without its members'."""
    runs = list(_metrics(output))
    return Tokens(
        prompt_tokens=sum([each.input_tokens or 0 for each in runs]),
        completion_tokens=sum([each.output_tokens or 0 for each in runs]),
        cache_read_tokens=sum([each.cache_read_tokens or 0 for each in runs]),
        cache_write_tokens=sum([each.cache_write_tokens or 0 for each in runs]),
    )


def _metrics(output: Any) -> Iterator[Any]:
    metrics = getattr(output, "metrics", None)
    if hasattr(metrics, "input_tokens"):  # a workflow's own metrics repeat those of its steps
        yield metrics
    for attribute in ("member_responses", "step_executor_runs"):
        for inside in getattr(output, attribute, None) or ():
            yield from _metrics(inside)


def _hitl_request(paused: Any) -> dict[str, Any]:
    requirements = getattr(paused, "requirements", None) or getattr(paused, "step_requirements", None) or []
    listed = [plain(each.to_dict()) for each in requirements]
    first = next((each.get("tool_execution") or each for each in listed), {})
    waiting = first.get("tool_call_id") or first.get("step_id") or paused.run_id
    return {"wait_node_id": waiting, "requirements": listed}


def _check_steps(results: Any, calls: Calls, skippable: set[str]) -> None:
    """A workflow whose step failed is completed all the same; the step's result knows."""
    for result in results or ():
        if isinstance(result, list):
            _check_steps(result, calls, skippable)
            continue
        inside: list[Any] = result.steps or []
        _check_steps(inside, calls, skippable)
        explained = any(not each.success for each in inside)  # by a step inside that may fail
        if not result.success and not explained and result.content not in skippable:
            said = str(result.error or result.content or "no reason given")
            cause = calls.failure(said)
            raise AgentFailed(f"Step {result.step_name!r} failed: {said if cause is None else cause}", cause)
