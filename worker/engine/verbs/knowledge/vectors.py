"""The table of vectors, which exists only if the server has pgvector."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, LiteralString, cast

from worker.background import in_background
from worker.engine.database.connections import connect, errors
from worker.words.errors import ModuleException
from worker.words.notices import PlatformTrouble, announce

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    from worker.engine.core import Core
    from worker.engine.database.session_settings import AsyncSession

MANY = 5_000  # passages, from which on an index is faster than comparing each of them
DIMENSIONS = 4_000  # the most that an index of halfvec supports
BUILD_SECONDS = 1_800.0
NO_VECTORS = "the database lacks pgvector 0.7 or newer, or its role cannot create it: search matches words only"

# Half precision takes half the space, and finds the same. If the table cannot be created, only words are searched.
SET_UP: LiteralString = """
    do $$
    declare place text;
    begin
        if to_regclass('worker.knowledge_vectors') is not null or to_regclass('worker.knowledge_chunks') is null
           or not exists (select from pg_available_extensions where name = 'vector') then
            return;
        end if;
        create extension if not exists vector;
        select n.nspname into place from pg_extension e join pg_namespace n on n.oid = e.extnamespace
         where e.extname = 'vector';
        execute format(
            'create table worker.knowledge_vectors (
                base integer not null, edition bigint not null, number integer not null, embedding %I.halfvec not null,
                primary key (base, edition, number)
            )', place);
    exception when others then
        raise notice 'knowledge bases are searched by words alone: %', sqlerrm;
    end
    $$
"""

_PLACE = """
    select n.nspname as place from pg_extension e join pg_namespace n on n.oid = e.extnamespace
    where e.extname = 'vector' and to_regclass('worker.knowledge_vectors') is not null
"""

_STANDS = """
    select (select indisvalid from pg_index where indexrelid = to_regclass(%(name)s)) as is_valid, count(*) as count
    from (select from worker.knowledge_vectors where base = %(base)s limit %(many)s) x
"""

# An index of 100,000 vectors takes minutes, waits for earlier transactions, and needs its graph in memory; with
# parallel workers that would be shared memory, of which a container has little.
_SESSION = """
    select set_config('statement_timeout', '0', false), set_config('lock_timeout', '0', false),
           set_config('max_parallel_maintenance_workers', '0', false),
           set_config('maintenance_work_mem', '256MB', false)
"""

_LOCK = "select pg_try_advisory_lock(1802396782, %s)"  # "know", and the base


class Vectors:
    """Access to pgvector, if the server has it, and the indexes of vectors."""

    def __init__(self, core: "Core") -> None:
        self._core = core
        self._place: str | None = None
        self._asked = False
        self._making: set[asyncio.Task[None]] = set()

    async def place(self) -> str | None:
        """Return the schema of pgvector, quoted for SQL; None if there are no vectors. The answer is cached."""
        if not self._asked:
            rows = await self._core.read(_PLACE)
            self._place = '"' + rows[0]["place"].replace('"', '""') + '"' if rows else None
            self._asked = True
        return self._place

    def index(self, base: int, dimensions: int) -> None:
        """Create an index for a knowledge base with many vectors, in the background."""
        if 0 < dimensions <= DIMENSIONS:
            self._begin(self._index(base, dimensions))

    def forget(self, base: int) -> None:
        """Drop the index of a deleted knowledge base, in the background."""
        self._begin(self._forget(base))

    async def idle(self) -> None:
        """Wait until no index is being created or dropped."""
        while self._making:
            await asyncio.wait(self._making)

    def _begin(self, making: Coroutine[Any, Any, None]) -> None:
        in_background(making, self._making, "index of vectors")

    async def _index(self, base: int, dimensions: int) -> None:
        from psycopg import sql

        place = await self.place()
        asked = {"name": f"worker.{name_of(base)}", "base": base, "many": MANY}
        if place is None or (await self._core.read(_STANDS, asked))[0]["count"] < MANY:
            return
        made = sql.SQL(
            "create index concurrently {name} on worker.knowledge_vectors using hnsw"
            " ((embedding::{place}.halfvec({size})) {place}.halfvec_cosine_ops) where base = {base}"
        ).format(
            name=sql.Identifier(name_of(base)),
            place=sql.SQL(place),  # pyright: ignore[reportArgumentType] - quoted above
            size=sql.Literal(dimensions),
            base=sql.Literal(base),
        )
        async with self._alone(base, "indexing the vectors of a knowledge base") as connection:
            if connection is None:
                return
            row = await (await connection.execute(_STANDS, asked)).fetchone()
            if row is None or row[0]:
                return
            if row[0] is False:  # a process died while creating it
                await connection.execute(_dropping(base))
            await connection.execute(made)

    async def _forget(self, base: int) -> None:
        async with self._alone(base, "dropping an index of vectors") as connection:
            if connection is not None:
                await connection.execute(_dropping(base))

    @asynccontextmanager
    async def _alone(self, base: int, doing: str) -> "AsyncGenerator[AsyncConnection[Any] | None]":
        """Yield a connection of its own with a knowledge base's lock; None if another process is working on its index.

        The work takes minutes, and the process has few connections. If it fails, all vectors of the base are compared.
        """
        try:
            connection = cast("AsyncSession", await connect(self._core.url, pooled=self._core.pooled))
            connection.answer_seconds = BUILD_SECONDS
            try:
                with errors():
                    await connection.execute(_SESSION)
                    row = await (await connection.execute(_LOCK, (base,))).fetchone()
                    yield connection if row is not None and row[0] else None
            finally:
                await connection.close()
        except ModuleException as error:
            announce(PlatformTrouble(doing=doing, error=error))


def _dropping(base: int) -> Any:
    from psycopg import sql

    return sql.SQL("drop index concurrently if exists worker.{}").format(sql.Identifier(name_of(base)))


def name_of(base: int) -> str:
    """Return the name of the index of a knowledge base's vectors."""
    return f"knowledge_vectors_{base}"


async def set_up(connection: "AsyncConnection[Any]") -> None:
    """Create the table if possible; a later call does so once the server has pgvector."""
    await connection.execute(SET_UP)


def literal(vector: "tuple[float, ...] | list[float]") -> str:
    """Return a vector as a pgvector literal."""
    return "[" + ",".join(f"{each:.7g}" for each in vector) + "]"
