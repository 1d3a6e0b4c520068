"""Migrations: numbered SQL files, each applied once, under an advisory lock and in its own transaction."""

import asyncio
import time
from importlib import resources
from typing import TYPE_CHECKING

from worker.engine.timings import DEFAULT, EngineTimings
from worker.words.errors import Unavailable

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
    """Return the names of all migrations of this version, in order."""
    folder = resources.files("worker.engine") / "migrations"
    return sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))


def text(name: str) -> str:
    """Return the SQL of a migration."""
    return (resources.files("worker.engine") / "migrations" / name).read_text(encoding="utf-8")


async def pending(connection: "AsyncConnection") -> list[str]:
    """Return the migrations that the database lacks, without changing anything."""
    there = await (await connection.execute("select to_regclass('worker.migrations')")).fetchone()
    if there is None or there[0] is None:
        return names()
    applied = {row[0] for row in await (await connection.execute("select name from worker.migrations")).fetchall()}
    return [name for name in names() if name not in applied]


async def migrate(connection: "AsyncConnection", timings: EngineTimings = DEFAULT) -> list[str]:
    """Bring the schema up to date. Safe to run twice and by several processes, which wait for one another.

    The lock is a transaction's, not a session's: behind a transaction pooler, a session's lock would stay with a
    backend that nobody can address any longer, and block every later migration.

    Args:
        connection: A connection in autocommit mode.
        timings: How long to wait for tables that other sessions hold.

    Returns:
        The names of the migrations applied.

    Raises:
        Unavailable: Another session, such as a backup, has held one of our tables for as long as this waits.
    """
    return [name for name in await pending(connection) if await _apply_in_time(connection, name, timings)]


async def _apply_in_time(connection: "AsyncConnection", name: str, timings: EngineTimings) -> bool:
    """Apply a migration, and return whether no other process had done so.

    A change to a table waits for its readers, and all later statements of workers and servers wait behind that change.
    So it gives up after a moment, and retries.
    """
    from psycopg.errors import LockNotAvailable

    began = time.monotonic()
    while True:
        try:
            return await _apply(connection, name, timings.migration_lock)
        except LockNotAvailable:
            if (waited := time.monotonic() - began) >= timings.migration:
                raise Unavailable(
                    f"{name} waited {waited:.0f} s for a lock on a table, which another session holds, as during a"
                    " backup: try again later"
                ) from None
            await asyncio.sleep(timings.migration_pause)


async def _apply(connection: "AsyncConnection", name: str, lock_seconds: float) -> bool:
    async with connection.transaction():
        await connection.execute("select pg_advisory_xact_lock(%s, %s)", MIGRATION_LOCK)
        await connection.execute(_PREPARE)
        known = await connection.execute("select 1 from worker.migrations where name = %s", (name,))
        if await known.fetchone() is not None:
            return False
        await connection.execute("select set_config('lock_timeout', %s, true)", (f"{lock_seconds * 1000:.0f}ms",))
        await connection.execute(text(name).encode())
        await connection.execute("insert into worker.migrations (name) values (%s)", (name,))
    return True
