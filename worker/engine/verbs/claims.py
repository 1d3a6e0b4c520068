"""Claims: tasks that a worker can start, from the queue or directly from a create in this process."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, LiteralString

from worker.contracts.lease import now
from worker.engine.commit.hand_off import HandOff
from worker.engine.commit.hints import DELIVERIES, WORK
from worker.engine.core import Core
from worker.engine.database.statements import claims as sql_claims
from worker.engine.database.statements import workers as sql_workers
from worker.engine.fault_points import fault
from worker.engine.state.records import assigned
from worker.engine.verbs.claim_positions import ClaimPositions
from worker.words.errors import ConfigurationError, ModuleException
from worker.words.knowledge import AGENT as KNOWLEDGE
from worker.words.tasks import with_agents_model
from worker.words.work import Assignment, Demand


class ClaimVerbs:
    """The claims among the verbs of workers.

    Args:
        core: This process's hold on the database.
        organization_id: The organization of the tasks.
    """

    def __init__(self, core: Core, organization_id: str) -> None:
        self._core = core
        self._organization = organization_id
        self._local: set[str] = set()  # workers of this process, whose lease the heartbeat renews
        self._given: dict[str, int] = {}  # attempts given to local workers, and not ended here
        self._found_all: dict[str, int] = {}  # workers whose last claim left nothing, and the flag's mark at that time
        self._positions = ClaimPositions(core.timings)
        self._was_whole = True  # whether the last claim began at the front of every queue
        self._unanswered: set[str] = set()  # workers whose last claim was interrupted, so that its tasks are not known

    async def assignments(self, worker_id: str, demand: Callable[[], Demand], seconds: float) -> list[Assignment]:
        """Claim tasks that the worker can start, waiting if there are none."""
        until = time.monotonic() + seconds
        while True:
            seen = self._core.wakeups.seen(WORK)
            wanted = demand()
            waits = self._has_found_all(worker_id, seen) and seconds > self._core.poll
            claimed = [] if waits else await self._claim(worker_id, wanted)
            if 0 < len(claimed) < wanted.total and self._was_whole:
                self._found_all[worker_id] = seen
            left = until - time.monotonic()
            if claimed or left <= 0 or wanted.total <= 0:
                return claimed
            claimed = await self._hand_off(worker_id, demand, min(left, self._core.poll), seen)
            if claimed:
                self._found_all[worker_id] = seen
                return claimed

    async def _hand_off(
        self, worker_id: str, demand: Callable[[], Demand], seconds: float, seen: int
    ) -> list[Assignment]:
        """Wait for a hint; meanwhile, tasks created in this process begin directly in a local worker."""
        if worker_id not in self._local:
            await self._core.wakeups.flagged(WORK, seconds, seen)
            return []
        asked, hand_off = now(), HandOff(self._organization, worker_id, demand)
        try:
            with self._core.writer.hand_offs.open(hand_off):
                await self._core.wakeups.flagged(WORK, seconds, seen, hand_off.changed)
                await hand_off.settled()
        except BaseException:
            if hand_off.may_hold:
                self._unanswered.add(worker_id)
            raise
        if hand_off.is_lost:
            self._unanswered.add(worker_id)
        return await self._assigned(worker_id, hand_off.begun, asked)

    def _has_found_all(self, worker_id: str, seen: int) -> bool:
        """Return, once per claim, whether a worker's last claim left nothing and no hint has arrived since."""
        return self._found_all.pop(worker_id, None) == seen and worker_id not in self._unanswered

    def nudge(self) -> None:
        """Make waiting claims ask for the demand again immediately."""
        self._core.wakeups.wake(WORK + DELIVERIES)

    async def _claim(self, worker_id: str, demand: Demand) -> list[Assignment]:
        if demand.total <= 0:
            return []
        wanted = {agent: min(free, demand.total) for agent, free in demand.agents.items() if free > 0}
        others = min(demand.others, demand.total)
        if not wanted and not others:
            return []
        await self._requeue_unanswered(worker_id)
        fault("claim.asked")
        asked, scan = now(), self._positions.scan()
        named = demand.agents.keys() | {KNOWLEDGE}  # a handler for any agent does not read documents
        recent_agents = [] if scan.is_full else self._positions.recent_agents(but=named)
        try:
            rows = await self._core.rows(
                _claim_statement(others=bool(others), is_full=scan.is_full),
                {
                    "organization": self._organization,
                    "worker": worker_id,
                    "agents": list(wanted),
                    "free": list(wanted.values()),
                    "since": self._positions.since(scan, wanted),
                    "known": recent_agents,
                    "known_since": self._positions.since(scan, recent_agents),
                    "named": list(named),
                    "others": others,
                    "suspects": demand.total if demand.suspects is None else demand.suspects,
                    "total": demand.total,
                },
            )
        except BaseException:
            self._unanswered.add(worker_id)
            raise
        self._positions.record(scan, rows)
        self._was_whole = scan.is_full
        self._core.claims += 1
        if rows:
            fault("claim.committed")
            self._core.announce(DELIVERIES if rows[0]["due"] else "", [row["id"] for row in rows], [])
        return await self._assigned(worker_id, rows, asked)

    async def _assigned(self, worker_id: str, rows: Sequence[Mapping[str, Any]], asked: float) -> list[Assignment]:
        said = await self._model_fields_of(worker_id, [row["agent_id"] for row in rows])
        if worker_id in self._local:
            self._core.writer.owned_rows.learn(rows, worker_id, asked)
            self._given.update((row["id"], row["attempt"]) for row in rows)
        try:
            tasks = [assigned(row, self._core.vault) for row in rows]
        except ConfigurationError:
            await self._core.rescue.give_back(
                [{**row, "worker_id": worker_id} for row in rows]
            )  # another worker has the key
            raise
        return [
            Assignment(with_agents_model(task, said.get(task.agent_id, {})), row["attempt"])
            for task, row in zip(tasks, rows, strict=True)
        ]

    async def _model_fields_of(self, worker_id: str, agent_ids: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
        """Return the model fields of the agents of a claim, or nothing if the database is unavailable."""
        try:
            return await self._core.models.of(self._organization, agent_ids)
        except ModuleException:
            return {}
        except BaseException:
            self._unanswered.add(worker_id)  # the claim is committed, but the worker never gets its tasks
            raise

    async def _requeue_unanswered(self, worker_id: str) -> None:
        """Queue again the tasks of a claim that was committed but never answered."""
        if worker_id not in self._unanswered or worker_id not in self._local:
            return
        claimed = await self._core.read(sql_workers.TASKS_OF_WORKER, (worker_id,))
        unknown = [row for row in claimed if self._given.get(row["id"]) != row["attempt"]]
        await self._core.rescue.give_back(unknown)
        self._unanswered.discard(worker_id)


def _claim_statement(*, others: bool, is_full: bool) -> LiteralString:
    """Return a claim's statement; named or other agents come first at random, so that neither starves the other."""
    if not others:
        return sql_claims.CLAIM_NAMED
    named_first = random.random() < 1 / 2  # noqa: S311 - no secret
    if is_full:
        return sql_claims.CLAIM_ANY if named_first else sql_claims.CLAIM_ANY_OTHERS_FIRST
    return sql_claims.CLAIM_KNOWN if named_first else sql_claims.CLAIM_KNOWN_OTHERS_FIRST
