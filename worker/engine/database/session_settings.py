"""Connections that end what does not answer, and what each is told before it does anything else.

Whatever a role, a database or a server has set, a session of ours behaves the same.
"""

import asyncio
import os
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg

if TYPE_CHECKING:
    from psycopg.abc import PQGen

Answer = TypeVar("Answer")

ANSWER_SECONDS = 10.0  # that a server may take for one answer: what a client's call may take, too
GRACE_SECONDS = 0.5  # for what came while the loop was blocked


def cut(connection: "psycopg.AsyncConnection[Any] | psycopg.Connection[Any]") -> None:
    """Break a connection off, from any thread: whoever waits for its answer hears that it broke."""
    if connection.closed:
        return
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.pgconn.socket)) as end:
        end.shutdown(socket.SHUT_RDWR)


class AsyncSession(psycopg.AsyncConnection[Any]):
    """A connection on which no answer takes longer than it may.

    Attributes:
        answer_seconds: How long that is.
    """

    answer_seconds = ANSWER_SECONDS

    async def wait(self, gen: "PQGen[Answer]", *arguments: Any, **options: Any) -> Answer:
        """Wait for the server, as psycopg does, and break the connection off where it takes too long."""
        with _Limit(self, self.answer_seconds):
            return await super().wait(gen, *arguments, **options)


class _Limit:
    """Breaks a connection off after a while. A loop that was blocked gets a moment to see what has come meanwhile."""

    def __init__(self, connection: AsyncSession, seconds: float) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(seconds, self._look)

    def _look(self) -> None:
        self._timer = self._loop.call_later(GRACE_SECONDS, cut, self._connection)

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()


class Session(psycopg.Connection[Any]):
    """The same for a thread of its own."""

    answer_seconds = ANSWER_SECONDS / 2  # whoever keeps a lease cannot wait as long as a client

    def wait(self, gen: "PQGen[Answer]", *arguments: Any, **options: Any) -> Answer:
        """Wait for the server, as psycopg does, and break the connection off where it takes too long."""
        late = threading.Timer(self.answer_seconds, cut, (self,))
        late.daemon = True
        late.start()
        try:
            return super().wait(gen, *arguments, **options)
        finally:
            late.cancel()
