"""Hints within the process: flags to wait for, and who wants to hear of changed tasks. All on the platform's loop."""

import asyncio
from collections.abc import Callable, Collection

from worker.contracts.waiting import within

WORK, DELIVERIES, NUDGE = "work", "deliveries", "nudge"

Wake = Callable[[Collection[str]], None]


class Flags:
    """Flags and listeners."""

    def __init__(self) -> None:
        self._flags = {name: asyncio.Event() for name in (WORK, DELIVERIES, NUDGE)}
        self._listeners: list[Wake] = []

    def lower(self, flag: str) -> None:
        """Forget hints so far; call it before looking, so that a hint that comes while one looks is not lost."""
        self._flags[flag].clear()

    def wake(self, *flags: str) -> None:
        """Raise flags."""
        for flag in flags:
            self._flags[flag].set()

    async def flagged(self, flag: str, seconds: float) -> None:
        """Wait for a flag, at most so long."""
        await within(self._flags[flag], seconds)

    def listen(self, wake: Wake) -> Callable[[], None]:
        """Hear of changed tasks; returns the way to end it."""
        self._listeners.append(wake)
        return lambda: self._listeners.remove(wake) if wake in self._listeners else None

    def changed(self, *task_ids: str) -> None:
        """Tell of changed tasks; a listener that raises is the loop's to report, and stops nobody."""
        for wake in tuple(self._listeners):
            try:
                wake(task_ids)
            except Exception as error:  # noqa: BLE001 - whatever a listener raises
                what = {"message": "a listener for changed tasks raised", "exception": error}
                asyncio.get_running_loop().call_exception_handler(what)
