"""The page of tasks: a list with filters and counts that is kept up to date.

The list is updated by polling instead of a stream: over HTTP/1.1, a browser has six connections to a host, which a list
left open in a few tabs would use up. A poll costs two queries of a few milliseconds, works behind any router and
pooler, and returns 204 without a body if nothing has changed; hidden pages do not poll.
"""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.responses import HTMLResponse, Response

from worker.dashboard.request_context import RequestContext
from worker.words.error_codes import ErrorCode
from worker.words.errors import NotFound
from worker.words.finish import FinishReason, is_whole
from worker.words.statuses import AgentExecutionStatus
from worker.words.task_lists import TaskItem, TaskQuery

PAGE = 50
PERIODS = {"1h": timedelta(hours=1), "24h": timedelta(days=1), "7d": timedelta(days=7), "30d": timedelta(days=30)}
FIELDS = ("agent", "status", "internal_status", "error_code", "finish", "user", "text", "since", "until", "parent")


async def tasks(context: RequestContext) -> Response:
    """Show a page of tasks."""
    return await context.page("tasks.html", **await _list(context), agents=await agents_of(context))


async def live(context: RequestContext) -> Response:
    """Return the list if it has changed since the version that the browser shows, otherwise 204."""
    shown = await _list(context)
    if shown["version"] == context.request.query_params.get("version"):
        return Response(status_code=204)
    return HTMLResponse(await context.html("tasks_list.html", **shown))


async def agents_of(context: RequestContext) -> list[str]:
    """Return the ids of the agents that the visitor can reach."""
    return sorted(
        agent.id for agent in await context.access.organization.tasks.list_agents() if context.access.reaches(agent.id)
    )


async def _list(context: RequestContext) -> dict[str, Any]:
    filters = {name: context.request.query_params.get(name, "").strip() for name in FIELDS}
    query = _query(filters, context.request.query_params.get("before"))
    found = await context.access.organization.tasks.find(context.access.within(query))
    items, more = found[:PAGE], len(found) > PAGE
    counts = await context.access.organization.tasks.counts(context.access.within(query))
    return {
        "filters": filters,
        "is_filtered": any(filters.values()),
        "items": items,
        "counts": counts,
        "total": sum(counts.values()),
        "next": items[-1].id if more and items else None,
        "is_first": query.before is None,
        "version": _version(items, counts),
        "statuses": list(AgentExecutionStatus),
        "error_codes": list(ErrorCode),
        "reasons": [each for each in FinishReason if not is_whole(each)],
        "periods": list(PERIODS),
    }


def _query(filters: dict[str, str], before: str | None) -> TaskQuery:
    """Return the query for the filters. Invalid filters are ignored, except for an unknown status."""
    status = filters["status"]
    if status and status not in set(AgentExecutionStatus):
        raise NotFound(f"Unknown status {status[:50]!r}.")
    period = PERIODS.get(filters["since"])
    since = _moment(filters["since"])
    if period is not None:
        since = (datetime.now(UTC) - period).replace(microsecond=0)
    return TaskQuery(
        agent_id=filters["agent"] or None,
        status=AgentExecutionStatus(status) if status else None,
        internal_status=filters["internal_status"] or None,
        error_code=filters["error_code"] or None,
        finish_reason=filters["finish"] or None,
        user_id=filters["user"] or None,
        text=filters["text"] or None,
        parent_task_id=filters["parent"] or None,
        created_after=since,
        created_before=_moment(filters["until"]),
        limit=PAGE + 1,
        before=before or None,
    )


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _version(items: list[TaskItem], counts: dict[Any, int]) -> str:
    shown = [
        (
            each.id,
            each.status,
            each.internal_status,
            each.error_code,
            each.finish_reason,
            each.title,
            str(each.finished_at),
        )
        for each in items
    ]
    return hashlib.sha256(repr((shown, sorted(counts.items()))).encode()).hexdigest()[:16]
