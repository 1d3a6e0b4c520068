"""Outcomes of nested runs."""

from functools import partial
from typing import Any

from worker.agents.errors import AgentFailed
from worker.agents.instrumentation.frames import Frame
from worker.agents.instrumentation.identities import name_of
from worker.agents.runs.endings import CANCELLATIONS, ERRORS


def begin(run_id: str) -> None:
    """Mark the beginning of a run, so that Agno does not store a cancelled run as cancelled: it will be resumed."""
    from agno.run.concurrency import mark_worker_managed

    mark_worker_managed(run_id)


def end(run_id: str) -> None:
    """Remove the mark that ``begin`` set."""
    from agno.run.concurrency import unmark_worker_managed

    unmark_worker_managed(run_id)


class RunOutcome:
    """Whether a run or step has failed, according to its output or events.

    For a run, only its own events count. A step's code may pass on the events of runs that it makes: if the last of
    these failed, so has the step, for whose output Agno uses the text before the error.

    Args:
        child: The frame of the run or step.
    """

    def __init__(self, child: Frame) -> None:
        self.failed = False
        self.cancelled: Any = None  # the event or output of a cancellation
        self._run_id = child.run_id
        self._passed_on: Any = None  # the error event of a run that a step has passed on

    def take(self, item: Any) -> None:
        """Record an event or output of the run or step."""
        if not self._run_id:
            self._take_of_step(item)
        elif getattr(item, "run_id", None) == self._run_id and not self.failed:
            self.cancelled = item if _is_cancelled(item) else self.cancelled
            status = str(getattr(getattr(item, "status", None), "value", ""))
            self.failed = status == "ERROR" or getattr(item, "event", None) in ERRORS

    def _take_of_step(self, item: Any) -> None:
        event = getattr(item, "event", None)
        if event in ERRORS:
            self._passed_on = item
        elif self._passed_on is not None and type(item).__name__ == "StepOutput":
            if item.success:
                item.success, item.error = False, str(getattr(self._passed_on, "content", None) or "")
        elif event:  # another run, or a retry
            self._passed_on = None
        if hasattr(item, "success"):
            self.failed = not item.success


def is_output(item: Any, child: Frame) -> bool:
    """Return whether an item is a run's output, which is the last item that the run yields.

    Agno's steps stop reading at the output. The run must have ended by that time: closed earlier, it would count as
    cancelled.
    """
    return bool(child.run_id) and getattr(item, "run_id", None) == child.run_id and not hasattr(item, "event")


def pause(child: Frame) -> None:
    """Raise ``CancelledError`` if a nested run waits for a person and its caller would otherwise continue."""
    if blocks_caller(child):
        raise child.run.call(child.run.pause)


def blocks_caller(child: Frame) -> bool:
    """Return whether a nested run waits for a person and its caller would otherwise continue.

    Such callers are the user's code, and Agno's steps whose executor is a workflow: later steps would be executed.
    """
    return child.is_paused and bool(child.is_made_by_user_code or (child.run_id and hasattr(child.owner, "steps")))


def report_cancellation(child: Frame, ended: Any) -> None:
    """Report that a nested run was cancelled by its own code, after which Agno continues silently.

    Args:
        child: The frame of the run.
        ended: The output or event of the cancellation, if the run was cancelled.

    Raises:
        CancelledError: The attempt ends instead of continuing without the run.
    """
    if ended is None or not child.run_id or not _is_cancelled(ended) or child.run.is_over:
        return
    reason = str(getattr(ended, "reason", None) or getattr(ended, "content", None) or "no reason given")
    error = AgentFailed(f"it was cancelled from within: {reason}")
    child.run.call(partial(child.run.note_missing_or_stop, child.member or name_of(child.owner) or "an agent", error))


def _is_cancelled(ended: Any) -> bool:
    status = str(getattr(getattr(ended, "status", None), "value", ""))
    return status == "CANCELLED" or getattr(ended, "event", None) in CANCELLATIONS


def has_failed(child: Frame, answer: Any) -> bool:
    """Return whether a run or step that is not streamed has failed."""
    outcome = RunOutcome(child)
    outcome.take(answer)
    return outcome.failed


def begun(child: Frame) -> None:
    """Record that a step has started."""
    if not child.run_id:
        child.run.steps.add(child)


def ended(child: Frame, *, failed: bool) -> None:
    """Record that a nested run or step has ended."""
    run = child.run
    run.journal.end(child.scope, failed=failed)
    if not child.run_id:
        run.step_ends(child)
    if child.run_id:
        end(child.run_id)
        run.journal.run_ids.add(child.run_id)
    if not failed:
        run.drop_replaced(child.scope)
