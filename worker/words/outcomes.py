"""How an attempt ended: a value, which the engine stores and the supervisor decides on."""

from dataclasses import dataclass, field
from typing import Any

from worker.words.statuses import AgentExecutionStatus


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of an attempt that ends the task (or pauses it).

    Args:
        status: completed, error, failed, paused or stopped.
        changes: What the run set on the task: result, internal_status, tokens, used_tools and the like.
        taken: How many of the messages that the task was sent its agents have read.
    """

    status: AgentExecutionStatus
    changes: dict[str, Any] = field(default_factory=dict[str, Any])
    taken: int = 0


@dataclass(frozen=True, slots=True)
class HandBack:
    """The end of an attempt after which the task is pending again.

    Args:
        delay: Seconds until it may be claimed.
        error: What went wrong, where a try is charged for it; None means nothing is charged (a drain).
        error_code: The same in one word, see ``ErrorCode``.
        provider_code: What the provider itself calls it.
        waits_for: The provider that is away: it is pending until somebody has been answered there; ``error`` says why.
        waiting_for: What it waits for by its own wish, in words, such as a time or a signal.
        heard: It waits for a signal, at the most for ``delay``: how many it has heard before.
        awaits: It waits for its children of these ids: until all have ended, or one has not ended well.
    """

    delay: float = 0.0
    error: str | None = None
    error_code: str | None = None
    provider_code: str | None = None
    waits_for: str | None = None
    waiting_for: str | None = None
    heard: int | None = None
    awaits: tuple[str, ...] = ()
