"""Best-effort deliveries on a platform that has none, based on the event streams of the tasks that this worker runs."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextvars import Context
from dataclasses import dataclass, field, replace
from itertools import islice

from worker.remote.clients.tasks import RemoteTasks
from worker.remote.flags import DELIVERIES, Flags
from worker.words.errors import LeaseLost, ModuleException
from worker.words.notices import PlatformTrouble, announce
from worker.words.statuses import TERMINAL
from worker.words.tasks import TaskRecord
from worker.words.work import Delivery, DeliveryDemand, Subscription

CAP = 60.0  # longest retry delay in seconds, since deliveries are lost when the process ends
POLL = 1.0  # seconds between checks for due retries


@dataclass(slots=True)
class Lane:
    """The deliveries of one task to one subscription, in order; only the first can be claimed."""

    waiting: deque[Delivery] = field(default_factory=deque[Delivery])
    out: bool = False
    due: float = 0.0


class LocalDeliveries:
    """Received events of running tasks that are still to be delivered."""

    def __init__(self, tasks: RemoteTasks, flags: Flags) -> None:
        self._tasks = tasks
        self._flags = flags
        self._subscriptions: tuple[Subscription, ...] = ()
        self._lanes: dict[tuple[int, str], Lane] = {}
        self._watching: dict[str, asyncio.Task[None]] = {}
        self._claims = 0

    def subscribe(self, subscriptions: tuple[Subscription, ...]) -> None:
        """Set the subscriptions to deliver to."""
        self._subscriptions = subscriptions

    def watch(self, task: TaskRecord) -> None:
        """Follow the events of a task that this worker starts, until it ends."""
        wanted = [each for each in self._subscriptions if _is_about(each, task)]
        if wanted and task.id not in self._watching:
            watching = asyncio.create_task(self._watch(task), name=f"events of {task.id}", context=Context())
            self._watching[task.id] = watching
            watching.add_done_callback(lambda _: self._watching.pop(task.id, None))

    async def _watch(self, task: TaskRecord) -> None:
        try:
            async for event in self._tasks.events(task.id):
                if isinstance(event.data, TaskRecord):
                    task = event.data
                    if task.status in TERMINAL:
                        self._flags.changed(task.id)
                for number, subscription in enumerate(self._subscriptions):
                    if subscription.event_type is event.type and _is_about(subscription, task):
                        self._claims += 1
                        lane = self._lanes.setdefault((number, task.id), Lane())
                        lane.waiting.append(Delivery(subscription, number, event, task, self._claims))
                        self._flags.wake(DELIVERIES)
        except ModuleException as error:
            announce(PlatformTrouble(doing=f"following task {task.id}", error=error))

    async def deliveries(self, demand: Callable[[], DeliveryDemand], seconds: float) -> list[Delivery]:
        """Claim due deliveries, waiting until there are some."""
        until = time.monotonic() + seconds
        while True:
            self._flags.lower(DELIVERIES)
            wanted = demand()
            found = list(islice(self._due(wanted), max(0, wanted.total)))
            left = until - time.monotonic()
            if found or wanted.total <= 0 or left <= 0:
                return found
            await self._flags.flagged(DELIVERIES, min(left, POLL))

    def _due(self, wanted: DeliveryDemand) -> Iterator[Delivery]:
        taken = Counter[int]()
        for (number, _), lane in list(self._lanes.items()):
            room = wanted.most(self._subscriptions[number]) - taken[number]
            if room > 0 and lane.waiting and not lane.out and lane.due <= time.monotonic():
                taken[number] += 1
                lane.out = True
                yield lane.waiting[0]

    def settle(self, delivery: Delivery, error: str | None, *, final: bool = False) -> bool:
        """Settle a delivery or schedule its retry, and return whether it was set aside."""
        key = (delivery.subscription_id, delivery.event.task_id)
        lane = self._lanes.get(key)
        if lane is None or not lane.out or lane.waiting[0].claim != delivery.claim:
            raise LeaseLost(delivery.event.task_id, delivery.claim)
        lane.out = False
        tries, retries = delivery.tries + 1, delivery.subscription.retries
        if error is not None and not final and tries < retries.attempts:
            lane.waiting[0] = replace(lane.waiting[0], tries=tries)
            lane.due = time.monotonic() + min(CAP, retries.cap, retries.base * 2 ** min(delivery.tries, 62))
            return False
        lane.waiting.popleft()
        lane.due = 0.0
        if not lane.waiting:
            del self._lanes[key]
        self._flags.wake(DELIVERIES)
        return error is not None

    async def close(self) -> None:
        """Stop following tasks."""
        watching = list(self._watching.values())
        for each in watching:
            each.cancel()
        await asyncio.gather(*watching, return_exceptions=True)


def _is_about(subscription: Subscription, task: TaskRecord) -> bool:
    fits = subscription.agent_id in (None, task.agent_id)
    return fits and (subscription.needs is None or getattr(task, subscription.needs, None) is not None)
