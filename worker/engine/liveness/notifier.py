"""Tells other processes what was committed, by NOTIFY, beside the writer and never in its way.

One hint is under way at a time; what comes meanwhile goes out together as the next. A hint may be lost: whoever waits
looks by himself in time.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context

from worker.engine.liveness.wakeups import hint
from worker.words.errors import ModuleException

TURNS = 3  # of the loop, before a hint is sent for whose tasks somebody waits in this very process


class Notifier:
    """Sends hints, joined while one is under way.

    Args:
        sender: The name by which this process knows its own hints.
        notify: Sends one payload.
    """

    def __init__(self, sender: str, notify: Callable[[str], Awaitable[None]]) -> None:
        self._sender = sender
        self._notify = notify
        self._flags = ""
        self._ids: dict[str, None] = {}
        self._task: asyncio.Task[None] | None = None

    def tell(self, flags: str, task_ids: list[str], *, has_waiters: bool) -> None:
        """Have a hint sent.

        Args:
            flags: Of the hint.
            task_ids: Tasks that changed.
            has_waiters: Somebody in this process waits for one of them, and goes first.
        """
        self._flags = "".join(sorted({*self._flags, *flags}))
        self._ids.update(dict.fromkeys(task_ids))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._send(TURNS if has_waiters else 0), name="hints", context=Context())

    async def close(self) -> None:
        """Send what is left."""
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
                return  # the database is away; everybody looks anew when it is back
