"""The pages of dead letters: tasks that used up their retries, and deliveries that were set aside."""

from contextlib import suppress

from starlette.responses import Response

from worker.dashboard.request_context import RequestContext
from worker.words.deliveries import DeliveryQuery, DeliveryRetry
from worker.words.errors import Conflict, NotFound
from worker.words.statuses import AgentExecutionStatus
from worker.words.task_lists import TaskQuery

PAGE = 100
DEAD = (AgentExecutionStatus.Error, AgentExecutionStatus.Failed)


async def dead(context: RequestContext) -> Response:
    """List the tasks that ended with an error or failed."""
    agent = context.request.query_params.get("agent", "")
    before = context.request.query_params.get("before")
    query = TaskQuery(agent_id=agent or None, statuses=DEAD, limit=PAGE + 1, before=before or None)
    found = await context.access.organization.tasks.find(context.access.within(query))
    more = found[PAGE - 1].id if len(found) > PAGE else None
    return await context.page("dead.html", items=found[:PAGE], next=more, is_first=not before, agent=agent)


async def retry(context: RequestContext) -> Response:
    """Queue the selected tasks again."""
    form = await context.form()
    for task_id in form.getlist("task")[:PAGE]:
        if not isinstance(task_id, str):
            continue
        with suppress(Conflict, NotFound):  # another visitor was quicker
            task = await context.access.task(task_id)
            await context.server.enter_queue(context.access, task.agent_id)
            await context.access.organization.tasks.retry(task.id)
    return await context.go("/ui/dead", notice="many")


async def deliveries(context: RequestContext) -> Response:
    """List failed deliveries."""
    before = context.request.query_params.get("before")
    query = DeliveryQuery(limit=PAGE + 1, before=before or None)
    found = await context.access.organization.deliveries.find(context.access.within(query))
    more = found[PAGE - 1].id if len(found) > PAGE else None
    return await context.page("deliveries.html", items=found[:PAGE], next=more, is_first=not before)


async def retry_deliveries(context: RequestContext) -> Response:
    """Retry the selected deliveries."""
    form = await context.form()
    ids = [each for each in form.getlist("delivery")[:PAGE] if isinstance(each, str)]
    if ids:
        await context.access.organization.deliveries.retry(context.access.within(DeliveryRetry(ids=ids)))
    return await context.go("/ui/deliveries", notice="deliveries")
