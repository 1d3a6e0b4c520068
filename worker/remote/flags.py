"""Hints within the process: flags to await, and listeners for changed tasks. Used on the platform's event loop."""

import asyncio
from collections.abc import Callable, Collection

from worker.contracts.waiting import within

WORK, DELIVERIES, NUDGE = "work", "deliveries", "nudge"

Wake = Callable[[Collection[str]], None]


class Flags:
    """A set of flags, and the listeners for changed tasks."""

    def __init__(self) -> None:
        self._flags = {name: asyncio.Event() for name in (WORK, DELIVERIES, NUDGE)}
        self._listeners: list[Wake] = []

    def lower(self, flag: str) -> None:
        """Clear a flag. Call this before polling, so that a hint that arrives during the poll is not lost."""
        self._flags[flag].clear()

    def wake(self, *flags: str) -> None:
        """Raise flags, which wakes their waiters."""
        for flag in flags:
            self._flags[flag].set()

    async def flagged(self, flag: str, seconds: float) -> None:
        """Wait for a flag, for at most ``seconds``."""
        await within(self._flags[flag], seconds)

    def listen(self, wake: Wake) -> Callable[[], None]:
        """Register a listener for changed tasks; return a function that removes it."""
        self._listeners.append(wake)
        return lambda: self._listeners.remove(wake) if wake in self._listeners else None

    def changed(self, *task_ids: str) -> None:
        """Notify listeners of changed tasks. The exception of one listener is logged by the loop and stops no other."""
        for wake in tuple(self._listeners):
            try:
                wake(task_ids)
            except Exception as error:  # noqa: BLE001 - a listener may raise anything
                what = {"message": "a listener for changed tasks raised", "exception": error}
                asyncio.get_running_loop().call_exception_handler(what)
