"""Deliveries: requests of workers for them, their JSON form, and how workers name them when settling."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from worker.wire.forms import MOST, Attempt, Count, Form, Seconds
from worker.wire.records import UnreadableRecord, event_of, task_json, task_of
from worker.words.events import TaskUpdateEvent
from worker.words.statuses import TaskUpdateEventType
from worker.words.tasks import TaskRecord
from worker.words.texts import clean
from worker.words.work import Delivery, DeliveryDemand, Subscription


class ClaimedDeliveryForm(Form):
    """A delivery that a worker knows it holds."""

    subscription_id: Annotated[int, Field(ge=0, le=2**63 - 1)]
    task_id: str
    claim: Attempt


class LimitForm(Form):
    """The number of deliveries of one subscription that a worker accepts."""

    handler: str
    event_type: TaskUpdateEventType
    agent_id: str | None = None
    limit: Annotated[int, Field(ge=0, le=MOST)]

    @property
    def subscription(self) -> Subscription:
        """The subscription."""
        return Subscription(clean(self.handler), self.event_type, self.agent_id)


class DeliveriesForm(Form):
    """``deliveries``; ``held`` names the deliveries that the worker knows it holds, after a lost answer."""

    limit: Count
    limits: list[LimitForm] = Field(default_factory=list[LimitForm])
    seconds: Seconds = 0
    held: list[ClaimedDeliveryForm] | None = None

    def demand(self, *, leaving: bool) -> DeliveryDemand:
        """Return the worker's demand, which is zero if the worker or its server is leaving."""
        return DeliveryDemand(0 if leaving else self.limit, {each.subscription: each.limit for each in self.limits})


class DeliveryForm(ClaimedDeliveryForm):
    """A delivery, as named by the worker that holds it."""

    number: Annotated[int, Field(ge=0, le=2**63 - 1)]
    tries: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0

    def of(self, task: TaskRecord) -> Delivery:
        """Return the delivery. Its event is not read again, since settling does not need it."""
        event = TaskUpdateEvent.model_construct(
            type=TaskUpdateEventType.TaskUpdated, task_id=task.id, number=self.number
        )
        nobody = Subscription("", TaskUpdateEventType.TaskUpdated)
        return Delivery(nobody, self.subscription_id, event, task, self.claim, self.tries)


class SettleForm(Form):
    """``settle``."""

    delivery: DeliveryForm
    error: str | None = None
    final: bool = False


def delivery_json(delivery: Delivery) -> dict[str, Any]:
    """Convert a delivery to JSON, for a native worker."""
    subscription = delivery.subscription
    return {
        "subscription": {
            "handler": subscription.handler,
            "event_type": subscription.event_type,
            "agent_id": subscription.agent_id,
        },
        "subscription_id": delivery.subscription_id,
        "event": delivery.event.model_dump(mode="json", warnings="none"),
        "task": task_json(delivery.task),
        "claim": delivery.claim,
        "tries": delivery.tries,
    }


def delivery_of(data: Mapping[str, Any]) -> Delivery:
    """Read a delivery.

    Raises:
        UnreadableRecord: The data is not a delivery, or its event is of an unknown type.
    """
    event, task = event_of(data.get("event")), task_of(data.get("task"))
    if event is None:
        raise UnreadableRecord("a delivery", "the type of its event is unknown")
    try:
        asked = data["subscription"]
        return Delivery(
            subscription=Subscription(asked["handler"], TaskUpdateEventType(asked["event_type"]), asked["agent_id"]),
            subscription_id=int(data["subscription_id"]),
            event=event,
            task=task,
            claim=int(data["claim"]),
            tries=int(data.get("tries", 0)),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UnreadableRecord("a delivery", f"{type(error).__name__}: {error}") from None


def named(delivery: Delivery) -> dict[str, Any]:
    """Convert to JSON the fields that name a delivery when it is settled, as ``DeliveryForm`` reads them."""
    return {
        "subscription_id": delivery.subscription_id,
        "task_id": delivery.event.task_id,
        "number": delivery.event.number,
        "claim": delivery.claim,
        "tries": delivery.tries,
    }
