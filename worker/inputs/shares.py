"""The division of a task's size limit among its files."""

import asyncio


class Shares:
    """Grants sizes in the order of the files, so that download speed does not decide which file exceeds the limit.

    A file is read concurrently with earlier ones only if all of them could have the maximum size. Otherwise it waits
    until they are done, and gets the remainder.
    """

    def __init__(self, file_bytes: int, task_bytes: int) -> None:
        """Divide ``task_bytes``, at most ``file_bytes`` per file."""
        self._file_bytes = file_bytes
        self._task_bytes = task_bytes
        self._used = 0
        self._reading = 0
        self._one_done = asyncio.Event()

    async def next(self) -> int:
        """Wait for the next file's turn, and return its maximum size in bytes."""
        while self._reading and self._left() < self._file_bytes:
            self._one_done.clear()
            await self._one_done.wait()
        share = min(self._file_bytes, self._left())
        self._reading += 1
        return share

    def done(self, size: int) -> None:
        """Record the final size of a file; 0 if it could not be read."""
        self._reading -= 1
        self._used += size
        self._one_done.set()

    def _left(self) -> int:
        return self._task_bytes - self._used - self._reading * self._file_bytes
