"""Migrations: numbered SQL files, each applied once, under an advisory lock, in one transaction a file."""

from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from psycopg import AsyncConnection

MIGRATION_LOCK = (0x776F726B, 0)  # "work", 0: session locks of workers use their own number as the second half

_PREPARE = """
    create schema if not exists worker;
    create table if not exists worker.migrations (
        name text primary key, applied_at timestamptz not null default now()
    )
"""


def names() -> list[str]:
    """Every migration that this version knows, in order."""
    folder = resources.files("worker.engine") / "migrations"
    return sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))


def text(name: str) -> str:
    """The SQL of a migration."""
    return (resources.files("worker.engine") / "migrations" / name).read_text(encoding="utf-8")


async def pending(connection: "AsyncConnection") -> list[str]:
    """Migrations that the database lacks; changes nothing."""
    there = await (await connection.execute("select to_regclass('worker.migrations')")).fetchone()
    if there is None or there[0] is None:
        return names()
    applied = {row[0] for row in await (await connection.execute("select name from worker.migrations")).fetchall()}
    return [name for name in names() if name not in applied]


async def migrate(connection: "AsyncConnection") -> list[str]:
    """Bring the schema up to date. Safe to run twice and by many at once: they wait for one another.

    Args:
        connection: In autocommit mode.

    Returns:
        The names of what was applied.
    """
    await connection.execute("select pg_advisory_lock(%s, %s)", MIGRATION_LOCK)
    try:
        wanted = await pending(connection)
        for name in wanted:
            async with connection.transaction():
                await connection.execute(_PREPARE)
                await connection.execute(text(name).encode())
                await connection.execute("insert into worker.migrations (name) values (%s)", (name,))
    finally:
        await connection.execute("select pg_advisory_unlock(%s, %s)", MIGRATION_LOCK)
    return wanted
