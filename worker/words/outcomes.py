"""The ends of attempts, as values that the supervisor creates and the engine stores."""

from dataclasses import dataclass, field
from typing import Any

from worker.words.statuses import AgentExecutionStatus


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of an attempt that ends or pauses the task.

    Args:
        status: completed, error, failed, paused or stopped.
        changes: The values that the run set on the task: result, internal_status, tokens, used_tools and so on.
        taken: The number of messages to the task that its agents have read.
    """

    status: AgentExecutionStatus
    changes: dict[str, Any] = field(default_factory=dict[str, Any])
    taken: int = 0


@dataclass(frozen=True, slots=True)
class HandBack:
    """The end of an attempt after which the task is pending again.

    Args:
        delay: Seconds until the task may be claimed.
        error: The error message, if a try is charged; None means that nothing is charged (a drain).
        error_code: The kind of error, see ``ErrorCode``.
        provider_code: The provider's own name for the error.
        waits_for: The provider that is down. The task stays pending until a call there succeeds; ``error`` has the
            reason.
        waiting_for: A description of what the task chose to wait for, such as a time or a signal.
        heard: Set if the task waits for a signal, at most for ``delay``: the number of signals it has already received.
        awaits: The ids of the children it waits for, until all have ended or one has not completed.
    """

    delay: float = 0.0
    error: str | None = None
    error_code: str | None = None
    provider_code: str | None = None
    waits_for: str | None = None
    waiting_for: str | None = None
    heard: int | None = None
    awaits: tuple[str, ...] = ()
