"""Searches that no index supports: one at a time per process, on a connection of their own, within a time limit.

This way a search takes nothing from claims, writes and indexed reads.
"""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from worker.engine.database.connections import connect, errors, lasting
from worker.engine.database.vault import Vault
from worker.words.errors import Unavailable, ValidationError

if TYPE_CHECKING:
    from psycopg import AsyncConnection

TURN_SECONDS = 5.0  # to wait for earlier searches


class Crowded(Unavailable):
    """Other searches are running; an immediate retry would only add to them."""


class Searches:
    """The searches of a process.

    Args:
        url: The database.
        vault: Opens sealed values.
        seconds: The limit of a search.
    """

    def __init__(self, url: str, vault: Vault, seconds: float) -> None:
        self._url = url
        self._vault = vault
        self._seconds = seconds
        self._turn = asyncio.Lock()

    async def rows(self, sql: Any, parameters: Mapping[str, Any], *, pooled: bool) -> list[dict[str, Any]]:
        """Run a search, and return its rows as dicts.

        Args:
            sql: The statement, which changes nothing.
            parameters: Its parameters.
            pooled: Whether connections go through a transaction pooler.

        Raises:
            ValidationError: The search takes longer than its limit.
            Unavailable: Other searches are running, or the database cannot be reached.
        """
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await self._turn.acquire()
        except TimeoutError:
            raise Crowded(
                "the database is busy with other searches; try again later", retry_after=TURN_SECONDS
            ) from None
        try:
            async with lasting(await connect(self._url, pooled=pooled, vault=self._vault)) as connection:
                return await _limited(connection, sql, parameters, self._seconds)
        finally:
            self._turn.release()


async def _limited(
    connection: "AsyncConnection[Any]", sql: Any, parameters: Mapping[str, Any], seconds: float
) -> list[dict[str, Any]]:
    from psycopg.errors import QueryCanceled
    from psycopg.rows import dict_row

    try:
        with errors():
            async with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
                limit = str(round(seconds * 1000))
                await cursor.execute("select set_config('statement_timeout', %s, true)", (limit,))
                await cursor.execute(sql, parameters)
                return await cursor.fetchall()
    except Unavailable as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise ValidationError(
                f"the search takes longer than {seconds:g} seconds: add a filter for the agent, status or time",
                field="text",
            ) from None
        raise
