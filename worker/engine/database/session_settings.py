"""Connections with a time limit for each answer of the server."""

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

ANSWER_SECONDS = 10.0  # for one answer of the server; the limit of a client's call, too
GRACE_SECONDS = 0.5  # to read an answer that arrived while the loop was blocked


def cut(connection: "psycopg.AsyncConnection[Any] | psycopg.Connection[Any]") -> None:
    """Break a connection off, from any thread; a caller that waits for an answer gets an error."""
    if connection.closed:
        return
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.pgconn.socket)) as end:
        end.shutdown(socket.SHUT_RDWR)


class AsyncSession(psycopg.AsyncConnection[Any]):
    """A connection on which no answer takes longer than its time limit.

    Attributes:
        answer_seconds: The time limit.
    """

    answer_seconds = ANSWER_SECONDS

    async def wait(self, gen: "PQGen[Answer]", *arguments: Any, **options: Any) -> Answer:
        """Wait for the server, as psycopg does, and break the connection off if it takes too long."""
        with _Limit(self, self.answer_seconds):
            try:
                return await super().wait(gen, *arguments, **options)
            except OSError as error:  # the system refuses to watch the socket: code of this process has closed it
                raise psycopg.OperationalError(f"the connection's socket is unusable: {error}") from error


class _Limit:
    """Breaks a connection off after a while, plus a grace period in which a blocked loop can read the answer."""

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
    """A blocking connection with a time limit for each answer, for a thread of its own."""

    answer_seconds = ANSWER_SECONDS / 2  # the thread that keeps a lease cannot wait as long as a client

    def wait(self, gen: "PQGen[Answer]", *arguments: Any, **options: Any) -> Answer:
        """Wait for the server, as psycopg does, and break the connection off if it takes too long."""
        late = threading.Timer(self.answer_seconds, cut, (self,))
        late.daemon = True
        late.start()
        try:
            return super().wait(gen, *arguments, **options)
        finally:
            late.cancel()
