"""Deliveries: events of tasks, to the handlers that asked for them."""

import asyncio
from collections.abc import Callable

from worker.contracts import Platform
from worker.current import Run
from worker.face.task import Task
from worker.registry import Handler
from worker.supervisor.calls import Caller
from worker.supervisor.verdict import message
from worker.words.errors import GiveUp, LeaseLost, ModuleException, Unavailable
from worker.words.groups import members
from worker.words.notices import Delivered, DeliveryFailed, PlatformTrouble, announce
from worker.words.statuses import WHOLE_TASK
from worker.words.tasks import TaskRecord
from worker.words.work import Delivery

PATIENCE = 5.0  # seconds that one wait for deliveries lasts; a nudge ends it early
AGAIN = 1.0  # seconds before the platform is asked again after trouble


class Listening:
    """Claims due events and calls their handlers, several at a time, in order per task."""

    def __init__(
        self, platform: Platform, caller: Caller, handlers: list[Handler], limit: int, draining: Callable[[], bool]
    ) -> None:
        self._work = platform.work
        self._caller = caller
        self._handlers = {(each.name, each.event_type, each.agent_id): each for each in handlers}
        self._limit = limit
        self._draining = draining
        self._running: set[asyncio.Task[None]] = set()
        self._freed = asyncio.Event()

    @property
    def wanted(self) -> bool:
        """Whether there is a handler to deliver to."""
        return bool(self._handlers)

    async def run(self, worker_id: str) -> None:
        """Deliver until the worker drains, or has other handlers."""
        while not self._draining():
            if len(self._running) >= self._limit:
                self._freed.clear()
                await self._freed.wait()
                continue
            try:
                due = await self._work.deliveries(worker_id, self._free, PATIENCE)
            except ModuleException as error:
                announce(PlatformTrouble(doing="asking for deliveries", error=error, again_in=AGAIN))
                await asyncio.sleep(AGAIN)
                continue
            for delivery in due:
                self._start(delivery)

    async def drain(self, seconds: float) -> None:
        """Let what runs finish, at most so long; the rest is cancelled and will be delivered again elsewhere."""
        self._freed.set()
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=seconds)
            for task in late:
                task.cancel()

    async def idle(self) -> None:
        """Wait until nothing runs; nothing new is begun by then."""
        while self._running:
            await asyncio.wait(self._running)

    def _free(self) -> int:
        return 0 if self._draining() else self._limit - len(self._running)

    def _start(self, delivery: Delivery) -> None:
        task = asyncio.create_task(self._deliver(delivery), name=f"delivery {delivery.subscription.handler}")
        self._running.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._freed.set()

    async def _deliver(self, delivery: Delivery) -> None:
        try:
            failure = await self._call(delivery)
            error = None if failure is None else message(failure)
            set_aside = await self._settle(delivery, error, final=_is_given_up(failure))
        except LeaseLost:
            return  # somebody else delivers it now
        except ModuleException as error:  # unsettled: it is delivered again once this worker's hold has ended
            announce(PlatformTrouble(doing="settling a delivery", error=error, again_in=AGAIN))
            return
        number, handler = delivery.event.number or 0, delivery.subscription.handler
        if failure is None:
            announce(Delivered(delivery.task.id, handler, number))
        else:
            announce(DeliveryFailed(delivery.task.id, handler, number, delivery.tries + 1, set_aside, failure))

    async def _settle(self, delivery: Delivery, error: str | None, *, final: bool) -> bool:
        """Settle a delivery, however long the platform is away: until then nobody else is given it."""
        while True:
            try:
                return await self._work.settle(delivery, error, final=final)
            except Unavailable as trouble:
                announce(PlatformTrouble(doing="settling a delivery", error=trouble, again_in=AGAIN))
            await asyncio.sleep(AGAIN)

    async def _call(self, delivery: Delivery) -> Exception | None:
        asked = delivery.subscription
        handler = self._handlers[asked.handler, asked.event_type, asked.agent_id]
        task = Task.of(delivery.task)
        event = delivery.event
        if event.type in WHOLE_TASK and isinstance(event.data, TaskRecord):
            event = event.model_copy(update={"data": Task.of(event.data)})
        run = Run(task_id=task.id, agent_id=task.agent_id, work=self._work, origin=handler.name, handler=handler.name)
        try:
            await self._caller.call(handler, run, task, event)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises is the delivery's failure
            return error
        return None


def _is_given_up(failure: BaseException | None) -> bool:
    return failure is not None and any(isinstance(each, GiveUp) for each in members(failure))
