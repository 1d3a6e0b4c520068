"""Attempts, composed from a task's log: each claim begins one, and the next change of status ends it."""

from collections.abc import Iterable, Mapping
from typing import Any

from worker.engine.state.requests import ANSWERED
from worker.words.attempts import Attempt, AttemptOutcome
from worker.words.statuses import TERMINAL, AgentExecutionStatus

Status = AgentExecutionStatus

SIGNS = {"lock": AttemptOutcome.Crashed, "lease": AttemptOutcome.LostLease}
"""The outcome of an attempt by the sign that revealed its worker's death, as recorded in the log."""


def attempts_of(rows: Iterable[Mapping[str, Any]]) -> list[Attempt]:
    """Compose a task's attempts, the first one first.

    Args:
        rows: The events that carry the task's changes, in order, each with ``worker``, the claiming worker's name.
    """
    attempts: list[Attempt] = []
    by_hand = False
    for row in rows:
        data: Mapping[str, Any] = row["data"] or {}
        status = data.get("status")
        if status is None:
            continue
        running = attempts[-1] if attempts and attempts[-1].ended_at is None else None
        if running is not None and status != Status.Executing:
            attempts[-1] = _ended(running, row, data)
        if status == Status.Executing:
            attempts.append(_begun(row, data, by_hand=by_hand))
        is_given_back = status == Status.Pending and row["attempt"] is None
        by_hand = is_given_back and bool(attempts) and ANSWERED not in data
    return attempts


def _begun(row: Mapping[str, Any], data: Mapping[str, Any], *, by_hand: bool) -> Attempt:
    return Attempt(
        number=data.get("execution_attempts", 1),
        outcome=AttemptOutcome.Running,
        started_at=row["time"],
        worker_id=data.get("_worker"),
        worker=row["worker"],
        by_hand=by_hand,
    )


def _ended(attempt: Attempt, row: Mapping[str, Any], data: Mapping[str, Any]) -> Attempt:
    outcome = _outcome(data)
    said = data.get("result") if data["status"] in (Status.Error, Status.Failed) else None
    error = data.get("_error") or data.get("_waits") or said
    codes = {name: data.get(name) for name in ("error_code", "provider_code")}
    return attempt.model_copy(update={"outcome": outcome, "ended_at": row["time"], "error": error, **codes})


def _outcome(data: Mapping[str, Any]) -> AttemptOutcome:
    status = data["status"]
    if "suspicions" in data:
        return SIGNS.get(data.get("_lost", ""), AttemptOutcome.Crashed)
    if "crashes" in data:
        return AttemptOutcome.Crashed
    if "_error" in data:
        return AttemptOutcome.Error
    if status in TERMINAL or status == Status.Paused:
        return AttemptOutcome(status)
    return AttemptOutcome.HandedBack
