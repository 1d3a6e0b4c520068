"""What a handler may know of its attempt."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from worker.current import Run, Stopping
from worker.face import steps
from worker.words.events import TaskUpdateEvent

if TYPE_CHECKING:
    import structlog


@dataclass
class Context:
    """The attempt that a handler works in; ask for it by a parameter named ``context``.

    Args:
        run: The attempt.
        event: The event that the handler was called for; none where it does the work of the task itself.
    """

    run: Run = field(repr=False)
    event: TaskUpdateEvent | None = None

    @property
    def task_id(self) -> str:
        """The task."""
        return self.run.task_id

    @property
    def agent_id(self) -> str:
        """The agent that the task is for."""
        return self.run.agent_id

    @property
    def attempt(self) -> int | None:
        """The number of this attempt, the first is 1; none for a handler of another event, which owns no task."""
        return self.run.attempt

    @property
    def deadline(self) -> float | None:
        """When the time limit ends this run, on ``time.monotonic()``; none: no limit."""
        return self.run.deadline

    @property
    def remaining(self) -> float | None:
        """Seconds until the time limit, at least 0; none: no limit."""
        return None if self.run.deadline is None else max(0.0, self.run.deadline - time.monotonic())

    @property
    def stopping(self) -> Stopping:
        """True when the run should end: the task was stopped, its time is up, or the worker leaves.

        A handler in a thread asks it now and then; ``context.stopping.wait(seconds)`` sleeps until it is so.
        """
        return self.run.stopping

    async def step(self, name: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Do a step of the handler once: a later attempt gets its result without doing it again.

        The same name again is another step, counted in the order of the calls. A step that raises is not kept, nor is
        one that a crash cut off: then ``idempotency_key()`` within the function is the same as before.

        Args:
            name: What the step is called, for the journal.
            function: Async, or not: then it runs in a thread.
            *arguments: What it is called with. They play no part in whether its result is found again.

        Returns:
            What the function answered, as JSON gives it back, in the form that its return annotation says: a model
            comes as that model, a date as a date. Without an annotation a tuple comes as a list.

        Raises:
            ValidationError: The function answered what JSON has no form for, or says that it will: then it was not
                called.
            LeaseLost: The attempt owns its task no longer.
        """
        return await steps.step(self.run, name, function, arguments)

    def step_sync(self, name: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Do a step, as ``step`` does, and block this thread until it is done."""
        return steps.step_sync(self.run, name, function, arguments)

    @cached_property
    def logger(self) -> "structlog.stdlib.BoundLogger":
        """A structlog logger that names task, agent and attempt in every line."""
        import structlog

        bound: dict[str, Any] = {"task": self.task_id, "agent": self.agent_id, "attempt": self.attempt}
        return structlog.stdlib.get_logger("worker.handler").bind(**bound)
