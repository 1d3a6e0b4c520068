"""The page of active workers: their running tasks and last heartbeats."""

from starlette.responses import Response

from worker.contracts import WorkerState
from worker.dashboard.request_context import RequestContext


async def workers(context: RequestContext) -> Response:
    """List the active workers."""
    presence = context.access.organization.presence
    listed = [worker for worker in await presence.workers() if _is_seen(context, worker)]
    may_see = context.access.agents is None  # a visitor limited to some agents must not see a worker's other tasks
    claimed = {worker.id: await presence.claimed(worker.id) for worker in listed if worker.running and may_see}
    return await context.page("workers.html", workers=listed, claimed=claimed, may_see=may_see)


def _is_seen(context: RequestContext, worker: WorkerState) -> bool:
    return context.access.agents is None or any(context.access.reaches(agent) for agent in worker.agents)
