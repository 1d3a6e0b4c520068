"""The page of active workers: their running tasks and last heartbeats."""

from starlette.responses import Response

from worker.dashboard.request_context import RequestContext


async def workers(context: RequestContext) -> Response:
    """List the active workers."""
    presence, agents = context.access.organization.presence, context.access.agents
    listed = [each for each in await presence.workers() if agents is None or not agents.isdisjoint(each.agents)]
    may_see = agents is None  # a visitor limited to some agents must not see a worker's other tasks
    claimed = {worker.id: await presence.claimed(worker.id) for worker in listed if worker.running and may_see}
    return await context.page("workers.html", workers=listed, claimed=claimed, may_see=may_see)
