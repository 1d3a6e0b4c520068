"""Deliveries to a bare worker: ``task-event`` on its stream, for handlers of other event types that it announced.

It announces them when it opens its stream (``?handler=NAME&events=task_finished,tool_call_result``), and says of each
delivery that it is done, or that it failed, by the report ``task-event-done``. A client that knows nothing of this
announces nothing, and would pass such an event over.
"""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import pydantic
from pydantic import BaseModel, ConfigDict, Field

from worker.contracts.waiting import SOON
from worker.server import bare
from worker.server.feeds import COMMENT
from worker.server.identity.access import Access
from worker.server.identity.claims import Claims
from worker.server.service import Service
from worker.server.streams.streaming import frame
from worker.wire.deliveries import DeliveryForm, named
from worker.words.answer_links import Told
from worker.words.errors import Unavailable, ValidationError
from worker.words.statuses import BINDABLE, TaskUpdateEventType
from worker.words.texts import clean
from worker.words.work import Delivery, DeliveryDemand, Subscription

OUT = 10  # deliveries that a worker has at once
WAIT_SECONDS = 5.0  # one wait for an event that is due
FULL_SECONDS = 1.0  # between looks whether one of those that are out is done; the word of it may reach another process
DONE = "task-event-done"


def announced(handler: str | None, events: str | None, agent_id: str) -> tuple[Subscription, ...]:
    """The subscriptions that a stream's address announces.

    Args:
        handler: The handler's name: workers that share it share its events.
        events: Types, comma-separated.
        agent_id: Whose tasks.

    Raises:
        ValidationError: One of the two is missing, or a type is none that handlers can serve.
    """
    if handler is None and events is None:
        return ()
    if not handler or not events:
        raise ValidationError("handler and events are announced together", field="handler" if events else "events")
    known = {str(kind) for kind in BINDABLE}
    kinds = dict.fromkeys(each.strip() for each in events.split(","))
    if not kinds.keys() <= known:
        raise ValidationError(f"events are some of {', '.join(sorted(known))}", field="events")
    return tuple(Subscription(clean(handler), TaskUpdateEventType(kind), agent_id) for kind in kinds)


class Done(BaseModel):
    """A worker's word on a delivery: the ``delivery`` as it came, and how its handler failed, if it did."""

    model_config = ConfigDict(extra="ignore")

    delivery: DeliveryForm
    error: str | None = Field(default=None, max_length=10_000)


async def settle(access: Access, claims: Claims, data: Any) -> None:
    """Take a worker's word on a delivery. Raises: ValidationError, TaskNotFound, LeaseLost."""
    try:
        done = Done.model_validate(data)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        field = ".".join(["data", *(str(part) for part in first["loc"])])
        raise ValidationError(f"{field}: {first['msg']}", field=field) from None
    given = done.delivery
    task = await access.task(given.task_id)
    await claims.delivery(given.task_id, given.subscription_id, given.claim)
    await access.organization.work.settle(done.delivery.of(task), done.error)


@dataclass(frozen=True, slots=True)
class BareDeliveries:
    """The deliveries of one bare worker.

    Args:
        service: The server.
        access: What the worker may reach.
        worker_id: The worker.
        base: The address by which it calls us.
    """

    service: Service
    access: Access
    worker_id: str
    base: str

    async def pieces(self) -> AsyncGenerator[bytes]:
        """Every delivery, as it becomes due, while the worker has few enough."""
        pauses = SOON.pauses()
        while not self.service.closing.is_set():
            try:
                for delivery in await self._due():
                    yield self._told(delivery)
            except Unavailable as error:
                seconds = pauses.after("delivering events", error)
                yield COMMENT
                await self.service.pause(seconds)
            else:
                pauses.reset()

    async def _due(self) -> list[Delivery]:
        free = OUT - len(await self.access.organization.presence.held_deliveries(self.worker_id))
        if free <= 0:
            await self.service.pause(FULL_SECONDS)
            return []
        return await self.access.organization.work.deliveries(
            self.worker_id, lambda: DeliveryDemand(0 if self.service.closing.is_set() else free), WAIT_SECONDS
        )

    def _linked(self, record: Told) -> Told:
        return self.service.answer_links.told(record, self.access, self.base, to_handler=True)

    def _told(self, delivery: Delivery) -> bytes:
        links, organization_id = self.service.links, self.access.organization.organization_id
        event, task = self._linked(delivery.event), bare.readable(self._linked(delivery.task))[0]
        told = {
            "handler": delivery.subscription.handler,
            "event": links.in_record(event, bare.told(event), organization_id, self.base),
            "task": links.in_task(task, organization_id, self.base),
            "delivery": named(delivery),
        }
        return frame(told, event="task-event")


async def merged(first: AsyncGenerator[bytes], second: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """The pieces of both as they come, until the first ends."""
    coming: dict[asyncio.Task[bytes | None], AsyncGenerator[bytes]] = {
        asyncio.ensure_future(anext(each, None)): each for each in (first, second)
    }
    try:
        while True:
            done, _ = await asyncio.wait(coming, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                source = coming.pop(task)
                piece = task.result()
                if piece is None and source is first:
                    return
                if piece is not None:
                    yield piece
                    coming[asyncio.ensure_future(anext(source, None))] = source
    finally:
        for task in coming:
            task.cancel()
        await asyncio.gather(*coming, return_exceptions=True)
        await first.aclose()
        await second.aclose()
