"""``/metrics``: the metrics of this process and the task counts of the key's organization."""

from typing import Annotated

from fastapi import APIRouter, Header, Request, Response

from worker.server.limits.failures import documented
from worker.server.limits.json_bodies import JsonRoute
from worker.server.routes.common import Admitted, service_of
from worker.telemetry import exposition, metrics
from worker.words.errors import ModuleException

router = APIRouter(tags=["health"], route_class=JsonRoute)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Bearer = Annotated[str | None, Header(description="The API key as a bearer token, as Prometheus sends it.")]


@router.get("/metrics", response_class=Response, responses={**documented(), 200: {"content": {"text/plain": {}}}})
async def figures(
    request: Request,
    access: Admitted,
    authorization: Bearer = None,
) -> Response:
    """Return metrics for Prometheus. A key is needed wherever the API needs one, and limits the tasks to its agents."""
    del authorization  # the gate has read it; it is a parameter only for the OpenAPI document
    service = service_of(request)
    try:
        stats = await service.stats_cache.of(access.organization.organization_id, access.organization.stats)
    except ModuleException:
        stats = None
    if stats is not None and access.agents is not None:
        stats = exposition.within(stats, access.agents)
    own = metrics.of_this_process()
    return Response(exposition.text(own, stats, whole=access.agents is None), media_type=CONTENT_TYPE)
