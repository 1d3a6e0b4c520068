"""Routes of failed deliveries: list them, retry them."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field, model_validator
from starlette.responses import Response

from worker.server.limits.failures import documented
from worker.server.limits.json_bodies import JsonRoute
from worker.server.routes.common import Admitted, answers
from worker.wire.bodies import OwnBody
from worker.words.deliveries import DeliveryQuery, DeliveryRetry, FailedDelivery
from worker.words.statuses import DeliveryState

router = APIRouter(tags=["deliveries"], route_class=JsonRoute)

Text = Annotated[str | None, Query(max_length=500)]
DELIVERY = r"^[0-9]{1,18}\.[0-9]{1,18}\.[A-Za-z0-9._:-]{1,128}$"
Before = Annotated[
    str | None,
    Query(
        max_length=200,
        description="Continue after this id, the last one on the previous page.",
        json_schema_extra={"pattern": DELIVERY},
    ),
]


class RetryBody(OwnBody):
    """A selection of dead letters to retry: by their ids, or all that match the other fields."""

    ids: list[Annotated[str, Field(max_length=200, json_schema_extra={"pattern": DELIVERY})]] | None = Field(
        default=None, max_length=10_000
    )
    handler: Annotated[str, Field(max_length=500)] | None = None
    task_id: Annotated[str, Field(max_length=500)] | None = None
    agent_id: Annotated[str, Field(max_length=500)] | None = None
    all: Annotated[bool, Field(strict=True)] = False

    @model_validator(mode="after")
    def _is_not_empty(self) -> "RetryBody":
        self.selection()
        return self

    def selection(self) -> DeliveryRetry:
        """Return the selection."""
        return DeliveryRetry(**self.model_dump())


class Retried(BaseModel):
    """The number of deliveries that will be retried."""

    retried: int


@router.get("/deliveries", response_model=list[FailedDelivery], responses=documented())
async def deliveries(
    *,
    access: Admitted,
    state: DeliveryState | None = None,
    handler: Text = None,
    task_id: Text = None,
    agent_id: Text = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    before: Before = None,
) -> Response:
    """List failed deliveries, both those to be retried and those set aside, starting with the newest tasks."""
    query = DeliveryQuery(
        state=state,
        handler=handler or None,
        task_id=task_id or None,
        agent_id=agent_id or None,
        limit=limit,
        before=before,
    )
    return answers(list[FailedDelivery], await access.organization.deliveries.find(access.within(query)))


@router.post("/deliveries/retry", responses=documented())
async def retry(access: Admitted, body: RetryBody) -> Retried:
    """Retry deliveries that were set aside; deliveries in any other state are ignored."""
    return Retried(retried=await access.organization.deliveries.retry(access.within(body.selection())))
