"""Claims of a native worker: tasks and deliveries, and what became of those whose answer was lost on its way."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import asdict
from typing import Any, TypeVar

from worker.contracts.lease import OwnLease, now
from worker.remote.flags import DELIVERIES, NUDGE, WORK, Flags
from worker.remote.http.transport import Repeat
from worker.remote.native.asking import SPARE_SECONDS, Verb, VerbClient
from worker.wire.deliveries import delivery_of
from worker.wire.records import assignment_of, entries
from worker.words.errors import NotFound
from worker.words.knowledge import AGENT as KNOWLEDGE
from worker.words.work import Assignment, Delivery, DeliveryDemand, Demand

T = TypeVar("T")

READS_DOCUMENTS = 3  # the version of the server's verbs since which there are such tasks
LONGEST_WAIT_SECONDS = 25.0  # the server's limit
POLL = 1.0  # seconds between looks where nobody hints

Lease = tuple[int, str, int]
"""Of a delivery: subscription, task, claim."""


class Claiming:
    """What this worker claims, and what it knows to be its own.

    An answer may be lost on its way, and with it all that was claimed in it. So the next request names what the worker
    holds, and whatever else the server takes to be its own is given back.
    """

    def __init__(self, asking: VerbClient, flags: Flags) -> None:
        self._asking = asking
        self._flags = flags
        self._tasks: dict[str, int] = {}  # attempts by task
        self._asked: dict[str, float] = {}  # when they were asked for, by the clock of leases
        self.lease = OwnLease()
        self._deliveries: set[Lease] = set()
        self._unsure = {WORK: False, DELIVERIES: False}  # whether an answer may have been lost
        self._claiming = asyncio.Lock()  # what is held is known between two answers, not while one is under way

    async def assignments(self, worker_id: str, demand: Callable[[], Demand], seconds: float) -> list[Assignment]:
        """Claim what the worker can start; the platform waits for it where there is none."""

        async def claim(left: float) -> list[Assignment] | None:
            self._flags.lower(NUDGE)
            wanted = demand()
            return await self._claim_tasks(worker_id, wanted, left) if wanted.total > 0 else None

        return await self._until_found(claim, WORK, seconds)

    async def _claim_tasks(self, worker_id: str, wanted: Demand, seconds: float) -> list[Assignment]:
        async with self._claiming:
            body: dict[str, Any] = {"verb": "assignments", "demand": self._told(wanted), "seconds": seconds}
            if self._unsure[WORK]:
                body["held"] = list(self._tasks)
            self._unsure[WORK] = True
            asked = now()
            try:
                found = await self._unless_nudged(self._asking.alone(Verb(body), worker_id, Repeat.UNSENT, seconds))
            except NotFound:  # it was never registered, or taken for dead: the next heartbeat mends that
                found = []
            if found is None:
                return []
            assignments = [assignment_of(each) for each in entries(found, "assignments")]
            self._unsure[WORK] = False
            self._tasks.update({each.task.id: each.attempt for each in assignments})
            self._asked.update(dict.fromkeys((each.task.id for each in assignments), asked))
            return assignments

    def _told(self, wanted: Demand) -> dict[str, Any]:
        """A demand as the server takes it: one of a version before knows no tasks that read documents."""
        told = asdict(wanted)
        if self._asking.server_version < READS_DOCUMENTS:
            told["agents"].pop(KNOWLEDGE, None)
        return told

    async def _unless_nudged(self, asking: Coroutine[Any, Any, T]) -> T | None:
        """Wait for an answer; a nudge ends the wait, and the connection with it, so that the platform knows."""
        answer = asyncio.create_task(asking)
        nudge = asyncio.create_task(self._flags.flagged(NUDGE, LONGEST_WAIT_SECONDS + SPARE_SECONDS))
        try:
            await asyncio.wait([answer, nudge], return_when=asyncio.FIRST_COMPLETED)
            return await answer if answer.done() else None
        finally:
            answer.cancel()
            nudge.cancel()
            await asyncio.gather(answer, nudge, return_exceptions=True)

    def drop(self, task_id: str, attempt: int) -> None:
        """Hold a task no longer."""
        if self._tasks.get(task_id) == attempt:
            del self._tasks[task_id], self._asked[task_id]

    def is_cut_off(self, task_id: str, attempt: int) -> bool:
        """Whether an attempt was claimed here and may be another's by now, by this process's own clock."""
        return self._tasks.get(task_id) == attempt and not self.lease.holds(self._asked[task_id])

    async def deliveries(self, worker_id: str, demand: Callable[[], DeliveryDemand], seconds: float) -> list[Delivery]:
        """Claim due events of this worker's subscriptions; wait on this side, between short requests, for them."""

        async def claim(_: float) -> list[Delivery] | None:
            wanted = demand()
            return await self._claim_deliveries(worker_id, wanted) if wanted.total > 0 else None

        return await self._until_found(claim, DELIVERIES, seconds)

    async def _claim_deliveries(self, worker_id: str, wanted: DeliveryDemand) -> list[Delivery]:
        body: dict[str, Any] = {"verb": "deliveries", "limit": wanted.total, "seconds": 0, "limits": _limits(wanted)}
        if self._unsure[DELIVERIES]:
            names = ("subscription_id", "task_id", "claim")
            body["held"] = [dict(zip(names, lease, strict=True)) for lease in self._deliveries]
        self._unsure[DELIVERIES] = True
        found = await self._asking.alone(Verb(body), worker_id, Repeat.UNSENT)
        deliveries = [delivery_of(each) for each in entries(found, "deliveries")]
        self._unsure[DELIVERIES] = False
        self._deliveries.update(lease_of(each) for each in deliveries)
        return deliveries

    def settled(self, delivery: Delivery, *, surely: bool) -> None:
        """Hold a delivery no longer; one that may not have been settled is given back at the next claim."""
        self._deliveries.discard(lease_of(delivery))
        if not surely:
            self._unsure[DELIVERIES] = True

    async def _until_found(
        self, claim: Callable[[float], Awaitable[list[T] | None]], flag: str, seconds: float
    ) -> list[T]:
        until = time.monotonic() + seconds
        while True:
            self._flags.lower(flag)
            found = await claim(min(LONGEST_WAIT_SECONDS, max(0.0, until - time.monotonic())))
            if found is None:
                return []
            left = until - time.monotonic()
            if found or left <= 0:
                return found
            await self._flags.flagged(flag, min(left, POLL))


def _limits(wanted: DeliveryDemand) -> list[dict[str, Any]]:
    """The limits of single subscriptions; a server that does not know them goes by the total alone."""
    return [
        {"handler": each.handler, "event_type": each.event_type, "agent_id": each.agent_id, "limit": max(0, most)}
        for each, most in wanted.each.items()
    ]


def lease_of(delivery: Delivery) -> Lease:
    """What a delivery is known by."""
    return delivery.subscription_id, delivery.event.task_id, delivery.claim
