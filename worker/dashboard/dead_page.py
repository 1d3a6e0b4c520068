"""The pages of dead letters: tasks that used up their retries, and deliveries that were set aside."""

from contextlib import suppress

from starlette.responses import Response

from worker.dashboard.asking import AdmittedRequest
from worker.words.deliveries import DeliveryQuery, DeliveryRetry
from worker.words.errors import Conflict, NotFound
from worker.words.statuses import AgentExecutionStatus
from worker.words.task_lists import TaskQuery

PAGE = 100
DEAD = (AgentExecutionStatus.Error, AgentExecutionStatus.Failed)


async def dead(asking: AdmittedRequest) -> Response:
    """List the tasks that ended with an error or failed."""
    agent = asking.request.query_params.get("agent", "")
    before = asking.request.query_params.get("before")
    query = TaskQuery(agent_id=agent or None, statuses=DEAD, limit=PAGE + 1, before=before or None)
    found = await asking.may.organization.tasks.find(asking.may.within(query))
    more = found[PAGE - 1].id if len(found) > PAGE else None
    return await asking.page("dead.html", items=found[:PAGE], next=more, is_first=not before, agent=agent)


async def retry(asking: AdmittedRequest) -> Response:
    """Queue the selected tasks again."""
    form = await asking.form()
    for task_id in form.getlist("task")[:PAGE]:
        if not isinstance(task_id, str):
            continue
        with suppress(Conflict, NotFound):  # another visitor was quicker
            task = await asking.may.task(task_id)
            await asking.front.enter_queue(asking.may, task.agent_id)
            await asking.may.organization.tasks.retry(task.id)
    return await asking.go("/ui/dead", notice="many")


async def deliveries(asking: AdmittedRequest) -> Response:
    """List failed deliveries."""
    before = asking.request.query_params.get("before")
    agents = sorted(asking.may.agents) if asking.may.agents is not None else None
    found = await asking.may.organization.deliveries.find(
        DeliveryQuery(agents=agents, limit=PAGE + 1, before=before or None)
    )
    more = found[PAGE - 1].id if len(found) > PAGE else None
    return await asking.page("deliveries.html", items=found[:PAGE], next=more, is_first=not before)


async def retry_deliveries(asking: AdmittedRequest) -> Response:
    """Retry the selected deliveries."""
    form = await asking.form()
    ids = [each for each in form.getlist("delivery")[:PAGE] if isinstance(each, str)]
    agents = sorted(asking.may.agents) if asking.may.agents is not None else None
    if ids:
        await asking.may.organization.deliveries.retry(DeliveryRetry(ids=ids, agents=agents))
    return await asking.go("/ui/deliveries", notice="deliveries")
