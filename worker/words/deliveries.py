"""Failed deliveries as shown to people, and the filters to list and retry them."""

from datetime import datetime

from pydantic import Field, model_validator

from worker.words.records import Words
from worker.words.statuses import DeliveryState
from worker.words.task_lists import AgentsQuery


class FailedDelivery(Words):
    """An event that its handler failed to process, at least so far.

    Args:
        id: The id that ``retry`` takes.
        agent_id: The task's agent.
        event: The event's number.
        tries: How often delivery was tried.
        error: The last error of the handler.
        next_try_at: When it is retried automatically.
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


class DeliveryFilter(AgentsQuery):
    """Filters for deliveries. A delivery must match every filter given."""

    handler: str | None = None
    task_id: str | None = None


class DeliveryQuery(DeliveryFilter):
    """Filters and paging for failed deliveries; those of the newest tasks come first.

    Args:
        limit: The maximum number of deliveries, 1 to 1,000.
        before: The id of the last delivery of the previous page.
    """

    state: DeliveryState | None = None
    limit: int = Field(default=100, ge=1, le=1000)
    before: str | None = None


class DeliveryRetry(DeliveryFilter):
    """The set-aside deliveries to retry.

    Args:
        ids: These deliveries; None means all that match the other filters.
        all: Confirms that a retry without any filter is meant for all deliveries, and is no mistake.
    """

    ids: list[str] | None = Field(default=None, max_length=10_000)
    all: bool = False

    @model_validator(mode="after")
    def _something(self) -> "DeliveryRetry":
        if not self.all and self.ids is None and not (self.handler or self.task_id or self.agent_id):
            raise ValueError('give ids, a handler, a task or an agent, or set "all" to true')
        return self
