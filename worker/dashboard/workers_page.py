"""The workers that are here: what each runs, and when it was last heard."""

from starlette.responses import Response

from worker.contracts import WorkerState
from worker.dashboard.asking import AdmittedRequest


async def workers(asking: AdmittedRequest) -> Response:
    """List the workers."""
    presence = asking.may.organization.presence
    listed = [worker for worker in await presence.workers() if _is_seen(asking, worker)]
    may_see = asking.may.agents is None  # whose agents are limited need not learn what else a worker runs
    held = {worker.id: await presence.held(worker.id) for worker in listed if worker.running and may_see}
    return await asking.page("workers.html", workers=listed, held=held, may_see=may_see)


def _is_seen(asking: AdmittedRequest, worker: WorkerState) -> bool:
    return asking.may.agents is None or any(asking.may.reaches(agent) for agent in worker.agents)
