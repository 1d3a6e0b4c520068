"""Lists of tasks, requests and conversations: their filters and their items."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypedDict

import pydantic

from worker.face import bridge
from worker.face.binding import OnPlatform
from worker.face.changes import as_validation_error
from worker.face.configuration import Configuration
from worker.face.task import Task
from worker.words.conversations import ConversationQuery
from worker.words.errors import ValidationError
from worker.words.requests import RequestQuery
from worker.words.statuses import AgentExecutionStatus
from worker.words.task_lists import TaskItem, TaskQuery


class UserTaskFilters(TypedDict, total=False):
    """Filters for a user's tasks, listed newest first; see ``FILTERS`` in ``words/task_options.py``."""

    agents: Sequence[str] | None
    parent_task_id: str | None
    triggering_agent_id: str | None
    status: AgentExecutionStatus | str | None
    statuses: Sequence[AgentExecutionStatus | str] | None
    internal_status: str | None
    error_code: str | None
    finish_reason: str | None
    text: str | None
    created_after: datetime | str | None
    created_before: datetime | str | None
    limit: int | None
    before: str | None


class TaskFilters(UserTaskFilters, total=False):
    """Filters for tasks, listed newest first."""

    user_id: str | None


class TasksListItem(OnPlatform, TaskItem):
    """A task as listed; ``aload`` loads the whole task."""

    async def aload(self, configuration: Configuration | None = None) -> Task:
        """Load the whole task.

        Args:
            configuration: The task's platform; None means the one that the list came from.

        Raises:
            ModuleException: 404 if the task no longer exists.
        """
        return await Task.aload(self.id, configuration or self._configuration)

    load = bridge.blocking(aload)


def query_of(filters: Mapping[str, Any]) -> TaskQuery:
    """Build a query for tasks.

    Raises:
        ValidationError: A filter is unknown, or its value is invalid.
    """
    given = {name: value for name, value in filters.items() if value is not None}
    unknown = given.keys() - TaskQuery.model_fields.keys()
    if unknown:
        raise ValidationError(f"unknown filter {min(unknown)!r} for tasks", field=min(unknown))
    try:
        return TaskQuery.model_validate(given)
    except pydantic.ValidationError as error:
        raise as_validation_error(error) from None


def requests_query(agent_id: str | None, limit: int, after: str | None) -> RequestQuery:
    """Build a query for open requests.

    Raises:
        ValidationError: A value is invalid.
    """
    try:
        return RequestQuery(agent_id=agent_id, limit=limit, after=after)
    except pydantic.ValidationError as error:
        raise as_validation_error(error) from None


def conversations_query(agent_id: str | None, limit: int) -> ConversationQuery:
    """Build a query for conversations.

    Raises:
        ValidationError: A value is invalid.
    """
    try:
        return ConversationQuery(agent_id=agent_id, limit=limit)
    except pydantic.ValidationError as error:
        raise as_validation_error(error) from None
