"""What became of a run within a run."""

from functools import partial
from typing import Any

from worker.agents.errors import AgentFailed
from worker.agents.instrumentation.frames import Frame
from worker.agents.instrumentation.identities import name_of
from worker.agents.runs.endings import CANCELLATIONS, ERRORS


def begin(run_id: str) -> None:
    """A run begins: Agno does not store it as cancelled when it is, since it is to be taken up again."""
    from agno.run.concurrency import mark_worker_managed

    mark_worker_managed(run_id)


def end(run_id: str) -> None:
    """It has ended."""
    from agno.run.concurrency import unmark_worker_managed

    unmark_worker_managed(run_id)


class RunOutcome:
    """Whether a run or step has failed, as far as its output or events say.

    A run's are its own: others' events say nothing of it. A step's code may pass on the events of runs that it makes:
    if the last of them has failed, so has the step, for whose output Agno takes the text that came before the error.

    Args:
        child: Of the run or step.
    """

    def __init__(self, child: Frame) -> None:
        self.failed = False
        self.cancelled: Any = None  # what says that it was
        self._run_id = child.run_id
        self._passed_on: Any = None  # the error of a run that a step has passed on

    def take(self, item: Any) -> None:
        """Look at what it yields or answers."""
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
        elif event:  # another run, or another try
            self._passed_on = None
        if hasattr(item, "success"):
            self.failed = not item.success


def is_output(item: Any, child: Frame) -> bool:
    """Whether it is the output of a run, which is the last that it yields.

    Agno's steps stop reading there. The run must have ended by then: closed in the middle, it would count as cancelled.
    """
    return bool(child.run_id) and getattr(item, "run_id", None) == child.run_id and not hasattr(item, "event")


def pause(child: Frame) -> None:
    """Go no further with what has made a run that waits for a person. Raises: CancelledError."""
    if holds_up(child):
        raise child.run.call(child.run.pause)


def holds_up(child: Frame) -> bool:
    """Whether what has made a run that waits for a person would go on without.

    That is code of the user's; and a step of Agno's that is a workflow: the steps after it would be carried out.
    """
    return child.is_paused and bool(child.is_users or (child.run_id and hasattr(child.owner, "steps")))


def tell_cancelled(child: Frame, ended: Any) -> None:
    """Say that a run within another was cancelled by code of its own, after which Agno goes on without a word.

    Args:
        child: Of the run.
        ended: Its output or event that says so, if it was.

    Raises:
        CancelledError: Nothing goes on without it: the attempt ends.
    """
    if ended is None or not child.run_id or not _is_cancelled(ended) or child.run.is_over:
        return
    reason = str(getattr(ended, "reason", None) or getattr(ended, "content", None) or "no reason given")
    error = AgentFailed(f"it was cancelled by code within it: {reason}")
    child.run.call(partial(child.run.go_without, child.member or name_of(child.owner) or "an agent", error))


def _is_cancelled(ended: Any) -> bool:
    status = str(getattr(getattr(ended, "status", None), "value", ""))
    return status == "CANCELLED" or getattr(ended, "event", None) in CANCELLATIONS


def has_failed(child: Frame, answer: Any) -> bool:
    """Whether a run or step that answers in one piece has failed."""
    outcome = RunOutcome(child)
    outcome.take(answer)
    return outcome.failed


def begun(child: Frame) -> None:
    """Note that a step goes on."""
    if not child.run_id:
        child.run.steps.add(child)


def ended(child: Frame, *, failed: bool) -> None:
    """Note that a run within a run has ended."""
    run = child.run
    run.journal.end(child.scope, failed=failed)
    if not child.run_id:
        run.step_ends(child)
    if child.run_id:
        end(child.run_id)
        run.journal.run_ids.add(child.run_id)
    if not failed:
        run.drop_replaced(child.scope)
    elif getattr(child.owner, "skip_on_failure", False):
        run.settle_failures(child.scope)
