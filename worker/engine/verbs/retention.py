"""Retention: expired data is removed in batches so small that no other work is delayed.

A batch is one short transaction. It locks finished tasks only, and skips those locked by others; a task is removed with
all of its rows or not at all, so that a clean-up that is killed leaves nothing incomplete. The journal of a completed
task is removed a day after its end; a later retry that should resume finds none. Files are removed once no task refers
to them, at the earliest a day after they were last stored or used.
"""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

from worker.engine.core import Core
from worker.engine.database.statements import retention as sql_retention
from worker.engine.liveness.upkeep import repeat
from worker.words.notices import CleanedUp, announce
from worker.words.upkeep import Removed

TASKS_PER_BATCH = 500
EVENTS_PER_BATCH = 20_000  # deleted in about 50 ms; a task with more is a batch of its own
JOURNALS_PER_BATCH = 200
FILES_PER_PAGE = 500
AUDIT_PER_BATCH = 5_000
FILE_BYTES_PER_BATCH = 256 * 1024 * 1024  # contents are stored in chunks of 2 KB, each of them a row to delete

BATCH_SECONDS = 300.0  # for a batch on a slow or busy disk


class Retention:
    """Removes expired data of all organizations.

    Args:
        core: The database.
        audit_days: How long lines of the audit log are kept, 0 forever.
    """

    def __init__(self, core: Core, audit_days: int = 0) -> None:
        self._core = core
        self._audit_days = audit_days

    async def count_removable(self, days: int) -> Removed:
        """Return the amounts that ``clean`` would remove, without changing anything."""
        (row,) = await self._core.rows(sql_retention.SURPLUS, {"days": days}, seconds=BATCH_SECONDS)
        asked = {"days": self._audit_days}
        (old,) = await self._core.rows(sql_retention.OLD_AUDIT, asked, seconds=BATCH_SECONDS)
        return Removed(**row, audit=old["audit"])

    async def clean(self, days: int) -> AsyncGenerator[Removed]:
        """Remove expired data.

        Args:
            days: How long finished tasks are kept; 0 forever, so that only journals, files and audit lines are
                removed.

        Yields:
            The amounts that each batch has removed, perhaps zero, once that is durable.
        """
        while days and (removed := await self._tasks(days)):
            yield removed
        if days:
            await self._sessions(days)
        async for removed in self._journals():
            yield removed
        async for removed in self._files():
            yield removed
        async for removed in self._audit():
            yield removed
        await self._core.rows(sql_retention.FORGET_REPEATS, seconds=BATCH_SECONDS)

    async def _tasks(self, days: int) -> Removed | None:
        asked = {"days": days, "limit": TASKS_PER_BATCH}
        async with self._core.connection(BATCH_SECONDS) as connection, connection.transaction():
            picked = await (await connection.execute(sql_retention.PICK_TASKS, asked)).fetchall()
            ids = _first(picked)
            if not ids:
                return None
            counts = {
                table: (await connection.execute(statement, (ids,))).rowcount
                for table, statement in sql_retention.OF_TASKS.items()
            }
        return Removed(tasks=counts["tasks"], events=counts["events"], journal=counts["journal"])

    async def _sessions(self, days: int) -> None:
        """Remove Agno's sessions that have been unused for so long, if they are stored in this database."""
        from psycopg import sql

        asked = {"days": days, "limit": TASKS_PER_BATCH}
        for row in await self._core.rows(sql_retention.SESSION_TABLES):
            table = sql.Identifier(row["schema"], row["name"])
            statement = sql.SQL(sql_retention.DROP_SESSIONS).format(table=table)
            count = TASKS_PER_BATCH
            while count == TASKS_PER_BATCH:
                async with self._core.connection(BATCH_SECONDS) as connection:
                    count = (await connection.execute(statement, asked)).rowcount

    async def _journals(self) -> AsyncGenerator[Removed]:
        after: str | None = ""
        while after is not None:
            (row,) = await self._core.rows(
                sql_retention.DROP_JOURNALS, {"after": after, "limit": JOURNALS_PER_BATCH}, seconds=BATCH_SECONDS
            )
            after = row["last"]
            yield Removed(journal=row["journal"])

    async def _files(self) -> AsyncGenerator[Removed]:
        place = {"organization": "", "sha256": "", "limit": FILES_PER_PAGE}
        while page := await self._core.rows(sql_retention.PAGE_OF_FILES, place, seconds=BATCH_SECONDS):
            for organization, files in _batches([row for row in page if row["idle"]]):
                asked = {"organization": organization, "files": files}
                (row,) = await self._core.rows(sql_retention.DROP_FILES, asked, seconds=BATCH_SECONDS)
                yield Removed(**row)
            place |= {"organization": page[-1]["organization_id"], "sha256": page[-1]["sha256"]}

    async def _audit(self) -> AsyncGenerator[Removed]:
        asked = {"days": self._audit_days, "limit": AUDIT_PER_BATCH}
        while self._audit_days:
            (row,) = await self._core.rows(sql_retention.DROP_AUDIT, asked, seconds=BATCH_SECONDS)
            if not row["audit"]:
                return
            yield Removed(**row)

    async def every_day(self, days: int) -> None:
        """Clean up once a day, unless another process of the fleet has; runs until cancelled."""

        async def clean() -> None:
            if await self._core.rows(sql_retention.BEGIN):
                await self._clean_at_leisure(days)

        await asyncio.sleep(random.uniform(*self._core.timings.first_clean))  # noqa: S311 - no secret
        await repeat(clean, self._core.timings.clean, "cleaning up")

    async def _clean_at_leisure(self, days: int) -> None:
        """Clean up, pausing after each batch as long as it took, to leave at least half of the time to other work."""
        begun = before = time.monotonic()
        total = Removed()
        async for removed in self.clean(days):
            total += removed
            await self._core.rows(sql_retention.CONTINUE_CHORE)
            await asyncio.sleep(time.monotonic() - before)
            before = time.monotonic()
        await self._core.rows(sql_retention.DONE)
        announce(CleanedUp(total, time.monotonic() - begun))


def _first(picked: list[tuple[str, int]]) -> list[str]:
    """Return the ids of as many tasks as fit into a batch by their number of events, at least one."""
    ids, events = list[str](), 0
    for task_id, last_event in picked:
        events += last_event
        if ids and events > EVENTS_PER_BATCH:
            break
        ids.append(task_id)
    return ids


def _batches(rows: list[dict[str, Any]]) -> Iterator[tuple[str, list[str]]]:
    """Yield files by organization, at most as many as fit into a batch by size, at least one."""
    for organization, group in groupby(rows, key=itemgetter("organization_id")):
        files, size = list[str](), 0
        for row in group:
            if files and size + row["size"] > FILE_BYTES_PER_BATCH:
                yield organization, files
                files, size = [], 0
            files.append(row["sha256"])
            size += row["size"]
        yield organization, files
