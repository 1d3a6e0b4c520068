"""Classification of a handler's result or error as a verdict. The engine sees only the verdict."""

import asyncio
from dataclasses import dataclass
from typing import Any

from worker import redaction
from worker.current import (
    REASON_CUT_OFF,
    REASON_DRAIN,
    REASON_OUTAGE,
    REASON_PAUSE,
    REASON_RETRY,
    REASON_SUSPEND,
    Run,
    run_in_hand,
)
from worker.face.changes import checked, result_text
from worker.face.task import Task
from worker.registry import Handler
from worker.words.classification import Classified, classify
from worker.words.error_codes import ErrorCode
from worker.words.errors import CutOff, LeaseLost, TimeLimit
from worker.words.exception_groups import members
from worker.words.outcomes import HandBack, Outcome
from worker.words.statuses import TERMINAL, AgentExecutionStatus

Status = AgentExecutionStatus

REASON_LOST = "lost"
"""The reason with which the supervisor ends a run whose attempt no longer owns its task."""

CANCELLED = "the run was cancelled by its own code"

MESSAGE_CHARACTERS = 10_000  # most characters of an error's message; a provider may return an HTML page


@dataclass(frozen=True, slots=True)
class Taken:
    """The verdict of an attempt that no longer owns its task: nothing is written."""


Verdict = Outcome | HandBack | Taken


def of_value(value: Any, task: Task, run: Run) -> Outcome | HandBack:
    """Classify a handler's return value: a Task, text, a model, a dict, or None, which leaves the task as it is.

    The output of an agent that the handler ran without ``run_agent`` is classified by its status, and its text
    likewise.

    Raises:
        ValidationError: A field that the handler set is invalid.
        AgentFailed: The value is the output of a failed run.
        CancelledError: The attempt was ended, and another one follows.
    """
    token = run_in_hand.set(run)
    try:
        return _of_value(value, task, run)
    finally:
        run_in_hand.reset(token)


def _of_value(value: Any, task: Task, run: Run) -> Outcome | HandBack:
    from worker.agents.outputs import of_bare

    waits = _waits(task, run)
    if waits is not None:
        return waits  # whatever the handler returned after it was asked to end
    if run.stopping.reason in (REASON_OUTAGE, REASON_RETRY):
        raise asyncio.CancelledError(run.stopping.reason)
    ended = of_bare(task if value is None and task.result is not None else value, run)
    if ended.paused is not None:
        return Outcome(Status.Paused, {**task.unsaved(by_handler=True), "hitl_request": ended.paused})
    value = ended.content
    source = value if isinstance(value, Task) and value.id == task.id else task
    changes = source.unsaved(by_handler=True)
    if value is not None and not isinstance(value, Task):
        changes["result"] = result_text(value)
    changes |= checked({name: used for name, used in run.account().items() if name not in changes})
    status = Status(changes.pop("status", source.status))
    ends = status in TERMINAL or status is Status.Paused
    if status in (Status.Error, Status.Failed):
        changes.setdefault("error_code", ErrorCode.Handler)
    return Outcome(status if ends else Status.Completed, changes)


def is_late_result(decision: Verdict, task: Task) -> bool:
    """Return whether a handler returned another result than the one with which it had already ended the task itself."""
    if not isinstance(decision, Outcome) or task.status not in TERMINAL or "status" in task.unsaved(by_handler=True):
        return False
    return decision.changes.get("result") not in (None, task.result)


def of_error(error: BaseException, run: Run, task: Task, handler: Handler, *, draining: bool) -> Verdict:
    """Classify a handler's exception, even if the methods of the exception raise themselves."""
    try:
        return _of_error(error, run, task, handler, draining=draining)
    except BaseException:  # noqa: BLE001 - the exception's class is user code, whose methods may raise anything
        return Outcome(Status.Error, {"result": message(error), "error_code": ErrorCode.Handler})


def _of_error(error: BaseException, run: Run, task: Task, handler: Handler, *, draining: bool) -> Verdict:
    if run.stopping.reason == REASON_CUT_OFF or _reports_loss_of(error, CutOff, task.id):
        return HandBack()  # refused if another attempt really owns the task
    if run.stopping.reason == REASON_LOST or _reports_loss_of(error, LeaseLost, task.id):
        return Taken()
    if run.stopping.reason == REASON_DRAIN:
        return HandBack()  # even if the time limit passed while the run was ending: the first reason counts
    waits = _waits(task, run)
    if waits is not None:
        return waits
    if run.stopping.reason == REASON_OUTAGE:
        away = run.stopping.cause
        text = redaction.of_this_process()(f"{away.id} is unavailable: {away.message}")
        return HandBack(0, text, away.error_code, away.provider_code, waits_for=away.id)
    if isinstance(error, TimeLimit):
        return Outcome(Status.Failed, {"result": str(error), "error_code": ErrorCode.Limit, **kept(task, run)})
    if draining:
        return HandBack()  # signals reach all processes of a dyno, so the error may be a consequence of the shutdown
    if isinstance(error, asyncio.CancelledError):
        return Outcome(Status.Error, {"result": CANCELLED, "error_code": ErrorCode.Handler, **kept(task, run)})
    tries, known = task.errors + 1, classify(error)
    if known.is_retryable and tries < handler.retries.attempts:
        delay = handler.retries.delay(tries) if known.wait is None else known.wait
        return HandBack(delay, message(error), known.code, known.provider_code)
    return Outcome(Status.Error, {"result": message(error), **codes(known), **kept(task, run)})


def _waits(task: Task, run: Run) -> Outcome | HandBack | None:
    """Return the verdict of a run that ended itself to wait for a person, a time or a signal; None for others."""
    if run.stopping.reason == REASON_PAUSE:
        return Outcome(Status.Paused, {**kept(task, run), "hitl_request": run.stopping.cause})
    return run.stopping.cause if run.stopping.reason == REASON_SUSPEND else None


def _reports_loss_of(error: BaseException, kind: type[CutOff | LeaseLost], task_id: str) -> bool:
    """Return whether an error reports that the run lost this task, or is an exception group with such an error."""
    return any(isinstance(each, kind) and each.task_id == task_id for each in members(error))


def codes(known: Classified) -> dict[str, Any]:
    """Return the fields of a task that describe an error."""
    named = {"error_code": known.code, "provider_code": known.provider_code}
    return {name: str(value) for name, value in named.items() if value is not None}


def name_of(decision: Verdict) -> str:
    """Return a short name of a verdict, for observers."""
    match decision:
        case Outcome():
            return str(decision.status)
        case HandBack():
            return "handed back" if decision.error is None else "retried"
        case _:
            return REASON_LOST


def repeats(error: BaseException | None) -> bool:
    """Return whether a run that resumes after this error would only meet the same error again."""
    if error is None or isinstance(error, asyncio.CancelledError | CutOff | TimeLimit):
        return False
    return not classify(error).is_retryable


def message(error: BaseException) -> str:
    """Return an error's message without a traceback, and with likely secrets removed.

    The message is stored with the task and sent to readers of the task's events.
    """
    return redaction.message_to_show(error, MESSAGE_CHARACTERS)


def kept(task: Task, run: Run) -> dict[str, Any]:
    """Return the fields to store for a handler that failed: its own status text, and its agents' usage."""
    used = checked(run.account())
    try:
        changes = task.unsaved(by_handler=True)
    except Exception:  # noqa: BLE001 - fields set by the handler may be invalid, and its error is what matters
        return used
    return {name: changes[name] for name in ("internal_status", "tokens", "used_tools") if name in changes} | used
