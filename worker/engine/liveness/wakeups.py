"""Wake-ups of the waiters of this process, all on one loop; other threads and processes reach them through hints."""

import asyncio
from collections.abc import Callable, Collection, Generator, Iterable
from contextlib import contextmanager
from secrets import token_hex

from worker.contracts.waiting import within
from worker.engine.commit.hints import DELIVERIES, KEYS, WORK

HINT_BYTES = 7900  # NOTIFY accepts 8,000


class Wakeups:
    """Wakes the waiters of one process.

    A wake-up is only a hint: waiters check for themselves when woken, and also poll.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.name = token_hex(4)  # marks our own hints, which have already woken waiters here
        self._waiting: dict[str, set[asyncio.Event]] = {WORK: set(), DELIVERIES: set(), KEYS: set()}
        self._raised = dict.fromkeys(self._waiting, 0)  # counters: each waiter compares with the value it saw
        self._watchers: dict[str, set[asyncio.Event]] = {}
        self._listeners: list[Callable[[Collection[str]], None]] = []

    def wake(self, flags: str, task_ids: Iterable[str] = (), disturbed: Collection[str] | None = None) -> None:
        """Wake, on the loop, those who wait for the flags or watch the tasks.

        Args:
            flags: The flags to raise.
            task_ids: Tasks that changed.
            disturbed: Tasks reported to listeners, which look for tasks taken from a run; a run's own writes cannot do
                that. None means all changed tasks.
        """
        for flag in flags:
            self._raised[flag] += 1
            for event in self._waiting[flag]:
                event.set()
        ids = list(task_ids)
        if self._watchers:
            for task_id in ids:
                for event in self._watchers.get(task_id, ()):
                    event.set()
        heard = ids if disturbed is None else list(disturbed)
        if heard:
            for listener in tuple(self._listeners):
                self._call(listener, heard)

    def _call(self, listener: Callable[[Collection[str]], None], ids: list[str]) -> None:
        """Call a listener; an exception that it raises must not end the writer."""
        try:
            listener(ids)
        except Exception as error:  # noqa: BLE001 - whatever it is, the loop's handler reports it
            self.loop.call_exception_handler({"message": "a listener of changed tasks raised", "exception": error})

    def hint(self, payload: str) -> None:
        """Process a notification, on any thread; anything that nobody here waits for stays off the loop."""
        sender, _, rest = payload.partition(";")
        if sender == self.name:
            return
        flags, _, rest = rest.partition(";")
        known = "".join(flag for flag in flags if flag in self._waiting)
        ids = [task_id for task_id in rest.split(",") if task_id in self._watchers or self._listeners]
        if known or ids:
            self.loop.call_soon_threadsafe(self.wake, known, ids)

    def wake_everyone(self) -> None:
        """Wake all waiters, from any thread, because hints may have been missed."""
        self.loop.call_soon_threadsafe(lambda: self.wake(WORK + DELIVERIES + KEYS, tuple(self._watchers)))

    async def flagged(self, flag: str, seconds: float, seen: int, event: asyncio.Event | None = None) -> bool:
        """Wait for a flag, at most the given seconds.

        Args:
            flag: The flag.
            seconds: The longest wait.
            seen: The value that ``seen`` returned before the last check.
            event: Another event that ends the wait; a raised flag sets it too.

        Returns:
            Whether the flag was raised or the event set.
        """
        if self._raised[flag] != seen:
            return True
        event = event or asyncio.Event()
        self._waiting[flag].add(event)
        try:
            return await within(event, seconds)
        finally:
            self._waiting[flag].discard(event)

    def seen(self, flag: str) -> int:
        """Return a mark to take before a check: if the flag's mark differs later, there is something newer."""
        return self._raised[flag]

    @contextmanager
    def watch(self, task_id: str) -> Generator[asyncio.Event]:
        """Yield an event that is set whenever a task may have changed."""
        event = asyncio.Event()
        self._watchers.setdefault(task_id, set()).add(event)
        try:
            yield event
        finally:
            self._watchers[task_id].discard(event)
            if not self._watchers[task_id]:
                del self._watchers[task_id]

    def watches(self, task_ids: Iterable[str]) -> bool:
        """Return whether any of these tasks is watched."""
        return not self._watchers.keys().isdisjoint(task_ids)

    def listen(self, listener: Callable[[Collection[str]], None]) -> Callable[[], None]:
        """Register a function to be called with ids of changed tasks, and return a function that removes it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None


def hint(sender: str, flags: str, task_ids: Collection[str]) -> str:
    """Return a hint's payload: sender, flags and as many ids as fit; watchers of the others rely on polling."""
    text = f"{sender};{flags};{','.join(task_ids)}"
    return text if len(text) <= HINT_BYTES else text[:HINT_BYTES].rpartition(",")[0]
