"""Route of the audit log."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from worker.server.limits.failures import documented
from worker.server.limits.json_bodies import JsonRoute
from worker.server.routes.common import Admitted, answers
from worker.words.audit import AuditEntry, AuditQuery

router = APIRouter(tags=["audit"], route_class=JsonRoute)

Text = Annotated[str | None, Query(max_length=500)]


@router.get("/audit", response_model=list[AuditEntry], responses=documented())
async def audit(
    *,
    access: Admitted,
    action: Annotated[
        str | None,
        Query(max_length=500, description="Only entries with this action, such as key.create, task.stop or refused."),
    ] = None,
    subject: Annotated[
        str | None, Query(max_length=500, description="Only entries about this row: its kind and id, or its id alone.")
    ] = None,
    key: Annotated[
        str | None, Query(max_length=500, description="Only entries made with this key, by id or name.")
    ] = None,
    address: Text = None,
    after: Annotated[datetime | None, Query(description="Only entries at this time or later.")] = None,
    until: Annotated[datetime | None, Query(description="Only entries before this time.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    before: Annotated[
        str | None, Query(max_length=200, description="Continue after this id, the last one on the previous page.")
    ] = None,
) -> Response:
    """List audit log entries, newest first: who did what to which row, when, and from which address."""
    query = AuditQuery(
        action=action or None,
        subject=subject or None,
        key=key or None,
        address=address or None,
        after=after,
        until=until,
        limit=limit,
        before=before or None,
    )
    return answers(list[AuditEntry], await access.organization.tasks.audit(access.within(query)))
