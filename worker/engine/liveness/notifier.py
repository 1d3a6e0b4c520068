"""Sends hints about commits to other processes by NOTIFY, without ever delaying the writer.

One hint is sent at a time; those that arrive meanwhile are joined into the next. A hint may be lost, so waiters poll.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context

from worker.engine.liveness.wakeups import hint
from worker.words.errors import ModuleException

TURNS = 3  # of the event loop, before a hint is sent about tasks that have waiters in this process


class Notifier:
    """Sends hints, joining those that arrive while one is being sent.

    Args:
        sender: The name by which this process recognizes its own hints.
        notify: Sends one payload.
    """

    def __init__(self, sender: str, notify: Callable[[str], Awaitable[None]]) -> None:
        self._sender = sender
        self._notify = notify
        self._flags = ""
        self._ids: dict[str, None] = {}
        self._task: asyncio.Task[None] | None = None

    def send(self, flags: str, task_ids: list[str], *, has_waiters: bool) -> None:
        """Send a hint soon.

        Args:
            flags: The hint's flags.
            task_ids: Tasks that changed.
            has_waiters: Whether one of them has waiters in this process, which go first.
        """
        self._flags = "".join(sorted({*self._flags, *flags}))
        self._ids.update(dict.fromkeys(task_ids))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._send(TURNS if has_waiters else 0), name="hints", context=Context())

    async def close(self) -> None:
        """Wait until the remaining hints are sent."""
        if self._task is not None:
            await self._task

    async def _send(self, turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        while self._flags or self._ids:
            payload = hint(self._sender, self._flags, self._ids)
            self._flags, self._ids = "", {}
            try:
                await self._notify(payload)
            except ModuleException:
                return  # the database is unavailable; all waiters check again when it is back
