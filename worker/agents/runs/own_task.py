"""The task that a run is made in, and whether it was cancelled."""

import asyncio
import sys
from collections.abc import Iterator
from typing import Any


class OwnTask:
    """The current task.

    A scope within it (anyio's) cancels it, too, and takes that back as it is left: a client that tries several
    addresses of a server leaves the slower attempts that way. Meanwhile the run goes on, and what goes on beside it.
    """

    def __init__(self) -> None:
        self._task = asyncio.current_task()
        self._before = self._cancels()  # that are not meant for the run
        self._around = [*self._scopes()]

    def is_(self, task: "asyncio.Task[Any] | None") -> bool:
        """Whether it is this one."""
        return task is self._task

    @property
    def is_cancelled(self) -> bool:
        """Whether it has been cancelled since, be it that the cancel was swallowed."""
        if self._cancels() <= self._before:
            return False
        return not any(each.cancel_called for each in self._scopes() if each not in self._around)

    def _cancels(self) -> int:
        return self._task.cancelling() if self._task is not None else 0

    def _scopes(self) -> Iterator[Any]:
        """Those it is in, the innermost first; anyio itself tells them only to who is in the task."""
        states: Any = getattr(sys.modules.get("anyio._backends._asyncio"), "_task_states", {})
        scope = getattr(states.get(self._task), "cancel_scope", None) if self._task is not None else None
        while scope is not None:
            yield scope
            scope = getattr(scope, "_parent_scope", None)
