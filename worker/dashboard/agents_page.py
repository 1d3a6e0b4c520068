"""The page of agents and their task counts."""

from starlette.responses import Response

from worker.dashboard.request_context import RequestContext
from worker.words.task_lists import TaskQuery

COUNTED = 20  # agents whose tasks are counted; further ones are listed without counts


async def agents(context: RequestContext) -> Response:
    """List the agents that the visitor can reach."""
    tasks = context.access.organization.tasks
    listed = [agent for agent in await tasks.list_agents() if context.access.reaches(agent.id)]
    counts = {agent.id: await tasks.counts(TaskQuery(agent_id=agent.id)) for agent in listed[:COUNTED]}
    return await context.page("agents.html", agents=listed, counts=counts)
