"""Routes for reports of runs that took place outside the platform, and of their metrics."""

from contextlib import suppress
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from worker.server.identity.access import Access
from worker.server.limits.failures import documented
from worker.server.limits.json_bodies import JsonRoute
from worker.server.new_tasks import check_files
from worker.server.routes.bodies import MetricsBody, ReportBody
from worker.server.routes.common import Admitted, task_answer
from worker.wire.bodies import without_nulls
from worker.words.errors import TaskNotFound, TooLarge, ValidationError
from worker.words.ids import check_id
from worker.words.tasks import AgentExecutionInput, NewTask, TaskRecord, Tokens

router = APIRouter(tags=["tasks"], route_class=JsonRoute)


@router.post("/agent-execution/{agent_id}/report_task", response_model=TaskRecord, responses=documented(404, 409))
async def report(request: Request, access: Admitted, agent_id: str, body: ReportBody) -> Response:
    """Record a run that took place outside the platform. Reported again under its id, it stays as first reported."""
    task = await _reported(access, agent_id, body)
    changes: dict[str, Any] = {
        "status": "completed" if body.is_success else "failed",
        "result": body.result if body.result is not None else body.llm_response,
        "tokens": _tokens(body.tokens),
        "duration": body.duration,
        "used_tools": body.used_tools or None,
    }
    try:
        ended = await access.organization.tasks.update(task.id, without_nulls(changes))
    except (TooLarge, ValidationError) as refused:
        await access.organization.presence.end_refused(task.id, refused.description)
        raise
    return task_answer(request, ended)


async def _reported(access: Access, agent_id: str, body: ReportBody) -> TaskRecord:
    """Return the task of a report: an existing one with the reported id, or a new one that is not dispatched.

    A new task never gets the reported id itself, since that would reveal whether the id exists outside the key's reach.
    Its id is derived from the reported one, so that repeated reports find the same task.
    """
    if body.id is not None:
        check_id(body.id)
        with suppress(TaskNotFound):
            task = await access.task(body.id)
            if task.agent_id == agent_id:
                return task
    given = (
        AgentExecutionInput(text=body.input or "(a run reported without its input)")
        if not isinstance(body.input, AgentExecutionInput)
        else body.input
    )
    await check_files(access, given)
    new = NewTask(agent_id=agent_id, input=given, run_locally=True, worker_id="report", source="report")
    return await access.organization.tasks.create(new, key=body.id)


def _tokens(given: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the valid token counts, which clients send in two formats."""
    if given is None:
        return None
    worker = given.get("worker")
    counts: dict[str, Any] = worker if isinstance(worker, dict) else given
    fit = {
        name: counts[name]
        for name in Tokens.model_fields
        if isinstance(counts.get(name), int) and not isinstance(counts.get(name), bool) and 0 <= counts[name] < 2**53
    }
    return fit or None


@router.post("/agents-metrics/{agent_id}/execution", responses=documented(404))
async def metrics(access: Admitted, agent_id: str, body: MetricsBody) -> dict[str, str]:
    """Accept a run's metrics and discard them; the totals that are kept are those on the task."""
    del access, agent_id, body
    return {}
