"""Claims of tasks and deliveries by a native worker, and recovery of claims whose response was lost."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import asdict
from typing import Any, Generic, TypeVar

from worker.contracts.lease import OwnLease, now
from worker.remote.flags import DELIVERIES, NUDGE, WORK, Flags
from worker.remote.http.transport import Repeat
from worker.remote.native.verb_client import SPARE_SECONDS, Verb, VerbClient
from worker.wire.deliveries import delivery_of
from worker.wire.records import assignment_of, entries
from worker.words.errors import NotFound
from worker.words.knowledge import AGENT as KNOWLEDGE
from worker.words.work import Assignment, Delivery, DeliveryDemand, Demand

K = TypeVar("K")
T = TypeVar("T")

READS_DOCUMENTS = 3  # the first version of the server's verbs with ingestion tasks
LONGEST_WAIT_SECONDS = 25.0  # the server's limit for one request
POLL = 1.0  # polling interval when no hints arrive, in seconds

Lease = tuple[int, str, int]
"""The identity of a claimed delivery: subscription, task, claim."""


class Ledger(Generic[K]):
    """The claims of one kind that a worker has.

    A response may be lost, and with it all that it claimed. After that, the next request lists what the worker holds,
    and the server takes back everything else that it assigned to the worker.
    """

    def __init__(self) -> None:
        self.claimed: dict[K, Any] = {}
        self._is_unsure = False

    def begin(self) -> list[K] | None:
        """Note a request for claims, and return the current ones if an earlier response may have been lost."""
        claimed = list(self.claimed) if self._is_unsure else None
        self._is_unsure = True
        return claimed

    def end(self, claimed: Mapping[K, Any]) -> None:
        """Note that the response has arrived, with these new claims."""
        self._is_unsure = False
        self.claimed.update(claimed)

    def drop(self, key: K, *, surely: bool = True) -> None:
        """Remove a claim; if the server may not know that it has ended, have the next request list all claims."""
        self.claimed.pop(key, None)
        self._is_unsure = self._is_unsure or not surely


class Claiming:
    """Claims tasks and deliveries, and keeps track of them."""

    def __init__(self, client: VerbClient, flags: Flags) -> None:
        self._client = client
        self._flags = flags
        self._tasks = Ledger[str]()  # the attempt of each, and when it was requested, by the clock of leases
        self._deliveries = Ledger[Lease]()
        self.lease = OwnLease()
        self._claiming = asyncio.Lock()  # the list of claimed tasks is complete only while no request is running

    async def assignments(self, worker_id: str, demand: Callable[[], Demand], seconds: float) -> list[Assignment]:
        """Claim tasks that the worker can start; the server waits until there are some."""

        async def claim(left: float) -> list[Assignment] | None:
            self._flags.lower(NUDGE)
            wanted = demand()
            return await self._claim_tasks(worker_id, wanted, left) if wanted.total > 0 else None

        return await self._until_found(claim, WORK, seconds)

    async def _claim_tasks(self, worker_id: str, wanted: Demand, seconds: float) -> list[Assignment]:
        async with self._claiming:
            body: dict[str, Any] = {"verb": "assignments", "demand": self._demand_json(wanted), "seconds": seconds}
            claimed = self._tasks.begin()
            if claimed is not None:
                body["held"] = claimed
            asked = now()
            try:
                found = await self._unless_nudged(self._client.single(Verb(body), worker_id, Repeat.UNSENT, seconds))
            except NotFound:  # not registered, or considered dead: the next heartbeat registers the worker again
                found = []
            if found is None:
                return []
            assignments = [assignment_of(each) for each in entries(found, "assignments")]
            self._tasks.end({each.task.id: (each.attempt, asked) for each in assignments})
            return assignments

    def _demand_json(self, wanted: Demand) -> dict[str, Any]:
        """Return the demand as JSON, without ingestion tasks for a server that is too old for them."""
        body = asdict(wanted)
        if self._client.server_version < READS_DOCUMENTS:
            body["agents"].pop(KNOWLEDGE, None)
        return body

    async def _unless_nudged(self, request: Coroutine[Any, Any, T]) -> T | None:
        """Await a response. A nudge ends the wait and closes the connection, so that the server notices."""
        answer = asyncio.create_task(request)
        nudge = asyncio.create_task(self._flags.flagged(NUDGE, LONGEST_WAIT_SECONDS + SPARE_SECONDS))
        try:
            await asyncio.wait([answer, nudge], return_when=asyncio.FIRST_COMPLETED)
            return await answer if answer.done() else None
        finally:
            answer.cancel()
            nudge.cancel()
            await asyncio.gather(answer, nudge, return_exceptions=True)

    def drop(self, task_id: str, attempt: int) -> None:
        """Stop tracking a task."""
        if self._tasks.claimed.get(task_id, (0,))[0] == attempt:
            self._tasks.drop(task_id)

    def is_cut_off(self, task_id: str, attempt: int) -> bool:
        """Return whether an attempt was claimed here and its lease has expired, by this process's own clock."""
        claimed, asked = self._tasks.claimed.get(task_id, (0, 0.0))
        return claimed == attempt and not self.lease.holds(asked)

    async def deliveries(self, worker_id: str, demand: Callable[[], DeliveryDemand], seconds: float) -> list[Delivery]:
        """Claim due deliveries for this worker's subscriptions; waiting happens here, between short requests."""

        async def claim(_: float) -> list[Delivery] | None:
            wanted = demand()
            return await self._claim_deliveries(worker_id, wanted) if wanted.total > 0 else None

        return await self._until_found(claim, DELIVERIES, seconds)

    async def _claim_deliveries(self, worker_id: str, wanted: DeliveryDemand) -> list[Delivery]:
        body: dict[str, Any] = {"verb": "deliveries", "limit": wanted.total, "seconds": 0, "limits": _limits(wanted)}
        claimed = self._deliveries.begin()
        if claimed is not None:
            names = ("subscription_id", "task_id", "claim")
            body["held"] = [dict(zip(names, lease, strict=True)) for lease in claimed]
        found = await self._client.single(Verb(body), worker_id, Repeat.UNSENT)
        deliveries = [delivery_of(each) for each in entries(found, "deliveries")]
        self._deliveries.end(dict.fromkeys(map(lease_of, deliveries)))
        return deliveries

    def settled(self, delivery: Delivery, *, surely: bool) -> None:
        """Stop tracking a delivery; one that may not have been settled is handed back with the next claim."""
        self._deliveries.drop(lease_of(delivery), surely=surely)

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
    """Return the limits of single subscriptions; an old server ignores them and applies only the total."""
    return [
        {"handler": each.handler, "event_type": each.event_type, "agent_id": each.agent_id, "limit": max(0, most)}
        for each, most in wanted.each.items()
    ]


def lease_of(delivery: Delivery) -> Lease:
    """Return the identity of a claimed delivery."""
    return delivery.subscription_id, delivery.event.task_id, delivery.claim
