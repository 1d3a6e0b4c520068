"""The asyncio task of a run, and whether it was cancelled."""

import asyncio
import sys
from collections.abc import Iterator
from typing import Any


class OwnTask:
    """The current asyncio task.

    A cancel scope of anyio within the task cancels it, too, and withdraws the cancellation when the scope exits: a
    client that tries several addresses of a server abandons the slower attempts this way. The run and its concurrent
    work continue meanwhile.
    """

    def __init__(self) -> None:
        self._task = asyncio.current_task()
        self._before = 0 if self._task is None else self._task.cancelling()  # earlier ones do not concern the run
        self._around = [*self._scopes()]

    def is_(self, task: "asyncio.Task[Any] | None") -> bool:
        """Return whether a task is this one."""
        return task is self._task

    @property
    def is_cancelled(self) -> bool:
        """Whether the task has been cancelled since, even if the cancellation was swallowed."""
        if self._task is None or self._task.cancelling() <= self._before:
            return False
        return not any(each.cancel_called for each in self._scopes() if each not in self._around)

    def _scopes(self) -> Iterator[Any]:
        """Yield the task's cancel scopes, innermost first; anyio's own API shows them only inside the task."""
        states: Any = getattr(sys.modules.get("anyio._backends._asyncio"), "_task_states", {})
        scope = getattr(states.get(self._task), "cancel_scope", None) if self._task is not None else None
        while scope is not None:
            yield scope
            scope = getattr(scope, "_parent_scope", None)
