"""Routes of task lists and task counts. Routes of single tasks are in ``tasks.py``."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field, model_validator
from starlette.responses import Response

from worker.server.identity.access import Access
from worker.server.limits.failures import documented
from worker.server.limits.json_bodies import JsonRoute
from worker.server.routes.common import Admitted, answers
from worker.words.errors import ValidationError
from worker.words.statuses import AgentExecutionStatus
from worker.words.task_lists import TaskFilter, TaskItem, TaskQuery

router = APIRouter(tags=["tasks"], route_class=JsonRoute)


class Filters(TaskFilter):
    """The filters that every list supports; an empty string is ignored."""

    status: str | None = Field(default=None, description="Only tasks with one of these statuses, comma-separated.")

    @model_validator(mode="before")
    @classmethod
    def _given(cls, value: Any) -> Any:
        return {name: each for name, each in value.items() if each != ""} if isinstance(value, dict) else value

    def query(self, **more: Any) -> TaskQuery:
        """Return a query with these filters and additional fields."""
        given = self.model_dump(include=set(TaskFilter.model_fields))
        return TaskQuery(**given, statuses=_statuses(self.status), **more)


class UserFilters(Filters):
    """The filters, and the user for whom tasks were created."""

    user_id: str | None = Field(default=None, description="Only tasks for this user.")


class AllFilters(UserFilters):
    """The filters, the user, and a choice of agents."""

    agent_id: str | None = Field(default=None, description="Only tasks of these agents, comma-separated.")


@router.get(
    "/agent-execution/executions/history/user/{user_id}", response_model=list[TaskItem], responses=documented(404)
)
async def of_user(access: Admitted, user_id: str, filters: Annotated[Filters, Query()]) -> Response:
    """List the tasks created for a user, newest first."""
    return await _found(access, filters.query(user_id=user_id))


@router.get("/agent-execution/executions/history/{agent_id}", response_model=list[TaskItem], responses=documented(404))
async def of_agent(access: Admitted, agent_id: str, filters: Annotated[UserFilters, Query()]) -> Response:
    """List an agent's tasks, newest first."""
    return await _found(access, filters.query(agent_id=agent_id, user_id=filters.user_id))


@router.get("/agent-execution/executions/history", response_model=list[TaskItem], responses=documented(404))
async def of_all(access: Admitted, filters: Annotated[AllFilters, Query()]) -> Response:
    """List the tasks of all agents that the key can reach, newest first."""
    return await _found(access, filters.query(agents=_listed(filters.agent_id), user_id=filters.user_id))


@router.get("/agent-execution/executions/counts", response_model=dict[str, int], responses=documented())
async def counts(access: Admitted, filters: Annotated[AllFilters, Query()]) -> Response:
    """Count the matching tasks by status, among the newest 10,000 of each."""
    asked = filters.query(agents=_listed(filters.agent_id), user_id=filters.user_id)
    return answers(dict[str, int], await access.organization.tasks.counts(access.within(asked)))


async def _found(access: Access, query: TaskQuery) -> Response:
    found = await access.organization.tasks.find(access.within(query))
    return answers(list[TaskItem], found)


def _listed(text: str | None) -> tuple[str, ...] | None:
    return tuple(each for each in text.split(",") if each) or None if text else None


def _statuses(text: str | None) -> tuple[AgentExecutionStatus, ...]:
    try:
        return tuple(AgentExecutionStatus(each) for each in (text or "").lower().split(",") if each)
    except ValueError:
        raise ValidationError(f"status must be one of {', '.join(AgentExecutionStatus)}", field="status") from None
