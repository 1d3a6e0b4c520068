"""The page of the audit log."""

from typing import Any

from starlette.responses import Response

from worker.dashboard.request_context import RequestContext
from worker.words.actors import AuditAction
from worker.words.audit import AuditQuery

PAGE = 100
FILTERS = ("action", "subject", "key", "address")


async def audit(context: RequestContext) -> Response:
    """List the entries that the visitor can reach, newest first."""
    asked = {name: context.request.query_params.get(name, "")[:500].strip() for name in FILTERS}
    before = context.request.query_params.get("before", "")[:200]
    given: dict[str, Any] = {name: value or None for name, value in asked.items()}
    query = AuditQuery(**given, limit=PAGE + 1, before=before or None)
    found = await context.access.organization.tasks.audit(context.access.within(query))
    more = found[PAGE - 1].id if len(found) > PAGE else None
    return await context.page(
        "audit.html", entries=found[:PAGE], next=more, is_first=not before, asked=asked, actions=list(AuditAction)
    )
