"""Attempts of a task: who ran them, when, and how each one ended."""

from datetime import datetime
from enum import StrEnum

from worker.words.records import Words


class AttemptOutcome(StrEnum):
    """How an attempt ended.

    ``Error``: the handler or agent raised; another attempt may have followed. ``HandedBack``: its worker left, and the
    task continues elsewhere. ``Crashed``: the process that ran it died. ``LostLease``: its worker gave no sign of life
    for too long, but may still be alive.
    """

    Running = "running"
    Completed = "completed"
    Error = "error"
    Failed = "failed"
    Paused = "paused"
    Stopped = "stopped"
    HandedBack = "handed_back"
    Crashed = "crashed"
    LostLease = "lost_lease"


class Attempt(Words):
    """One attempt of a task.

    ``worker`` is the worker's name; None once the worker is forgotten (a week after it left), or if a client without a
    worker holds the task. ``error`` is the error message, ``error_code`` its kind, and ``provider_code`` the provider's
    own name for it. ``by_hand``: the attempt was started by a manual retry, or by a create with the same id.
    """

    number: int
    outcome: AttemptOutcome
    started_at: datetime
    ended_at: datetime | None = None
    worker_id: str | None = None
    worker: str | None = None
    error: str | None = None
    error_code: str | None = None
    provider_code: str | None = None
    by_hand: bool = False
