"""The verbs of lists (tasks, conversations, requests) over HTTP."""

from collections.abc import Sequence
from typing import Any

from worker.contracts.bounds import bounded
from worker.remote.clients.agents import RemoteAgentVerbs
from worker.remote.clients.verbs import EXECUTION, in_path
from worker.wire.records import record_of, records_of
from worker.words.conversations import ConversationItem, ConversationQuery, ConversationRecord
from worker.words.requests import OpenRequest, RequestQuery
from worker.words.statuses import AgentExecutionStatus
from worker.words.task_lists import TaskItem, TaskQuery


class ListVerbs(RemoteAgentVerbs):
    """Lists, newest first. A bare platform supports fewer filters, so the rest are applied here."""

    @bounded
    async def find(self, query: TaskQuery) -> list[TaskItem]:
        """Return tasks, newest first; filters that the platform lacks are applied here."""
        history = f"{EXECUTION}/executions/history"
        if _matches_nothing(query):
            return []
        if query.agent_id is not None:
            items = await self._history(f"{history}/{in_path(query.agent_id)}", query)
        elif query.user_id is not None:
            items = await self._history(f"{history}/user/{in_path(query.user_id)}", query)
        elif await self._dialect.native():
            items = await self._history(history, query, agents=query.agents)
        else:
            agents = query.agents if query.agents is not None else [agent.id for agent in await self.list_agents()]
            items = [item for agent in agents for item in await self._history(f"{history}/{in_path(agent)}", query)]
        return _page(items, query)

    @bounded
    async def counts(self, query: TaskQuery) -> dict[AgentExecutionStatus, int]:
        """Count tasks by status."""
        await self._require_native("count tasks")
        if _matches_nothing(query):
            return dict.fromkeys(AgentExecutionStatus, 0)
        agents = query.agents if query.agent_id is None else [query.agent_id]
        params = _params(query, agents=agents)
        known = await self._read(f"{EXECUTION}/executions/counts", "counts", params=params)
        return {status: int(known.get(status, 0)) for status in AgentExecutionStatus}

    async def _history(self, path: str, query: TaskQuery, agents: Sequence[str] | None = None) -> list[TaskItem]:
        return records_of(TaskItem, await self._read(path, "a list of tasks", params=_params(query, agents=agents)))

    @bounded
    async def conversation(self, conversation_id: str, query: ConversationQuery) -> ConversationRecord:
        """Return a conversation."""
        found = await self._conversations(f"/{in_path(conversation_id)}", "a conversation", query)
        return record_of(ConversationRecord, found)

    @bounded
    async def find_conversations(self, query: ConversationQuery) -> list[ConversationItem]:
        """Return conversations, the one with the newest task first."""
        return records_of(ConversationItem, await self._conversations("", "a list of conversations", query))

    async def _conversations(self, path: str, what: str, query: ConversationQuery) -> Any:
        await self._require_native("list conversations")
        asked = query.model_dump(mode="json", exclude_none=True, exclude={"agents"})
        return await self._read(f"/conversations{path}", what, params=asked)

    @bounded
    async def requests(self, query: RequestQuery) -> list[OpenRequest]:
        """Return the requests that wait for a person."""
        await self._require_native("list tasks that wait for a person")
        asked = query.model_dump(mode="json", exclude_none=True, exclude={"agents"})
        return records_of(OpenRequest, await self._read("/requests", "a list of requests", params=asked))


def _matches_nothing(query: TaskQuery) -> bool:
    """Return whether no agent's task can match."""
    return (query.agents is not None and query.agent_id not in (None, *query.agents)) or query.agents == ()


def _params(query: TaskQuery, *, agents: Sequence[str] | None) -> dict[str, Any]:
    """Return a query as URL parameters."""
    params = query.model_dump(mode="json", exclude={"agent_id", "agents", "status", "statuses"})
    statuses = [query.status] if query.status is not None else query.statuses
    return params | {"status": ",".join(statuses) or None, "agent_id": ",".join(agents or ()) or None}


def _page(items: list[TaskItem], query: TaskQuery) -> list[TaskItem]:
    """Apply order, cursor, filters and limit, in case the platform does not support them."""
    items = sorted(items, key=lambda item: (item.created_at, item.id), reverse=True)
    place = next((place for place, item in enumerate(items) if item.id == query.before), None)
    if place is not None:
        items = items[place + 1 :]
    return [item for item in items if _fits(item, query)][: query.limit]


def _fits(item: TaskItem, query: TaskQuery) -> bool:
    """Return whether an item matches. Fields that it lacks count as matching, since the platform was asked for them."""
    known = {"agent_id": item.agent_id, "status": item.status, "user_id": item.user_id or query.user_id}
    known["finish_reason"] = item.finish_reason
    return (
        all(getattr(query, name) in (None, value) for name, value in known.items())
        and (query.agents is None or item.agent_id in query.agents)
        and (not query.statuses or item.status in query.statuses)
        and query.error_code in (None, item.error_code)
        and (query.created_after is None or item.created_at >= query.created_after)
        and (query.created_before is None or item.created_at < query.created_before)
        and _has_text(item, query.text or "")
    )


def _has_text(item: TaskItem, text: str) -> bool:
    """Return whether an item contains a text. If it has an input, it comes from our server, which has searched."""
    known = (item.id, item.internal_status, item.title, item.text, item.result)
    return item.text is not None or any(text.lower() in each.lower() for each in known if each)
