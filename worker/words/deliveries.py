"""Deliveries that failed, as people see them, and what can be asked of them."""

from datetime import datetime

from pydantic import Field, model_validator

from worker.words.records import Words
from worker.words.statuses import DeliveryState


class FailedDelivery(Words):
    """An event that a handler could not take, or not yet.

    Args:
        id: What ``retry`` takes.
        agent_id: The task's agent.
        event: The event's number.
        tries: How often it was tried.
        error: What the handler raised last.
        next_try_at: When it is tried again by itself.
        set_aside_at: When it was set aside.
    """

    id: str
    handler: str
    agent_id: str
    event_type: str
    task_id: str
    event: int
    state: DeliveryState
    tries: int
    error: str | None = None
    next_try_at: datetime | None = None
    set_aside_at: datetime | None = None


class DeliveryFilter(Words):
    """Which deliveries are meant; all that is given must fit.

    Args:
        agents: Of these agents' tasks alone: what a key may reach.
    """

    handler: str | None = None
    task_id: str | None = None
    agent_id: str | None = None
    agents: list[str] | None = None


class DeliveryQuery(DeliveryFilter):
    """Which failed deliveries to list; those of the newest tasks first.

    Args:
        limit: How many at the most, 1 to 1,000.
        before: Page on: the id of the last one of the page before.
    """

    state: DeliveryState | None = None
    limit: int = Field(default=100, ge=1, le=1000)
    before: str | None = None


class DeliveryRetry(DeliveryFilter):
    """Which set-aside deliveries to try once more.

    Args:
        ids: These; None means every one that fits the rest.
        all: That every one is meant where nothing else is given, which would else be taken for a slip.
    """

    ids: list[str] | None = Field(default=None, max_length=10_000)
    all: bool = False

    @model_validator(mode="after")
    def _something(self) -> "DeliveryRetry":
        if not self.all and self.ids is None and not (self.handler or self.task_id or self.agent_id):
            raise ValueError("name ids, a handler, a task or an agent, or say that all are meant")
        return self
