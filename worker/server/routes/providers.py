"""Routes of model providers that are unavailable: list them, and resume or fail the tasks that wait for them."""

from fastapi import APIRouter
from starlette.responses import Response

from worker.server.limits.failures import documented
from worker.server.limits.json_bodies import JsonRoute
from worker.server.routes.common import Admitted, answers
from worker.words.providers import ProviderState

router = APIRouter(tags=["providers"], route_class=JsonRoute)


@router.get("/providers", response_model=list[ProviderState], responses=documented())
async def providers(access: Admitted) -> Response:
    """List the providers whose last call failed, with the number of tasks that wait for each."""
    return answers(list[ProviderState], await access.organization.tasks.providers())


@router.post("/providers/{provider_id}/resume", response_model=ProviderState, responses=documented(404))
async def resume(access: Admitted, provider_id: str) -> Response:
    """Resume the tasks that wait for a provider immediately."""
    return answers(ProviderState, await access.organization.tasks.resume_provider(provider_id))


@router.post("/providers/{provider_id}/fail", response_model=ProviderState, responses=documented(404))
async def fail(access: Admitted, provider_id: str) -> Response:
    """End the tasks that wait for a provider with an error."""
    return answers(ProviderState, await access.organization.tasks.fail_provider(provider_id))
