"""The table of vectors, which is there only where the server has pgvector."""

from typing import TYPE_CHECKING, Any, LiteralString

from worker.words.errors import ModuleException
from worker.words.notices import PlatformTrouble, announce

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    from worker.engine.core import Core

MANY = 5_000  # passages, from which on an index answers sooner than a look at each of them
DIMENSIONS = 4_000  # that an index of halfvec takes
BUILD_SECONDS = 1_800.0
NO_VECTORS = "the database's server has no pgvector 0.7 or newer, or its role may not create it: words alone count"

# Half the precision takes half the room, and finds the same. Where it cannot be made, words alone count.
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


class Vectors:
    """Where pgvector is, if it is anywhere; asked once a process."""

    def __init__(self, core: "Core") -> None:
        self._core = core
        self._place: str | None = None
        self._asked = False

    async def place(self) -> str | None:
        """The schema of pgvector, as SQL writes it; none: there are no vectors here."""
        if not self._asked:
            rows = await self._core.read(_PLACE)
            self._place = '"' + rows[0]["place"].replace('"', '""') + '"' if rows else None
            self._asked = True
        return self._place

    async def index(self, base: int, dimensions: int) -> None:
        """Have many vectors of a knowledge base found by an index of its own; where that fails, each is looked at."""
        from psycopg import sql

        place = await self.place()
        if place is None or not dimensions or dimensions > DIMENSIONS:
            return
        (row,) = await self._core.rows(_STANDS, {"name": f"worker.{name_of(base)}", "base": base, "many": MANY})
        if row["is_valid"] or row["count"] < MANY:
            return
        if row["is_valid"] is False:  # it was being made when its maker died
            await self.forget(base)
        made = sql.SQL(
            "create index concurrently if not exists {name} on worker.knowledge_vectors using hnsw"
            " ((embedding::{place}.halfvec({size})) {place}.halfvec_cosine_ops) where base = {base}"
        ).format(
            name=sql.Identifier(name_of(base)),
            place=sql.SQL(place),  # pyright: ignore[reportArgumentType] - quoted above
            size=sql.Literal(dimensions),
            base=sql.Literal(base),
        )
        try:
            async with self._core.connection(BUILD_SECONDS) as connection:
                await connection.execute(made)
        except ModuleException as error:
            announce(PlatformTrouble(doing="indexing the vectors of a knowledge base", error=error, again_in=0.0))

    async def forget(self, base: int) -> None:
        """Drop the index of a knowledge base that is gone."""
        from psycopg import sql

        rows = await self._core.rows("select to_regclass(%s) as name", (f"worker.{name_of(base)}",))
        if rows[0]["name"] is None:
            return
        dropped = sql.SQL("drop index concurrently if exists worker.{}").format(sql.Identifier(name_of(base)))
        try:
            async with self._core.connection(BUILD_SECONDS) as connection:
                await connection.execute(dropped)
        except ModuleException as error:
            announce(PlatformTrouble(doing="dropping an index of vectors", error=error, again_in=0.0))


def name_of(base: int) -> str:
    """The name of the index of a knowledge base's vectors."""
    return f"knowledge_vectors_{base}"


async def set_up(connection: "AsyncConnection[Any]") -> None:
    """Make the table where that is possible; also later, once the server has pgvector."""
    await connection.execute(SET_UP)


def literal(vector: "tuple[float, ...] | list[float]") -> str:
    """A vector as pgvector reads it."""
    return "[" + ",".join(f"{each:.7g}" for each in vector) + "]"
