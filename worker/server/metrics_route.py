"""``/metrics``: the figures of this process, and how the tasks of the key's organization stand."""

from typing import Annotated

from fastapi import APIRouter, Header, Request, Response

from worker.server.common import Admitted, service_of
from worker.server.failures import documented
from worker.server.json_bodies import JsonRoute
from worker.telemetry import exposition, metrics
from worker.words.errors import ModuleException

router = APIRouter(tags=["health"], route_class=JsonRoute)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Bearer = Annotated[str | None, Header(description="the key as a bearer token, as Prometheus sends it")]


@router.get("/metrics", response_class=Response, responses={**documented(), 200: {"content": {"text/plain": {}}}})
async def figures(
    request: Request,
    access: Admitted,
    authorization: Bearer = None,
) -> Response:
    """Answer Prometheus; it needs a key wherever the API does. A key for some agents sees their tasks alone."""
    del authorization  # the gate has read it; it is named here for the document
    service = service_of(request)
    try:
        standing = await service.standings.of(access.room.organization_id, access.room.standing)
    except ModuleException:
        standing = None
    if standing is not None and access.agents is not None:
        standing = exposition.within(standing, access.agents)
    own = metrics.of_this_process()
    return Response(exposition.text(own, standing, whole=access.agents is None), media_type=CONTENT_TYPE)
