"""The rescue of dead workers' tasks: the first process to notice a death queues them again."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from worker.background import in_background
from worker.engine.commit.hints import DELIVERIES, WORK
from worker.engine.commit.writer import Writer
from worker.engine.database.access import DatabaseAccess
from worker.engine.database.statements import deliveries as sql_deliveries
from worker.engine.database.statements import workers as sql_workers
from worker.engine.state.release import Release
from worker.words.errors import ModuleException
from worker.words.notices import PlatformTrouble, WorkerLost, announce

TIDY_SECONDS = 10.0


class Rescue:
    """Queues the tasks of dead workers again. Created and used on the engine's loop, except for ``on_death``.

    Args:
        access: The database.
        writer: Commits the releases of the tasks.
        loop: The engine's event loop.
    """

    def __init__(self, access: DatabaseAccess, writer: Writer, loop: asyncio.AbstractEventLoop) -> None:
        self._access = access
        self._writer = writer
        self._loop = loop
        self._running: set[asyncio.Task[None]] = set()
        self._tidy_at = 0.0
        self._is_closed = False
        self.subscriptions: list[int] = []  # of this process's worker, to be kept from retirement

    def on_death(self, worker_id: str, name: str, sign: str) -> None:
        """Start a rescue of the tasks that a worker held; called on the heartbeat's thread.

        Args:
            worker_id: The dead worker; empty to look for tasks left by earlier ones.
            name: The worker's name.
            sign: The sign that revealed its death.
        """
        self._loop.call_soon_threadsafe(self._start, worker_id, name, sign)

    def _start(self, worker_id: str, name: str, sign: str) -> None:
        if self._is_closed or (not worker_id and self._running):  # a running rescue takes all orphans
            return
        in_background(self.rescue(worker_id, name, sign), self._running, "rescue")

    async def close(self) -> None:
        """Finish running rescues, and start no new ones."""
        self._is_closed = True
        await asyncio.gather(*self._running, return_exceptions=True)

    async def rescue(self, worker_id: str, name: str, sign: str) -> None:
        """Queue again the tasks of dead workers; the arguments are those of ``on_death``."""
        try:
            if not worker_id:
                await self._tidy()
            if not worker_id and not await self._access.by_index(sql_workers.LEFTOVERS):
                return
            count = await self.release_orphans()
        except ModuleException as error:  # the next scan finds the same orphans
            announce(PlatformTrouble(doing="rescuing tasks of a dead worker", error=error, again_in=1.0))
            return
        if worker_id or count:
            announce(WorkerLost(worker_id=worker_id, name=name, sign=sign, tasks=count))

    async def _tidy(self) -> None:
        """Maintain other tables and other workers' rows here, where that cannot delay the renewals of leases."""
        if time.monotonic() < self._tidy_at:
            return
        self._tidy_at = time.monotonic() + TIDY_SECONDS
        if self.subscriptions:
            await self._access.rows(sql_deliveries.SEEN_SUBSCRIPTIONS, (self.subscriptions,))
        await self._access.rows(sql_deliveries.RETIRE_SUBSCRIPTIONS)
        await self._access.rows(sql_workers.FORGET_WORKERS)

    async def release_orphans(self) -> int:
        """Queue again the tasks that gone workers still hold, and return their number."""
        orphans = await self._access.rows(sql_workers.ORPHANS)
        releases = [Release.of(row, suspected=True, isolates=row["isolates"], sign=row["lost_by"]) for row in orphans]
        await asyncio.gather(*(self._writer.write(change) for change in releases))
        await self._access.by_index(sql_deliveries.RELEASE_ORPHANED_CURSORS)
        self._access.announce(WORK + DELIVERIES, [])
        return len(orphans)

    async def give_back(self, claimed: Sequence[Mapping[str, Any]]) -> None:
        """Queue again tasks that a living worker holds, without charging a suspicion."""
        await asyncio.gather(*(self._writer.write(Release.of(row, suspected=False)) for row in claimed))
