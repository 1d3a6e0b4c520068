"""Retention: what is over leaves, in batches so small that nobody waits for them.

A batch is one short transaction. It locks finished tasks alone, and passes over those that somebody else has locked;
a task goes with all that is its own or not at all, so a clean-up that is killed leaves nothing half. Journals go a
day after their task's end: an attempt that follows a retry by hand begins anew, so nobody will read them. Files go
once no task refers to them any more, and a day after they were last stored or used at the earliest.
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

TASKS_A_BATCH = 500
EVENTS_A_BATCH = 20_000  # what PostgreSQL deletes in about 50 ms; a task with more is a batch of its own
JOURNALS_A_BATCH = 200
FILES_A_PAGE = 500
AUDIT_A_BATCH = 5_000
FILE_BYTES_A_BATCH = 256 * 1024 * 1024  # contents lie in pieces of 2 KB, each of them a row to delete

BATCH_SECONDS = 300.0  # that a batch may take on a disk which is slow, or busy with something else

LOOK_SECONDS = 600.0  # how often a process looks whether the day's clean-up is due
FIRST_LOOK_SECONDS = 5.0, 60.0  # a fleet that is started at once must not look at once


class Retention:
    """Removes what is over, of all organizations.

    Args:
        core: The database.
        audit_days: How long lines of the audit log are kept; 0: for ever.
    """

    def __init__(self, core: Core, audit_days: int = 0) -> None:
        self._core = core
        self._audit_days = audit_days

    async def surplus(self, days: int) -> Removed:
        """What ``clean`` would remove; nothing is changed."""
        (row,) = await self._core.rows(sql_retention.SURPLUS, {"days": days}, seconds=BATCH_SECONDS)
        asked = {"days": self._audit_days}
        (old,) = await self._core.rows(sql_retention.OLD_AUDIT, asked, seconds=BATCH_SECONDS)
        return Removed(**row, audit=old["audit"])

    async def clean(self, days: int) -> AsyncGenerator[Removed]:
        """Remove what is over.

        Args:
            days: How long finished tasks are kept; 0: for ever, and journals and files alone are looked at.

        Yields:
            What each batch has removed, once that is durable; nothing, perhaps.
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
        asked = {"days": days, "limit": TASKS_A_BATCH}
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
        """Remove Agno's sessions that nobody has used for so long, where it keeps them in this database."""
        from psycopg import sql

        asked = {"days": days, "limit": TASKS_A_BATCH}
        for row in await self._core.rows(sql_retention.SESSION_TABLES):
            table = sql.Identifier(row["schema"], row["name"])
            statement = sql.SQL(sql_retention.DROP_SESSIONS).format(table=table)
            count = TASKS_A_BATCH
            while count == TASKS_A_BATCH:
                async with self._core.connection(BATCH_SECONDS) as connection:
                    count = (await connection.execute(statement, asked)).rowcount

    async def _journals(self) -> AsyncGenerator[Removed]:
        after: str | None = ""
        while after is not None:
            (row,) = await self._core.rows(
                sql_retention.DROP_JOURNALS, {"after": after, "limit": JOURNALS_A_BATCH}, seconds=BATCH_SECONDS
            )
            after = row["last"]
            yield Removed(journal=row["journal"])

    async def _files(self) -> AsyncGenerator[Removed]:
        place = {"organization": "", "sha256": "", "limit": FILES_A_PAGE}
        while page := await self._core.rows(sql_retention.PAGE_OF_FILES, place, seconds=BATCH_SECONDS):
            for organization, files in _batches([row for row in page if row["idle"]]):
                asked = {"organization": organization, "files": files}
                (row,) = await self._core.rows(sql_retention.DROP_FILES, asked, seconds=BATCH_SECONDS)
                yield Removed(**row)
            place |= {"organization": page[-1]["organization_id"], "sha256": page[-1]["sha256"]}

    async def _audit(self) -> AsyncGenerator[Removed]:
        asked = {"days": self._audit_days, "limit": AUDIT_A_BATCH}
        while self._audit_days:
            (row,) = await self._core.rows(sql_retention.DROP_AUDIT, asked, seconds=BATCH_SECONDS)
            if not row["audit"]:
                return
            yield Removed(**row)

    async def every_day(self, days: int) -> None:
        """Clean up once a day, unless another process of the fleet has; until it is cancelled."""

        async def clean() -> None:
            if await self._core.rows(sql_retention.BEGIN):
                await self._clean_at_leisure(days)

        await asyncio.sleep(random.uniform(*FIRST_LOOK_SECONDS))  # noqa: S311 - no secret
        await repeat(clean, LOOK_SECONDS, "cleaning up")

    async def _clean_at_leisure(self, days: int) -> None:
        """Clean up, resting after each batch as long as it took: half of the time at least is everybody else's."""
        begun = before = time.monotonic()
        total = Removed()
        async for removed in self.clean(days):
            total += removed
            await self._core.rows(sql_retention.GO_ON)
            await asyncio.sleep(time.monotonic() - before)
            before = time.monotonic()
        await self._core.rows(sql_retention.DONE)
        announce(CleanedUp(total, time.monotonic() - begun))


def _first(picked: list[tuple[str, int]]) -> list[str]:
    """The ids of as many tasks as a batch has room for, by their events; one at least."""
    ids, events = list[str](), 0
    for task_id, last_event in picked:
        events += last_event
        if ids and events > EVENTS_A_BATCH:
            break
        ids.append(task_id)
    return ids


def _batches(rows: list[dict[str, Any]]) -> Iterator[tuple[str, list[str]]]:
    """Files by organization, no more of them at once than a batch has room for; one at least."""
    for organization, group in groupby(rows, key=itemgetter("organization_id")):
        files, size = list[str](), 0
        for row in group:
            if files and size + row["size"] > FILE_BYTES_A_BATCH:
                yield organization, files
                files, size = [], 0
            files.append(row["sha256"])
            size += row["size"]
        yield organization, files
