"""What came of a handler, as a value: one function classifies, the engine sees only the outcome."""

import asyncio
from dataclasses import dataclass
from typing import Any

from worker.current import REASON_CUT_OFF, REASON_DRAIN, REASON_OUTAGE, REASON_PAUSE, REASON_RETRY, REASON_SUSPEND, Run
from worker.face.changes import checked, result_text
from worker.face.task import Task
from worker.registry import Handler
from worker.telemetry import redaction
from worker.words.classification import Classified, classify, message_of
from worker.words.error_codes import ErrorCode
from worker.words.errors import CutOff, LeaseLost, TimeLimit
from worker.words.groups import members
from worker.words.outcomes import HandBack, Outcome
from worker.words.statuses import TERMINAL, AgentExecutionStatus

Status = AgentExecutionStatus

REASON_LOST = "lost"
"""Why the supervisor itself ends a run whose attempt owns its task no longer."""

CANCELLED = "the run was cancelled by its own code"

MESSAGE_CHARACTERS = 10_000  # of an error's message as a result; a provider may answer with a whole page


@dataclass(frozen=True, slots=True)
class Taken:
    """The attempt owns its task no longer: nothing is written."""


Verdict = Outcome | HandBack | Taken


def of_value(value: Any, task: Task, run: Run) -> Outcome | HandBack:
    """Classify what a handler returned: a Task, text, a model, a dict, or nothing (what it set on the task stands).

    The output of an agent that its code has run by itself is classified by its status, and so is the text of one.

    Raises:
        ValidationError: What it set does not fit.
        AgentFailed: It is the output of a run that failed.
        CancelledError: The attempt was ended, and another makes up for it.
    """
    from worker.agents.outputs import of_bare

    waits = _waits(task, run)
    if waits is not None:
        return waits  # whatever it made of being ended
    if run.stopping.reason in (REASON_OUTAGE, REASON_RETRY):
        raise asyncio.CancelledError(run.stopping.reason)
    ended = of_bare(value, run)
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


def comes_late(decision: Verdict, task: Task) -> bool:
    """Tell whether a result is returned of a task that the handler's own save has ended with another."""
    if not isinstance(decision, Outcome) or task.status not in TERMINAL or "status" in task.unsaved(by_handler=True):
        return False
    return decision.changes.get("result") not in (None, task.result)


def of_error(error: BaseException, run: Run, task: Task, handler: Handler, *, draining: bool) -> Verdict:
    """Classify what a handler raised; an error whose own methods raise is one all the same."""
    try:
        return _of_error(error, run, task, handler, draining=draining)
    except BaseException:  # noqa: BLE001 - the error's code is the user's, and may raise whatever there is
        return Outcome(Status.Error, {"result": message(error), "error_code": ErrorCode.Handler})


def _of_error(error: BaseException, run: Run, task: Task, handler: Handler, *, draining: bool) -> Verdict:
    if run.stopping.reason == REASON_CUT_OFF or _holds(error, CutOff, task.id):
        return HandBack()  # refused where it was really taken
    if run.stopping.reason == REASON_LOST or _holds(error, LeaseLost, task.id):
        return Taken()
    if run.stopping.reason == REASON_DRAIN:
        return HandBack()  # also where its time was up while it was ending: the first reason stands
    waits = _waits(task, run)
    if waits is not None:
        return waits
    if run.stopping.reason == REASON_OUTAGE:
        away = run.stopping.cause
        text = redaction.of_this_process()(f"{away.id} is away: {away.message}")
        return HandBack(0, text, away.error_code, away.provider_code, waits_for=away.id)
    if isinstance(error, TimeLimit):
        return Outcome(Status.Failed, {"result": str(error), "error_code": ErrorCode.Limit, **kept(task, run)})
    if draining:
        return HandBack()  # signals reach every process of a dyno: what fails then may be their doing, not the run's
    if isinstance(error, asyncio.CancelledError):
        return Outcome(Status.Error, {"result": CANCELLED, "error_code": ErrorCode.Handler, **kept(task, run)})
    tries, known = task.errors + 1, classify(error)
    if known.is_retryable and tries < handler.retries.attempts:
        delay = handler.retries.delay(tries) if known.wait is None else known.wait
        return HandBack(delay, message(error), known.code, known.provider_code)
    return Outcome(Status.Error, {"result": message(error), **codes(known), **kept(task, run)})


def _waits(task: Task, run: Run) -> Outcome | HandBack | None:
    """What becomes of a run that has ended itself to wait for a person, a time or a signal."""
    if run.stopping.reason == REASON_PAUSE:
        return Outcome(Status.Paused, {**kept(task, run), "hitl_request": run.stopping.cause})
    return run.stopping.cause if run.stopping.reason == REASON_SUSPEND else None


def _holds(error: BaseException, kind: type[CutOff | LeaseLost], task_id: str) -> bool:
    """Whether an error says that this task is no longer the run's, or is the group of one that does."""
    return any(isinstance(each, kind) and each.task_id == task_id for each in members(error))


def codes(known: Classified) -> dict[str, Any]:
    """What an error is, as a task has it."""
    named = {"error_code": known.code, "provider_code": known.provider_code}
    return {name: str(value) for name, value in named.items() if value is not None}


def name_of(decision: Verdict) -> str:
    """A verdict in a word or two, for whoever watches."""
    match decision:
        case Outcome():
            return str(decision.status)
        case HandBack():
            return "handed back" if decision.error is None else "retried"
        case _:
            return REASON_LOST


def repeats(error: BaseException | None) -> bool:
    """Whether a run that is taken up again after an error, where it stood, would only meet the same error."""
    if error is None or isinstance(error, asyncio.CancelledError | CutOff | TimeLimit):
        return False
    return not classify(error).is_retryable


def message(error: BaseException) -> str:
    """An error as a person reads it: its own words, without a traceback and without what looks like a secret.

    It is stored with the task, and told to whoever reads the task's events.
    """
    return redaction.of_this_process().beginning(message_of(error), MESSAGE_CHARACTERS)


def kept(task: Task, run: Run) -> dict[str, Any]:
    """What is worth keeping of a handler that failed: its own status text, and what its agents have used."""
    used = checked(run.account())
    try:
        changes = task.unsaved(by_handler=True)
    except Exception:  # noqa: BLE001 - what it set may be anything; the error it raised is what counts
        return used
    return {name: changes[name] for name in ("internal_status", "tokens", "used_tools") if name in changes} | used
