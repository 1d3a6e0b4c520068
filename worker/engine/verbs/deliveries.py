"""Deliveries of tasks' events to subscribed handlers; each task is leased per subscription until settled."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from worker.contracts import ClaimedDelivery
from worker.engine.commit.hints import DELIVERIES
from worker.engine.core import Core
from worker.engine.database.statements import deliveries as sql_deliveries
from worker.engine.verbs.tasks import EngineTasks
from worker.words.errors import LeaseLost
from worker.words.statuses import TaskUpdateEventType
from worker.words.texts import clean
from worker.words.work import Delivery, DeliveryDemand, Subscription, WorkerCard


class DeliveryQueue:
    """The subscriptions and deliveries of one organization."""

    def __init__(self, core: Core, organization_id: str, tasks: EngineTasks) -> None:
        self._core = core
        self._organization = organization_id
        self._tasks = tasks
        self._subscriptions: dict[str, dict[int, Subscription]] = {}  # of local workers
        self._given: set[ClaimedDelivery] = set()  # deliveries given to local workers, and not settled
        self._unanswered: set[str] = set()  # workers whose deliveries are not known after an error

    async def subscribe(self, card: WorkerCard, *, remote: bool) -> list[int]:
        """Store a worker's subscriptions, and return their numbers."""
        subscriptions: dict[int, Subscription] = {}
        for subscription in card.subscriptions:
            answer = await self._core.rows(
                sql_deliveries.SUBSCRIBE,
                {
                    **asdict(subscription.retries),
                    "organization": self._organization,
                    "handler": clean(subscription.handler),
                    "agent": subscription.agent_id,
                    "type": subscription.event_type,
                    "needs": clean(subscription.needs),
                },
            )
            subscriptions[answer[0]["id"]] = subscription
        await self._core.rows(sql_deliveries.SUBSCRIBED, (list(subscriptions), card.id))
        if not remote:
            self._subscriptions[card.id] = subscriptions
        return list(subscriptions)

    def forget(self, worker_id: str) -> None:
        """Forget a worker in this process."""
        self._subscriptions.pop(worker_id, None)
        self._unanswered.discard(worker_id)

    async def deliveries(self, worker_id: str, demand: Callable[[], DeliveryDemand], seconds: float) -> list[Delivery]:
        """Claim due events of the worker's subscriptions, waiting if there are none."""
        until = time.monotonic() + seconds
        subscriptions = await self._subscriptions_of(worker_id)
        while True:
            seen = self._core.wakeups.seen(DELIVERIES)
            wanted = demand()
            if wanted.total <= 0:
                return []
            limits = {
                key: most for key, subscription in subscriptions.items() if (most := wanted.most(subscription)) > 0
            }
            await self._requeue_unanswered(worker_id)
            try:
                rows = await self._claim(worker_id, limits, wanted.total)
                composed = [await self._delivery(worker_id, row, subscriptions) for row in rows]
                found = [each for each in composed if each is not None]
            except BaseException:
                self._unanswered.add(worker_id)
                raise
            if worker_id in self._subscriptions:
                self._given.update(ClaimedDelivery.of(each) for each in found)
            left = until - time.monotonic()
            if found or left <= 0:
                return found
            if not rows:
                await self._core.wakeups.flagged(DELIVERIES, min(left, self._core.poll), seen)

    async def _claim(self, worker_id: str, limits: Mapping[int, int], total: int) -> list[dict[str, Any]]:
        if not limits:
            return []
        keys = {"ids": list(limits), "limits": list(limits.values()), "limit": total, "worker": worker_id}
        return await self._core.rows(sql_deliveries.CLAIM_DELIVERIES, keys)

    async def _requeue_unanswered(self, worker_id: str) -> None:
        """Make deliveries due again that were claimed without an answer, or could not be settled."""
        if worker_id in self._unanswered and worker_id in self._subscriptions:
            await self.give_back([each for each in await self.claimed(worker_id) if each not in self._given])
        self._unanswered.discard(worker_id)

    async def claimed(self, worker_id: str) -> list[ClaimedDelivery]:
        """Return the deliveries leased to a worker."""
        rows = await self._core.read(sql_deliveries.CLAIMED_DELIVERIES, (worker_id,))
        return [ClaimedDelivery(row["subscription_id"], row["task_id"], row["claim"]) for row in rows]

    async def give_back(self, claimed: Sequence[ClaimedDelivery]) -> None:
        """Make deliveries due again that never reached their worker, except those that have moved on meanwhile."""
        if not claimed:
            return
        columns = [list(column) for column in zip(*claimed, strict=True)]
        if await self._core.rows(sql_deliveries.GIVE_BACK_DELIVERIES, columns):
            self._core.announce(DELIVERIES, [])

    async def _subscriptions_of(self, worker_id: str) -> dict[int, Subscription]:
        """Return a worker's subscriptions; a remote worker's are read each time, since it may re-register elsewhere."""
        local = self._subscriptions.get(worker_id)
        if local is not None:
            return local
        rows = await self._core.read(sql_deliveries.SUBSCRIPTIONS_OF, (worker_id, self._organization))
        return {
            row["id"]: Subscription(row["handler"], TaskUpdateEventType(row["event_type"]), row["agent_id"])
            for row in rows
        }

    async def _delivery(
        self, worker_id: str, row: Mapping[str, Any], subscriptions: Mapping[int, Subscription]
    ) -> Delivery | None:
        """Compose a delivery; return None, and advance the cursor, if none of the events is for its handler."""
        number = row["number"]
        keys = {"subscription": row["subscription_id"], "task": row["task_id"], "claim": row["claim"]}
        if number is None:
            await self._core.rows(
                "update worker.cursors set position = greatest(position, %(newest)s), worker_id = null, retries = 0"
                " where subscription_id = %(subscription)s and task_id = %(task)s and claim = %(claim)s",
                {**keys, "newest": row["newest"]},
            )
            return None
        event, task = await self._tasks.event(row["task_id"], number), await self._tasks.get(row["task_id"])
        links = self._core.links
        if links is not None and worker_id in self._subscriptions:  # for remote workers the server adds them
            event = await links.with_links(event, self._organization)
            task = await links.with_links(task, self._organization)
        return Delivery(
            subscription=subscriptions[row["subscription_id"]],
            subscription_id=row["subscription_id"],
            event=event,
            task=task,
            claim=row["claim"],
            tries=row["tries"],
        )

    async def settle(self, delivery: Delivery, error: str | None = None, *, final: bool = False) -> bool:
        """Advance the cursor, or schedule a retry, or set the event aside."""
        claimed = ClaimedDelivery.of(delivery)
        ours = claimed in self._given
        self._given.discard(claimed)  # even if settling fails: one left leased is handed back before the next claim
        try:
            return await self._settle(delivery, clean(error), final=final)
        except LeaseLost:
            raise
        except BaseException:
            if ours:
                self._unanswered |= self._subscriptions.keys()
            raise

    async def _settle(self, delivery: Delivery, error: str | None, *, final: bool) -> bool:
        keys: dict[str, Any] = {
            "subscription": delivery.subscription_id,
            "task": delivery.event.task_id,
            "claim": delivery.claim,
            "number": delivery.event.number,
        }
        if error is None:
            due = await self._core.rows(sql_deliveries.SETTLE, keys) or await self._core.rows(
                sql_deliveries.SETTLE_AGAIN, keys
            )
        else:
            if not final and await self._core.rows(sql_deliveries.POSTPONE, {**keys, "error": error}):
                return False
            due = await self._set_aside({**keys, "error": error})
        if not due:
            raise LeaseLost(delivery.event.task_id, delivery.claim)
        if due[0]["due"]:
            self._core.announce(DELIVERIES, [])
        return error is not None

    async def _set_aside(self, keys: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Set an event aside, for the first time or again; return no row if the delivery is no longer leased."""
        again = await self._core.rows(sql_deliveries.SET_ASIDE_AGAIN, keys)
        return again or await self._core.rows(sql_deliveries.SET_ASIDE, keys)
