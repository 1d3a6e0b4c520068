"""Notices about user code that affects the event loop and the thread it shares with the worker."""

from dataclasses import dataclass

from worker.words.notices import Notice


@dataclass(frozen=True, slots=True)
class LoopNotice(Notice):
    """An event of the loop, with the run whose code was running, if known."""

    task_id: str | None
    agent_id: str | None
    attempt: int | None
    handler: str | None


@dataclass(frozen=True, slots=True)
class LoopHeld(LoopNotice):
    """Code has held the event loop for a quarter of a second. The stack shows the code."""

    stack: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LoopBlocked(LoopNotice):
    """A handler blocks the event loop, and with it the rest of the process; the leases are renewed regardless.

    ``stack`` has the innermost lines of the running code, innermost first.
    """

    seconds: float
    stack: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LoopBroken(Notice):
    """Code has broken the event loop: the process ends immediately, and other workers take over its tasks."""

    why: str
    task_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LimitsLowered(Notice):
    """A handler had lowered limits of the whole process (``RLIMIT_NOFILE``, recursion), which were raised again."""

    limits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PartsReplaced(Notice):
    """A handler had replaced or removed parts of Python with which nothing works; they were put back."""

    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SignalHandlerFailed(Notice):
    """A user's signal handler raised an error outside of a task's code, so that it was only logged."""

    signal: str
    error: BaseException


@dataclass(frozen=True, slots=True)
class LoopFreed(LoopNotice):
    """The event loop runs again after being blocked for this many seconds."""

    seconds: float
