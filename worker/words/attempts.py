"""A task's attempts: who ran it when, and how each of them ended."""

from datetime import datetime
from enum import StrEnum

from worker.words.records import Words


class AttemptOutcome(StrEnum):
    """How an attempt ended.

    ``Error``: the handler or agent raised; another attempt may have followed. ``HandedBack``: its worker left, and it
    goes on elsewhere. ``Crashed``: the process that ran it died. ``LostLease``: its worker gave no sign of life for
    too long, and may be alive all the same.
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

    ``worker`` is its worker's name, none where it is forgotten (a week after it has left) or where somebody without a
    worker holds the task. ``error`` is the message of what went wrong, ``error_code`` the same in one word, and
    ``provider_code`` what the provider calls it. ``by_hand``: a retry by hand began it, or a
    create under the same id.
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
