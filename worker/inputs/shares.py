"""How much each file of a task may hold, so that all together stay within the task's limit."""

import asyncio


class Shares:
    """Hands out shares in the order of the files, so that who exceeds the limit does not depend on who was fast.

    A file starts beside earlier ones only if all of them may turn out as large as a file can be; otherwise it waits
    until they are done, and then gets what is left.
    """

    def __init__(self, file_bytes: int, task_bytes: int) -> None:
        """Share out `task_bytes`, at most `file_bytes` each."""
        self._file_bytes = file_bytes
        self._task_bytes = task_bytes
        self._used = 0
        self._reading = 0
        self._one_done = asyncio.Event()

    async def next(self) -> int:
        """Wait for the next file's turn; returns how many bytes it may hold."""
        while self._reading and self._left() < self._file_bytes:
            self._one_done.clear()
            await self._one_done.wait()
        share = min(self._file_bytes, self._left())
        self._reading += 1
        return share

    def done(self, size: int) -> None:
        """Record that a file turned out to hold `size` bytes; 0 if it could not be read."""
        self._reading -= 1
        self._used += size
        self._one_done.set()

    def _left(self) -> int:
        return self._task_bytes - self._used - self._reading * self._file_bytes
