"""Deliveries of task events to the handlers that are bound to them."""

import asyncio
from collections import Counter
from collections.abc import Callable
from functools import partial

from worker.contracts import Platform
from worker.contracts.waiting import SOON, until_answered
from worker.current import Run
from worker.face.task import Task
from worker.registry import Handler
from worker.supervisor.calls import Caller
from worker.supervisor.verdict import CANCELLED, message
from worker.threads import Threads
from worker.words.errors import GiveUp, LeaseLost, ModuleException
from worker.words.exception_groups import members
from worker.words.notices import Delivered, DeliveryFailed, PlatformTrouble, announce
from worker.words.statuses import WHOLE_TASK
from worker.words.tasks import TaskRecord
from worker.words.work import Delivery, DeliveryDemand, Subscription

PATIENCE = 5.0  # longest single wait for deliveries in seconds; a nudge ends it early


class Listening:
    """Claims due deliveries and calls their handlers: several concurrently, in order for each task.

    Each handler has its own places and threads, so one that hangs blocks neither other bound handlers nor the handlers
    of tasks.

    Args:
        platform: The source of deliveries.
        handlers: The bound handlers.
        limit: Concurrent deliveries of a handler without its own ``concurrency``.
        draining: Returns whether no more deliveries are wanted.
    """

    def __init__(self, platform: Platform, handlers: list[Handler], limit: int, draining: Callable[[], bool]) -> None:
        self._platform = platform
        self._handlers = {Subscription(each.name, each.event_type, each.agent_id): each for each in handlers}
        self._limits = {subscription: each.concurrency or limit for subscription, each in self._handlers.items()}
        self._callers = {subscription: Caller(most, "listener") for subscription, most in self._limits.items()}
        self._busy: Counter[Subscription] = Counter()
        self._places = {subscription: asyncio.Semaphore(most) for subscription, most in self._limits.items()}
        self._draining = draining
        self._running: set[asyncio.Task[None]] = set()
        self._freed = asyncio.Event()
        self._leaves = False  # whether cancellations come from ``drain`` rather than from the handler's own code

    @property
    def wanted(self) -> bool:
        """Whether there are any bound handlers."""
        return bool(self._handlers)

    @property
    def threads(self) -> list[Threads]:
        """The thread pools of the handlers."""
        return [each.threads for each in self._callers.values()]

    async def run(self, worker_id: str) -> None:
        """Claim and start deliveries until the worker drains or its handlers are replaced."""
        pauses = SOON.pauses()
        while not self._draining():
            if self._demand().total <= 0:
                self._freed.clear()
                await self._freed.wait()
                continue
            try:
                due = await self._platform.work.deliveries(worker_id, self._demand, PATIENCE)
            except ModuleException as error:
                await asyncio.sleep(pauses.after("claiming deliveries", error))
                continue
            pauses.reset()
            for delivery in due:
                self._start(delivery)

    async def drain(self, seconds: float) -> None:
        """Wait for running deliveries for at most ``seconds``, then cancel the rest, which another worker will get."""
        self._freed.set()
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=seconds)
            self._leaves = True
            for task in late:
                task.cancel()

    async def idle(self) -> None:
        """Wait until no delivery runs; the caller must ensure that no new one starts."""
        while self._running:
            await asyncio.wait(self._running)

    def close(self) -> None:
        """Start no more threads; running ones are abandoned."""
        for caller in self._callers.values():
            caller.close()

    def _demand(self) -> DeliveryDemand:
        each = {subscription: max(0, most - self._busy[subscription]) for subscription, most in self._limits.items()}
        return DeliveryDemand(0 if self._draining() else sum(each.values()), each)

    def _start(self, delivery: Delivery) -> None:
        subscription = delivery.subscription
        self._busy[subscription] += 1
        task = asyncio.create_task(self._deliver(delivery), name=f"delivery {subscription.handler}")
        self._running.add(task)
        task.add_done_callback(lambda done: self._done(subscription, done))

    def _done(self, subscription: Subscription, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        was_full = self._busy[subscription] >= self._limits[subscription]
        self._busy[subscription] -= 1
        self._freed.set()
        if was_full:
            self._platform.work.nudge()  # the handler has room again, which a running wait does not know

    async def _deliver(self, delivery: Delivery) -> None:
        try:
            failure = await self._call(delivery)
            error = None if failure is None else message(failure)
            set_aside = await self._settle(delivery, error, final=_is_given_up(failure))
        except LeaseLost:
            return  # another worker has claimed the delivery
        except ModuleException as error:  # unsettled: delivered again once this worker's claim has expired
            announce(PlatformTrouble(doing="recording the outcome of a delivery", error=error))
            return
        number, handler = delivery.event.number or 0, delivery.subscription.handler
        if failure is None:
            announce(Delivered(delivery.task.id, handler, number))
        else:
            announce(DeliveryFailed(delivery.task.id, handler, number, delivery.tries + 1, set_aside, failure))

    async def _settle(self, delivery: Delivery, error: str | None, *, final: bool) -> bool:
        """Settle a delivery, waiting for the platform as long as necessary; until then no other worker gets it."""
        settle = partial(self._platform.work.settle, delivery, error, final=final)
        return await until_answered(settle, "recording the outcome of a delivery", backoff=SOON)

    async def _call(self, delivery: Delivery) -> Exception | None:
        subscription = delivery.subscription
        handler = self._handlers[subscription]
        task = Task.of(delivery.task)
        event = delivery.event
        if event.type in WHOLE_TASK and isinstance(event.data, TaskRecord):
            event = event.model_copy(update={"data": Task.of(event.data)})
        run = Run(
            task_id=task.id, agent_id=task.agent_id, work=self._platform.work, origin=handler.name, handler=handler.name
        )
        try:
            async with self._places[subscription]:  # an old server does not apply the limits of single handlers
                await self._callers[subscription].call(handler, run, task, event)
        except asyncio.CancelledError:
            if self._leaves:
                raise
            return RuntimeError(CANCELLED)
        except Exception as error:  # noqa: BLE001 - every exception of a handler fails the delivery
            return error
        return None


def _is_given_up(failure: BaseException | None) -> bool:
    return failure is not None and any(isinstance(each, GiveUp) for each in members(failure))
