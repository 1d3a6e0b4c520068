"""How parts of the engine ask the database and say what changed, without knowing who holds its connections."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, LiteralString, Protocol

if TYPE_CHECKING:
    from psycopg import AsyncConnection


class DatabaseAccess(Protocol):
    """One process's way to the database."""

    def connection(self, seconds: float | None = None) -> "AbstractAsyncContextManager[AsyncConnection[Any]]":
        """Borrow a connection in autocommit mode. Raises: Unavailable, ConfigurationError."""
        ...

    async def rows(
        self, sql: LiteralString, parameters: Sequence[Any] | Mapping[str, Any] = (), *, seconds: float | None = None
    ) -> list[dict[str, Any]]:
        """Run one statement in a transaction of its own and fetch what it answers. Raises: Unavailable."""
        ...

    async def read(
        self,
        sql: LiteralString,
        parameters: Sequence[Any] | Mapping[str, Any] = (),
        *,
        patient: bool = False,
        seconds: float | None = None,
    ) -> list[dict[str, Any]]:
        """Fetch what a statement answers that may be carried out twice. Raises: Unavailable."""
        ...

    async def by_index(self, sql: LiteralString, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> int:
        """Change the few rows of a large table that a statement finds by an index; how many. Raises: Unavailable."""
        ...

    def tell(self, flags: str, task_ids: list[str], disturbed: list[str] | None = None) -> None:
        """Wake those who wait here, and hint to other processes."""
        ...
