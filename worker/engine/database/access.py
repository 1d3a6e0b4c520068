"""The interface through which parts of the engine use the database, without knowing who holds its connections."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, LiteralString, Protocol

if TYPE_CHECKING:
    from psycopg import AsyncConnection


class DatabaseAccess(Protocol):
    """One process's access to the database."""

    def connection(self, seconds: float | None = None) -> "AbstractAsyncContextManager[AsyncConnection[Any]]":
        """Borrow a connection in autocommit mode."""
        ...

    async def rows(
        self, sql: LiteralString, parameters: Sequence[Any] | Mapping[str, Any] = (), *, seconds: float | None = None
    ) -> list[dict[str, Any]]:
        """Run one statement in its own transaction, and return its rows."""
        ...

    async def read(
        self,
        sql: LiteralString,
        parameters: Sequence[Any] | Mapping[str, Any] = (),
        *,
        patient: bool = False,
        seconds: float | None = None,
    ) -> list[dict[str, Any]]:
        """Return the rows of a statement that may run twice."""
        ...

    async def by_index(self, sql: LiteralString, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> int:
        """Run a statement on a few rows of a large table, forcing it to use an index, and return their number."""
        ...

    def announce(self, flags: str, task_ids: list[str], disturbed: list[str] | None = None) -> None:
        """Wake waiters in this process, and send a hint to other processes."""
        ...
