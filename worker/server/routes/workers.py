"""Routes of workers: their streams, their reports, and the list of workers."""

import asyncio
from dataclasses import asdict, replace
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Security
from pydantic import BaseModel
from starlette.responses import Response

from worker.contracts import WorkerState
from worker.server.authorization import ADMIT_SECONDS, claims_of
from worker.server.identity.access import Access
from worker.server.identity.claims import Claims
from worker.server.limits.failures import documented
from worker.server.limits.json_bodies import JsonRoute
from worker.server.routes.bodies import WorkerReport
from worker.server.routes.common import KEY, Admitted, MaybeAdmitted, answers, base_of, service_of
from worker.server.routes.events import STREAM
from worker.server.streams import bare_assignments, bare_deliveries, native_stream
from worker.server.streams.bare_assignments import StreamClient
from worker.server.streams.bare_deliveries import announced
from worker.server.streams.streaming import EventStream
from worker.words.errors import Unavailable
from worker.words.ids import check_id

router = APIRouter(tags=["workers"], route_class=JsonRoute)


class WorkerList(BaseModel):
    """The active workers."""

    workers: list[dict[str, Any]]


@router.get("/events/{agent_id}", response_class=Response, responses={**STREAM, **documented(404)})
async def stream(
    *,
    request: Request,
    agent_id: str,
    access: MaybeAdmitted,
    key: Annotated[str | None, Security(KEY)] = None,
    worker_id: Annotated[str | None, Query(description="Id of a native worker.")] = None,
    native: Annotated[bool, Query(description="Whether the worker receives its work through POST /work.")] = False,
    handler: Annotated[str | None, Query(max_length=500, description="Name of a handler for other events.")] = None,
    events: Annotated[
        str | None, Query(max_length=500, description="Event types for the handler, comma-separated.")
    ] = None,
) -> Response:
    """Open the stream that assigns work; while the database is unavailable it waits, and never returns 503.

    Besides `worker-registration`, `agent-execution` and `task-stop` it carries `task-event` to a worker that announced
    a handler: an event of the agent's tasks, its task, and a `delivery`, which the worker settles with
    `task-event-done`. A native worker also receives `task-change` when a task that it runs was changed or was sent a
    message.
    """
    check_id(agent_id, "agent_id")
    service = service_of(request)
    address = request.client.host if request.client else ""
    subscriptions = announced(handler, events, agent_id)
    stream_client = StreamClient(
        key, request.scope.get("organization_id"), agent_id, address, base_of(request), subscriptions
    )
    if native:
        if access is None:
            raise Unavailable("the database cannot be reached", retry_after=2)
        await claims_of(service, request.scope, access).worker(worker_id or "")
        worker = await access.organization.presence.worker(worker_id or "")
        return EventStream(service, native_stream.serve(service, access, worker), access)
    if access is not None:
        access.check(agent_id)

    def admitted(late: Access) -> None:
        opened.opened_by(late)

    opened = EventStream(service, bare_assignments.serve(service, stream_client, access, admitted), access)
    return opened


@router.post("/events/{worker_id}", responses=documented(404, 409))
async def report(
    request: Request,
    worker_id: str,
    body: WorkerReport,
    access: MaybeAdmitted,
    key: Annotated[str | None, Security(KEY)] = None,
) -> dict[str, bool]:
    """Accept a worker's heartbeat, or its report that it is busy or free.

    While the database is unavailable the response is still 200, because a public worker exits after five failures.
    """
    del key  # the gate has read it; it is a parameter only for the OpenAPI document
    if access is None:
        return {"accepted": False}
    try:
        async with asyncio.timeout(ADMIT_SECONDS):
            await _take(access, claims_of(service_of(request), request.scope, access), worker_id, body)
    except (Unavailable, TimeoutError):
        return {"accepted": False}
    return {"accepted": True}


async def _take(access: Access, claims: Claims, worker_id: str, body: WorkerReport) -> None:
    presence = access.organization.presence
    match body.event:
        case "worker-heartbeat":
            await presence.record_heartbeat(worker_id)
        case "worker-capacity-update":
            await presence.busy(worker_id, is_busy=isinstance(body.data, dict) and bool(body.data.get("is_busy")))
        case bare_deliveries.DONE:
            await bare_deliveries.settle(access, claims, body.data)
        case "worker-finished":
            await presence.busy(worker_id, is_busy=False)
        case _:
            await presence.worker(worker_id)  # any other report is ignored


@router.get("/workers", response_model=WorkerList, responses=documented())
async def workers(access: Admitted) -> Response:
    """List the active workers, with the agents that they serve and the number of tasks that they run."""
    every, agents = await access.organization.presence.workers(), access.agents
    listed = [_seen(access, each) for each in every if agents is None or not agents.isdisjoint(each.agents)]
    return answers(dict[str, Any], {"workers": [asdict(each) for each in listed]})


def _seen(access: Access, worker: WorkerState) -> WorkerState:
    """Return a worker without the agents that the key cannot reach, and without details of their runs."""
    agents = tuple(each for each in worker.agents if access.reaches(each))
    return replace(
        worker,
        agents=agents,
        recent=worker.recent if access.agents is None else (),
        troubles=worker.troubles if access.agents is None else (),
    )
