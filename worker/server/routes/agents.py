"""Routes about agents, and about the caller's own key."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from worker.server import bare
from worker.server.identity.access import Unauthorized
from worker.server.limits.failures import documented
from worker.server.limits.headers import address_of
from worker.server.limits.json_bodies import JsonRoute
from worker.server.routes.bodies import AgentBody, AllowanceBody
from worker.server.routes.common import Admitted, answers, is_native, service_of
from worker.words.agents import AgentRecord
from worker.words.errors import Conflict, NotFound

router = APIRouter(tags=["agents"], route_class=JsonRoute)


def agent_json(request: Request, agent: AgentRecord) -> dict[str, Any]:
    """Return an agent as JSON; clients other than ours also get the fields that the public client requires."""
    record = agent.model_dump(mode="json")
    tools = record["announced_tools"]
    if not is_native(request):
        del record["announced_tools"]
        record = bare.agent(record, service_of(request).settings.model)
    return {
        **record,
        "environment_id": agent.organization_id,
        "agno_settings": {"session_storage": False},  # otherwise the client requests a database for the agent
        "graph": [],
        "tools": [bare.tool(each, agent.id) for each in tools],
    }


def _answer(request: Request, agent: AgentRecord) -> Response:
    return answers(dict[str, Any], agent_json(request, agent))


@router.get("/agents/list", response_model=list[AgentRecord], responses=documented())
async def list_agents(request: Request, access: Admitted) -> Response:
    """List the agents that the key can reach, by name."""
    agents = await access.organization.tasks.list_agents()
    return answers(list[dict[str, Any]], [agent_json(request, agent) for agent in agents if access.reaches(agent.id)])


@router.get("/agents/{agent_id}", response_model=AgentRecord, responses=documented(404))
async def get(request: Request, access: Admitted, agent_id: str) -> Response:
    """Get an agent."""
    return _answer(request, await access.organization.tasks.get_agent(agent_id))


@router.put("/agents/{agent_id}", response_model=AgentRecord, responses=documented(404, 409))
async def save(request: Request, access: Admitted, agent_id: str, body: AgentBody) -> Response:
    """Create an agent, or update it under a new version number."""
    agent = body.record()
    if agent.id != agent_id:
        raise Conflict(
            f"The agent's id in the body, {agent.id[:128]!r}, differs from the id in the URL, {agent_id[:128]!r}."
        )
    return _answer(request, await access.organization.tasks.save_agent(agent))


@router.delete("/agents/{agent_id}", response_model=AgentRecord, responses=documented(404))
async def delete(request: Request, access: Admitted, agent_id: str) -> Response:
    """Delete an agent from the list. Its tasks remain, and a worker that serves the agent registers it again."""
    return _answer(request, await access.organization.tasks.delete_agent(agent_id))


@router.post("/metadata/api_key_allowance", responses=documented(429))
async def allowance(request: Request, access: Admitted, body: AllowanceBody) -> dict[str, Any]:
    """Return the agents that a key can call; none for an invalid key, which counts as a guess."""
    service, agents = service_of(request), list[str]()
    try:
        async with service.trying(address_of(request.scope), body.api_key):
            agents = await service.keyring.allowance(body.api_key, access)
    except (Unauthorized, NotFound) as error:
        service.refusals.note(request.scope, error, access)
    return {"api_key": body.api_key, "agent_ids": agents}


@router.get("/metadata/default_llm_extra_headers", responses=documented())
async def extra_headers(access: Admitted) -> dict[str, str]:
    """Return additional headers for model calls: always none."""
    del access
    return {}
