"""Remote workers as the server sees them: their presence and streams, and what they hold."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from worker.contracts import Claimant, ClaimedDelivery, ClaimedTask, WorkerSession, WorkerState
from worker.contracts.bounds import bounded
from worker.engine.commit.hints import DELIVERIES, WORK
from worker.engine.core import Core
from worker.engine.database.statements import presence as sql_presence
from worker.engine.state.run_changes import Save
from worker.engine.verbs.work import EngineWork
from worker.words.errors import LeaseLost, NotFound, TaskNotFound
from worker.words.outcomes import HandBack
from worker.words.statuses import AgentExecutionStatus
from worker.words.texts import clean
from worker.words.work import WorkerCard

SILENCE_SECONDS = 3600.0  # by the wire protocol, a client that holds a task without a lease may be silent for so long
HEARD_LOOK_SECONDS = 0.25  # a heartbeat may reach any server process
FLAGS = {WORK: "work", DELIVERIES: "deliveries"}


class EnginePresence:
    """Remote workers of one organization. All state is in the database, so that any server process can be asked."""

    def __init__(self, core: Core, organization_id: str, work: EngineWork) -> None:
        self._core = core
        self._organization = organization_id
        self._work = work

    @bounded
    async def workers(self) -> list[WorkerState]:
        """Return all live workers."""
        return [_state(row) for row in await self._core.read(sql_presence.LIST_WORKERS, (self._organization,))]

    @bounded
    async def worker(self, worker_id: str) -> WorkerState:
        """Return a worker, even one that was presumed dead."""
        rows = await self._core.read(sql_presence.GET_WORKER, (clean(worker_id), self._organization))
        if not rows:
            raise NotFound(f"There is no worker {worker_id!r}.")
        return _state(rows[0])

    @bounded
    async def claimant(self, worker_id: str) -> Claimant:
        """Return the registrant of a worker, even of one that was presumed dead."""
        rows = await self._core.read(sql_presence.SESSION_OF, (worker_id.replace("\0", ""), self._organization))
        if not rows:
            raise NotFound(f"There is no worker {worker_id!r}.")
        return _claimant(rows[0])

    @bounded
    async def claimed_by(self, claims: Sequence[tuple[str, int | None]]) -> dict[tuple[str, int | None], Claimant]:
        """Return the workers that claimed these attempts, or that hold these tasks now."""
        known = [each for each in claims if "\0" not in each[0]]
        if not known:
            return {}
        columns = [list(column) for column in zip(*known, strict=True)]
        rows = await self._core.read(sql_presence.CLAIMED_BY, (*columns, self._organization))
        return {(row["task_id"], row["attempt"]): _claimant(row) for row in rows}

    @bounded
    async def delivered_to(
        self, task_id: str, subscription_id: int | None = None, claim: int | None = None
    ) -> list[Claimant]:
        """Return the workers that hold a delivery of a task now, or the one that holds a given delivery."""
        asked = {
            "organization": self._organization,
            "task": task_id.replace("\0", ""),
            "subscription": subscription_id,
            "claim": claim,
        }
        return [_claimant(row) for row in await self._core.read(sql_presence.DELIVERED_TO, asked)]

    async def enter(self, card: WorkerCard, peer: str, stream: str, session: WorkerSession, seconds: float) -> str:
        """Register a worker without an id and return its id, which is its former one if it comes back in time."""
        keys = {
            "organization": self._organization,
            "peer": peer,
            "stream": stream,
            "id": card.id,
            "registered_by": session.key,
        }
        known = await self._come_back(keys, seconds)
        if known is not None:
            return known
        await self._work.register(card, session=session)
        await self._core.rows(sql_presence.ENTER, keys)
        return card.id

    async def _come_back(self, keys: dict[str, Any], seconds: float) -> str | None:
        """Return a returning worker's id once a heartbeat for that id arrives; a new worker has none to send."""
        absent = await self._core.rows(sql_presence.ABSENT, keys)
        until = time.monotonic() + seconds
        while absent and time.monotonic() < until:
            rows = await self._core.rows(sql_presence.COME_BACK, {**keys, "since": absent[0]["since"]})
            if rows:
                return rows[0]["id"]
            await asyncio.sleep(HEARD_LOOK_SECONDS)
        return None

    async def touch(self, worker_id: str, stream: str) -> bool:
        """Record that a worker's stream is open, which renews its lease; return False if a newer one replaced it."""
        return bool(await self._core.rows(sql_presence.TOUCH, (worker_id, self._organization, stream)))

    async def drop(self, worker_id: str, stream: str) -> None:
        """Record that a worker's stream has ended, and hand back the tasks not begun and the deliveries not settled."""
        claimed, claimed_deliveries = (
            await self.claimed(worker_id),
            await self.claimed_deliveries(worker_id),
        )  # read first, since those of a newer stream must stay
        if await self._core.rows(sql_presence.DROPPED, (worker_id, self._organization, stream)):
            await self.give_back([each for each in claimed if not each.begun])
            await self.give_back_deliveries(claimed_deliveries)

    async def record_heartbeat(self, worker_id: str) -> None:
        """Record a worker's heartbeat, and renew its lease."""
        await self._work.renew(worker_id)
        await self._core.rows(sql_presence.HEARD, (worker_id, self._organization))

    async def busy(self, worker_id: str, *, is_busy: bool) -> None:
        """Record whether a worker is at its limit, so that nothing is claimed for it."""
        if not await self._core.rows(sql_presence.BUSY, (is_busy, worker_id, self._organization)):
            raise NotFound(f"There is no worker {worker_id!r}.")
        if not is_busy:
            self._core.announce(WORK, [])

    async def claimed(self, worker_id: str) -> list[ClaimedTask]:
        """Return the tasks that a worker holds, and whether it has begun each."""
        rows = await self._core.read(sql_presence.CLAIMED, (worker_id, self._organization))
        return [ClaimedTask(row["id"], row["attempt"], row["begun"]) for row in rows]

    async def end_refused(self, task_id: str, reason: str) -> bool:
        """End a task whose outcome was refused, if its worker sends no attempts and so will not send another outcome.

        Returns:
            Whether the task was ended.
        """
        if not await self._core.read(sql_presence.RUN_OUTSIDE, (clean(task_id), self._organization)):
            return False
        changes = {"status": AgentExecutionStatus.Error, "result": clean(reason)}
        await self._core.writer.write(Save(self._organization, task_id, None, changes))
        return True

    async def give_back(self, claimed: Sequence[ClaimedTask]) -> None:
        """Queue again tasks that a worker never got or never began, without a charge; tasks that moved on are left."""
        for each in claimed:
            with suppress(LeaseLost, TaskNotFound):
                await self._work.hand_back(each.task_id, each.attempt, HandBack())

    async def claimed_deliveries(self, worker_id: str) -> list[ClaimedDelivery]:
        """Return the deliveries that a worker holds."""
        return await self._work.delivery_queue.claimed(worker_id)

    async def give_back_deliveries(self, claimed: Sequence[ClaimedDelivery]) -> None:
        """Make deliveries due again that a worker never got, without charging a try."""
        await self._work.delivery_queue.give_back(claimed)

    def seen(self) -> dict[str, int]:
        """Return the marks of the hints so far, for ``hint``."""
        return {name: self._core.wakeups.seen(flag) for flag, name in FLAGS.items()}

    async def hint(self, name: str, seen: int, seconds: float) -> bool:
        """Wait for a hint that ``work`` can be claimed or ``deliveries`` are due, and return whether one arrived."""
        flag = next(flag for flag, each in FLAGS.items() if each == name)
        return await self._core.wakeups.flagged(flag, seconds, seen)

    @bounded
    async def pending(self, agent_id: str, limit: int) -> int:
        """Return the number of an agent's pending tasks, counted up to a limit."""
        rows = await self._core.read(sql_presence.COUNT_PENDING, (self._organization, agent_id, limit))
        return rows[0]["pending"]


async def end_silent(core: Core) -> int:
    """End tasks that are held without a lease by a client that has been silent for an hour, and return how many."""
    rows = await core.rows(sql_presence.SILENT, (SILENCE_SECONDS,))
    reason = f"the client that ran the task sent no heartbeat for {SILENCE_SECONDS / 60:.0f} minutes"
    for row in rows:
        changes: dict[str, Any] = {"status": "failed", "result": reason}
        await core.writer.write(Save(row["organization_id"], row["id"], None, changes))
    return len(rows)


def _claimant(row: dict[str, Any]) -> Claimant:
    by = row["registered_by"]
    session = WorkerSession(by, row["session"]) if by is not None else None
    return Claimant(row["id"], tuple(row["agents"]), row["any_agent"], session)


def _state(row: dict[str, Any]) -> WorkerState:
    fields: dict[str, Any] = {**row, "agents": tuple(row["agents"]), "recent": tuple(row["recent"])}
    fields["troubles"] = tuple(row["troubles"])
    return WorkerState(**fields)
