"""Deliveries to a bare worker: ``task-event`` on its stream, for the event types that it subscribed to.

The worker subscribes when it opens its stream (``?handler=NAME&events=task_finished,tool_call_result``), and settles
each delivery, as handled or failed, with the report ``task-event-done``. A client that does not know this extension
subscribes to nothing; it would ignore such events.
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
from worker.words.answer_links import LinkedRecord
from worker.words.errors import Unavailable, ValidationError
from worker.words.statuses import BINDABLE, TaskUpdateEventType
from worker.words.texts import clean
from worker.words.work import Delivery, DeliveryDemand, Subscription

OUT = 10  # most unsettled deliveries per worker
WAIT_SECONDS = 5.0  # longest single wait for a due event
FULL_SECONDS = 1.0  # polling interval at that limit, since a settlement may reach another process
DONE = "task-event-done"


def announced(handler: str | None, events: str | None, agent_id: str) -> tuple[Subscription, ...]:
    """Return the subscriptions that a stream's query parameters announce.

    Args:
        handler: The handler's name. Workers that use the same name share its deliveries.
        events: Event types, comma-separated.
        agent_id: The agent whose tasks are subscribed to.

    Raises:
        ValidationError: Only one of the two parameters is given, or handlers cannot be bound to one of the types.
    """
    if handler is None and events is None:
        return ()
    if not handler or not events:
        raise ValidationError("handler and events must be given together", field="handler" if events else "events")
    known = {str(kind) for kind in BINDABLE}
    kinds = dict.fromkeys(each.strip() for each in events.split(","))
    if not kinds.keys() <= known:
        raise ValidationError(f"events must be among {', '.join(sorted(known))}", field="events")
    return tuple(Subscription(clean(handler), TaskUpdateEventType(kind), agent_id) for kind in kinds)


class Done(BaseModel):
    """A worker's report that it has settled a delivery, with the handler's error if it failed."""

    model_config = ConfigDict(extra="ignore")

    delivery: DeliveryForm
    error: str | None = Field(default=None, max_length=10_000)


async def settle(access: Access, claims: Claims, data: Any) -> None:
    """Settle a delivery as a worker's report states.

    Raises:
        ValidationError: The report is malformed.
        TaskNotFound: There is no such task, or the key cannot reach it.
        LeaseLost: No worker of this session holds the delivery.
    """
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
    """The deliveries to one bare worker.

    Args:
        service: The state of the server.
        access: The permissions of the worker.
        worker_id: The id of the worker.
        base: The server's base URL, as the worker reaches it.
    """

    service: Service
    access: Access
    worker_id: str
    base: str

    async def pieces(self) -> AsyncGenerator[bytes]:
        """Yield each delivery when it is due, as long as the worker is below its limit of unsettled ones."""
        pauses = SOON.pauses()
        while not self.service.closing.is_set():
            try:
                for delivery in await self._due():
                    yield self._event(delivery)
            except Unavailable as error:
                seconds = pauses.after("delivering events", error)
                yield COMMENT
                await self.service.pause(seconds)
            else:
                pauses.reset()

    async def _due(self) -> list[Delivery]:
        free = OUT - len(await self.access.organization.presence.claimed_deliveries(self.worker_id))
        if free <= 0:
            await self.service.pause(FULL_SECONDS)
            return []
        return await self.access.organization.work.deliveries(
            self.worker_id, lambda: DeliveryDemand(0 if self.service.closing.is_set() else free), WAIT_SECONDS
        )

    def _linked(self, record: LinkedRecord) -> LinkedRecord:
        return self.service.answer_links.with_links(record, self.access, self.base, to_handler=True)

    def _event(self, delivery: Delivery) -> bytes:
        links, organization_id = self.service.links, self.access.organization.organization_id
        event, task = self._linked(delivery.event), bare.readable(self._linked(delivery.task))[0]
        body = {
            "handler": delivery.subscription.handler,
            "event": links.in_record(event, bare.client_json(event), organization_id, self.base),
            "task": links.in_task(task, organization_id, self.base),
            "delivery": named(delivery),
        }
        return frame(body, event="task-event")


async def merged(first: AsyncGenerator[bytes], second: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """Merge the chunks of two streams in the order in which they arrive, until the first stream ends."""
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
