"""Time limits for callers of the database, whatever state the database is in.

A statement that takes longer is abandoned, and its connection is cut off unless it ends soon: an orderly cancellation
would have to wait for the very server that does not answer.
"""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from worker.contracts import bounds
from worker.words.errors import Unavailable

if TYPE_CHECKING:
    from psycopg import AsyncConnection

ANSWER = "answer_seconds"  # the attribute of a session

Answer = TypeVar("Answer")


def timeout_error() -> Unavailable:
    """Return the error for a call whose time is up."""
    return Unavailable(f"the database has not responded for {bounds.CALL_SECONDS:g} s", retry_after=5)


class StatementBounds:
    """The running statements, each with its connection, and the abandoned ones.

    Args:
        cancel: Seconds for the orderly cancellation of a statement, after which its connection is cut.
    """

    def __init__(self, cancel: float) -> None:
        self._cancel = cancel
        self._used: dict[asyncio.Task[Any] | None, AsyncConnection[Any]] = {}
        self._left: set[asyncio.Task[Any]] = set()

    @contextmanager
    def using(self, connection: "AsyncConnection[Any]", seconds: float | None = None) -> Generator[None]:
        """Record the connection of the current task, and the time limit of its answers if it is not ten seconds."""
        task = asyncio.current_task()
        self._used[task] = connection
        if seconds is not None:
            setattr(connection, ANSWER, seconds)
        try:
            yield
        finally:
            self._used.pop(task, None)
            if seconds is not None:
                delattr(connection, ANSWER)

    async def within(self, ask: Callable[[], Awaitable[Answer]], seconds: float) -> Answer:
        """Wait for an answer at most the given seconds; raise Unavailable if it takes longer."""
        if seconds <= 0:
            raise timeout_error()

        async def asked() -> Answer:
            return await ask()

        task = asyncio.create_task(asked(), name="a statement")
        try:
            await asyncio.wait({task}, timeout=seconds)
        except asyncio.CancelledError:
            self._leave(task)
            raise
        if not task.done():
            self._leave(task)
            raise timeout_error()
        return task.result()

    def _leave(self, task: asyncio.Task[Any]) -> None:
        self._left.add(task)
        task.add_done_callback(self._ended)
        task.cancel()
        asyncio.get_running_loop().call_later(self._cancel, self._break_off, task)

    def _break_off(self, task: asyncio.Task[Any]) -> None:
        from worker.engine.database.session_settings import cut

        connection = self._used.get(task)
        if connection is not None and task in self._left:
            cut(connection)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._left.discard(task)
        if not task.cancelled():
            task.exception()  # mark it as retrieved, since nobody waits for it any longer

    async def settled(self, seconds: float) -> None:
        """Wait for abandoned statements to end, at most the given seconds."""
        if self._left:
            await asyncio.wait(set(self._left), timeout=seconds)
