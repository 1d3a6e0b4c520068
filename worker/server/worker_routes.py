"""Workers over HTTP: their streams, what they report, and who is there."""

import asyncio
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Security
from pydantic import BaseModel
from starlette.responses import Response

from worker.contracts import WorkerState
from worker.server import assigning, attending, mailing
from worker.server.assigning import Visitor
from worker.server.bodies import WorkerReport
from worker.server.common import KEY, Admitted, answers, base_of, service_of
from worker.server.event_routes import STREAM
from worker.server.failures import documented
from worker.server.mailing import announced
from worker.server.service import Access, Service
from worker.server.streaming import EventStream
from worker.words.errors import NotFound, Unavailable
from worker.words.ids import check_id

router = APIRouter(tags=["workers"])

ADMIT_SECONDS = 2.0  # a database that has not answered by then counts as away; the stream is accepted all the same
ANY_AGENT = "-"


class WorkerList(BaseModel):
    """The workers that are here."""

    workers: list[dict[str, Any]]


@router.get("/events/{agent_id}", response_class=Response, responses={**STREAM, **documented(404)})
async def stream(
    *,
    request: Request,
    agent_id: str,
    key: Annotated[str | None, Security(KEY)] = None,
    worker_id: Annotated[str | None, Query(description="a native worker's own id")] = None,
    native: Annotated[bool, Query(description="whether the worker takes its work by POST /work")] = False,
    handler: Annotated[str | None, Query(max_length=500, description="announces a handler of other events")] = None,
    events: Annotated[str | None, Query(max_length=500, description="the types it wants, comma-separated")] = None,
) -> Response:
    """Open the stream that assigns work; while the database is away it waits, and never answers 503.

    Beside `worker-registration`, `agent-execution` and `task-stop` it carries `task-event` to a worker that announced a
    handler: an event of the agent's tasks, its task, and a `delivery`, of which the worker reports `task-event-done`.
    """
    check_id(agent_id, "agent_id")
    service = service_of(request)
    address = request.client.host if request.client else ""
    wishes = announced(handler, events, agent_id)
    visitor = Visitor(key, request.scope.get("organization_id"), agent_id, address, base_of(request), wishes)
    if native:
        access = await service.admit(key, visitor.organization_id)
        worker = await access.room.presence.worker(worker_id or "")
        return EventStream(service, attending.serve(service, access, worker))
    return EventStream(service, assigning.serve(service, visitor, await _admitted(service, visitor)))


async def _admitted(service: Service, visitor: Visitor) -> Access | None:
    """What a bare worker may reach; none: the database is away."""
    try:
        async with asyncio.timeout(ADMIT_SECONDS):
            access = await service.admit(visitor.key, visitor.organization_id)
            await service.links.load()
    except (Unavailable, TimeoutError):
        return None
    access.check(visitor.agent_id)
    return access


@router.post("/events/{worker_id}", responses=documented(404, 409))
async def report(
    request: Request,
    worker_id: str,
    body: WorkerReport,
    key: Annotated[str | None, Security(KEY)] = None,
) -> dict[str, bool]:
    """Take a worker's heartbeat or its word that it is busy or free.

    While the database is away it answers all the same: a public worker leaves after five failures.
    """
    service = service_of(request)
    try:
        async with asyncio.timeout(ADMIT_SECONDS):
            access = await service.admit(key, request.scope.get("organization_id"))
            await _take(access, worker_id, body)
    except (Unavailable, TimeoutError):
        return {"accepted": False}
    return {"accepted": True}


async def _take(access: Access, worker_id: str, body: WorkerReport) -> None:
    if access.agents is not None:
        await _check_reach(access, worker_id)
    presence = access.room.presence
    match body.event:
        case "worker-heartbeat":
            await presence.heard(worker_id)
        case "worker-capacity-update":
            await presence.busy(worker_id, is_busy=isinstance(body.data, dict) and bool(body.data.get("is_busy")))
        case mailing.DONE:
            await mailing.settle(access, body.data)
        case "worker-finished":
            await presence.busy(worker_id, is_busy=False)
        case _:
            await presence.worker(worker_id)  # what else it reports is passed over


async def _check_reach(access: Access, worker_id: str) -> None:
    worker = await access.room.presence.worker(worker_id)
    if worker.any_agent or not all(access.reaches(agent) for agent in worker.agents):
        raise NotFound(f"There is no worker {worker_id!r}.")


@router.get("/workers", response_model=WorkerList, responses=documented())
async def workers(access: Admitted) -> Response:
    """List the workers that are here, with what they serve and how much they run."""
    listed = [each for each in await access.room.presence.workers() if _visible(access, each)]
    return answers(dict[str, Any], {"workers": [asdict(each) for each in listed]})


def _visible(access: Access, worker: WorkerState) -> bool:
    return access.agents is None or any(access.reaches(agent) for agent in worker.agents)
