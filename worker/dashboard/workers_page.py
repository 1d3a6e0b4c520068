"""The page of active workers: their running tasks and last heartbeats."""

from starlette.responses import Response

from worker.contracts import WorkerState
from worker.dashboard.asking import AdmittedRequest


async def workers(asking: AdmittedRequest) -> Response:
    """List the active workers."""
    presence = asking.may.organization.presence
    listed = [worker for worker in await presence.workers() if _is_seen(asking, worker)]
    may_see = asking.may.agents is None  # a visitor limited to some agents must not see a worker's other tasks
    held = {worker.id: await presence.held(worker.id) for worker in listed if worker.running and may_see}
    return await asking.page("workers.html", workers=listed, held=held, may_see=may_see)


def _is_seen(asking: AdmittedRequest, worker: WorkerState) -> bool:
    return asking.may.agents is None or any(asking.may.reaches(agent) for agent in worker.agents)
