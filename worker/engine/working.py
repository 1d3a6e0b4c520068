"""The verbs of workers, on PostgreSQL."""

import asyncio
import random
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any, LiteralString

from worker.engine import presence_statements, statements
from worker.engine.changes import Append, Crash, Finish, GiveBack, Keep
from worker.engine.checks import check_changes
from worker.engine.client import EngineTasks
from worker.engine.core import Core
from worker.engine.hub import DELIVERIES, WORK
from worker.engine.payloads import clean
from worker.engine.records import task_record
from worker.engine.references import kept_rows
from worker.words.errors import LeaseLost, NotFound, ValidationError
from worker.words.events import NewEvent
from worker.words.outcomes import HandBack, Outcome
from worker.words.statuses import AgentExecutionStatus, TaskUpdateEventType
from worker.words.work import Assignment, Delivery, Demand, JournalEntry, KeptFile, Subscription, WorkerCard


class EngineWork:
    """What workers ask for, for one organization."""

    def __init__(self, core: Core, organization_id: str, tasks: EngineTasks) -> None:
        self._core = core
        self._organization = organization_id
        self._tasks = tasks
        self._local: set[str] = set()  # workers of this very process, whose lease the pulse renews
        self._subscriptions: dict[str, dict[int, Subscription]] = {}
        self._given: dict[str, int] = {}  # attempts that local workers were told of and have not ended here
        self._unheard: set[str] = set()  # workers whose last claim broke off: what it took is not known

    async def register(self, card: WorkerCard, *, remote: bool = False) -> None:
        """List the worker, announce its agents, keep its subscriptions, begin to hold its lease.

        Args:
            card: The worker.
            remote: It lives elsewhere: its lease is its only sign of life, and ``renew`` alone holds it.
        """
        row = (
            await self._core.rows(
                statements.REGISTER,
                {
                    "id": card.id,
                    "organization": self._organization,
                    "name": card.name,
                    "agents": list(card.agents),
                    "any_agent": card.any_agent,
                    "concurrency": card.concurrency,
                    "isolates": card.isolates,
                    "has_lock": not self._core.pooled and not remote,
                    "lease": card.lease_seconds,
                },
            )
        )[0]
        if card.agents:
            await self._core.rows(statements.ANNOUNCE_AGENTS, (self._organization, list(card.agents)))
        subscriptions: dict[int, Subscription] = {}
        for subscription in card.subscriptions:
            answer = await self._core.rows(
                statements.SUBSCRIBE,
                {
                    **asdict(subscription.retries),
                    "organization": self._organization,
                    "handler": subscription.handler,
                    "agent": subscription.agent_id,
                    "type": subscription.event_type,
                    "needs": subscription.needs,
                },
            )
            subscriptions[answer[0]["id"]] = subscription
        await self._core.rows(presence_statements.SUBSCRIBED, (list(subscriptions), card.id))
        self._subscriptions[card.id] = subscriptions
        if remote:
            self._core.guard()
            return
        self._local.add(card.id)
        self._core.beat(card.id, row["lock_key"], card.lease_seconds, list(subscriptions))
        await asyncio.to_thread(self._core.pulse.ready, 5)

    async def assignments(self, worker_id: str, demand: Callable[[], Demand], seconds: float) -> list[Assignment]:
        """Claim what the worker can start; wait for it where there is none."""
        until = time.monotonic() + seconds
        while True:
            seen = self._core.hub.seen(WORK)
            wanted = demand()
            claimed = await self._claim(worker_id, wanted)
            left = until - time.monotonic()
            if claimed or left <= 0 or wanted.total <= 0:
                return claimed
            await self._core.hub.flagged(WORK, min(left, self._core.poll), seen)

    def nudge(self) -> None:
        """Ask for the demand again at once."""
        self._core.hub.wake(WORK + DELIVERIES)

    async def _claim(self, worker_id: str, demand: Demand) -> list[Assignment]:
        if demand.total <= 0:
            return []
        wanted = {agent: min(free, demand.total) for agent, free in demand.agents.items() if free > 0}
        others = min(demand.others, demand.total)
        if not wanted and not others:
            return []
        await self._give_back_unheard(worker_id)
        try:
            rows = await self._core.rows(
                _claim_statement(others=bool(others)),
                {
                    "organization": self._organization,
                    "worker": worker_id,
                    "agents": list(wanted),
                    "free": list(wanted.values()),
                    "named": list(demand.agents),
                    "others": others,
                    "suspects": demand.total if demand.suspects is None else demand.suspects,
                    "total": demand.total,
                },
            )
        except BaseException:
            self._unheard.add(worker_id)
            raise
        self._core.claims += 1
        if rows:
            self._core.tell(DELIVERIES if rows[0]["due"] else "", [row["id"] for row in rows])
        if worker_id in self._local:
            self._given.update((row["id"], row["attempt"]) for row in rows)
        return [Assignment(task_record(row), row["attempt"]) for row in rows]

    async def _give_back_unheard(self, worker_id: str) -> None:
        """Queue again what a claim took whose answer never came: the connection broke between commit and answer."""
        if worker_id not in self._unheard or worker_id not in self._local:
            return
        held = await self._core.rows(statements.HELD_BY, (worker_id,))
        unknown = [row for row in held if self._given.get(row["id"]) != row["attempt"]]
        await self._core.give_back(unknown)
        self._unheard.discard(worker_id)

    async def emit(
        self, task_id: str, attempt: int, events: Sequence[NewEvent], journal: Sequence[JournalEntry] = ()
    ) -> None:
        """Append events and journal entries."""
        if events or journal:
            await self._core.writer.write(Append(self._organization, task_id, attempt, events, journal))

    async def journal(self, task_id: str) -> dict[str, str]:
        """Read the journal."""
        async with self._core.connection() as connection:
            return {
                row[0]: row[1]
                async for row in await connection.execute(statements.READ_JOURNAL, (clean(task_id), self._organization))
            }

    async def keep_files(self, task_id: str, attempt: int, files: Sequence[KeptFile]) -> None:
        """Keep with the task what was read of its files."""
        if files:
            await self._core.writer.write(Keep(self._organization, task_id, attempt, kept_rows(files)))

    async def finish(self, task_id: str, attempt: int, outcome: Outcome) -> None:
        """Write the attempt's last word."""
        if not outcome.status.is_terminal and outcome.status is not AgentExecutionStatus.Paused:
            raise ValidationError(f"no attempt ends as {outcome.status}", field="status")
        checked = Outcome(outcome.status, check_changes(outcome.changes))
        await self._core.writer.write(Finish(self._organization, task_id, attempt, checked))
        self._given.pop(task_id, None)

    async def hand_back(self, task_id: str, attempt: int, back: HandBack) -> None:
        """Queue the task again."""
        await self._core.writer.write(GiveBack(self._organization, task_id, attempt, back))
        self._given.pop(task_id, None)

    async def crashed(self, task_id: str, attempt: int, reason: str, delay: float = 0.0) -> None:
        """Charge a crash and queue the task again, or end it."""
        await self._core.writer.write(Crash(self._organization, task_id, attempt, reason, delay))
        self._given.pop(task_id, None)

    async def lost(self, held: Mapping[str, int]) -> dict[str, AgentExecutionStatus]:
        """Which attempts own their task no longer."""
        if not held:
            return {}
        rows = await self._core.rows(statements.LOST, (list(held), list(held.values()), self._organization))
        for row in rows:
            self._given.pop(row["id"], None)
        return {row["id"]: AgentExecutionStatus(row["status"]) for row in rows}

    def on_change(self, wake: Callable[[Collection[str]], None]) -> Callable[[], None]:
        """Hear of changed tasks."""
        return self._core.hub.listen(wake)

    async def deliveries(self, worker_id: str, limit: Callable[[], int], seconds: float) -> list[Delivery]:
        """Claim due events of this worker's subscriptions; wait where there is none."""
        until = time.monotonic() + seconds
        wishes = await self._wishes(worker_id)
        while True:
            seen = self._core.hub.seen(DELIVERIES)
            count = limit()
            if count <= 0:
                return []
            rows = await self._core.rows(
                statements.CLAIM_DELIVERIES,
                {"ids": list(wishes), "limit": count, "worker": worker_id},
            )
            found = [delivery for row in rows if (delivery := await self._delivery(row, wishes)) is not None]
            left = until - time.monotonic()
            if found or left <= 0:
                return found
            if not rows:
                await self._core.hub.flagged(DELIVERIES, min(left, self._core.poll), seen)

    async def _wishes(self, worker_id: str) -> dict[int, Subscription]:
        """A worker's subscriptions; one that registered elsewhere is looked up once."""
        if worker_id not in self._subscriptions:
            rows = await self._core.rows(presence_statements.SUBSCRIPTIONS_OF, (worker_id, self._organization))
            self._subscriptions[worker_id] = {
                row["id"]: Subscription(row["handler"], TaskUpdateEventType(row["event_type"]), row["agent_id"])
                for row in rows
            }
        return self._subscriptions[worker_id]

    async def _delivery(self, row: Mapping[str, Any], wishes: Mapping[int, Subscription]) -> Delivery | None:
        """Compose a delivery; a cursor whose event is none of its handler's moves on at once."""
        number = row["number"]
        keys = {"subscription": row["subscription_id"], "task": row["task_id"], "claim": row["claim"]}
        if number is None:
            await self._core.rows(
                "update worker.cursors set position = greatest(position, %(newest)s), worker_id = null, retries = 0"
                " where subscription_id = %(subscription)s and task_id = %(task)s and claim = %(claim)s",
                {**keys, "newest": row["newest"]},
            )
            return None
        event = await self._tasks.event(row["task_id"], number)
        return Delivery(
            subscription=wishes[row["subscription_id"]],
            subscription_id=row["subscription_id"],
            event=event,
            task=await self._tasks.get(row["task_id"]),
            claim=row["claim"],
            tries=row["tries"],
        )

    async def settle(self, delivery: Delivery, error: str | None = None, *, final: bool = False) -> bool:
        """Move the cursor on, try again later, or set the event aside."""
        keys: dict[str, Any] = {
            "subscription": delivery.subscription_id,
            "task": delivery.event.task_id,
            "claim": delivery.claim,
            "number": delivery.event.number,
        }
        error = clean(error)
        if error is None:
            due = await self._core.rows(statements.SETTLE, keys) or await self._core.rows(statements.SETTLE_AGAIN, keys)
        else:
            if not final and await self._core.rows(statements.POSTPONE, {**keys, "error": error}):
                return False
            due = await self._set_aside({**keys, "error": error})
        if not due:
            raise LeaseLost(delivery.event.task_id, delivery.claim)
        if due[0]["due"]:
            self._core.tell(DELIVERIES, [])
        return error is not None

    async def _set_aside(self, keys: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Set an event aside, for the first time or again; whether more is due, if the delivery is still this one."""
        again = await self._core.rows(statements.SET_ASIDE_AGAIN, keys)
        return again or await self._core.rows(statements.SET_ASIDE, keys)

    async def renew(self, worker_id: str) -> None:
        """Hold on to a worker's leases."""
        if not await self._core.rows(presence_statements.RENEW_OF, (worker_id, self._organization)):
            raise NotFound(f"There is no worker {worker_id!r}.")

    async def leave(self, worker_id: str) -> None:
        """Take the worker off the list; what it still holds is pending again, uncharged.

        It gives back while it is still listed and its lock is held: otherwise a rescuer might come first, and suspect.
        """
        held = await self._core.rows(statements.HELD_BY, (worker_id,))
        await self._core.give_back(held)
        await self._core.rows(statements.RELEASE_CURSORS, (worker_id,))
        if worker_id in self._local:
            self._local.discard(worker_id)
            self._core.pulse.release()
        self._subscriptions.pop(worker_id, None)
        await self._core.rows(statements.LEAVE, (worker_id,))


def _claim_statement(*, others: bool) -> LiteralString:
    """Named agents and all others take turns by chance, so that a backlog of the one starves nobody of the other."""
    if not others:
        return statements.CLAIM_NAMED
    named_first = random.random() < 1 / 2  # noqa: S311 - no secret
    return statements.CLAIM_ANY if named_first else statements.CLAIM_ANY_OTHERS_FIRST
