"""What a worker serves: its handlers at a time. Another set takes over when they are reloaded."""

import os
import socket
from collections.abc import Mapping

from worker.agents.tools.local_tools import local
from worker.registry import Handler, Registry
from worker.settings import Settings
from worker.supervisor.operations import READER
from worker.words.conversations import ANY_AGENT, QUEUE, Mode
from worker.words.ids import new_id
from worker.words.knowledge import AGENT as KNOWLEDGE
from worker.words.work import Demand, Subscription, WorkerCard


class Serving:
    """A set of handlers, and the card that introduces them.

    Args:
        registry: The handlers, checked.
        settings: Which agents, how many tasks at once.
        worker_id: The worker's id; None means a new one.
    """

    def __init__(self, registry: Registry, settings: Settings, worker_id: str | None = None) -> None:
        self.registry = registry
        self.card = introduce(registry, settings, worker_id)
        self._named = {agent: registry.handler_for(agent) for agent in self.card.agents}
        self._general = registry.handler_for("")  # no agent has an empty name: the handler for any

    def handler_for(self, agent_id: str) -> Handler | None:
        """The handler of an agent's tasks; None means they are not asked for."""
        if agent_id == KNOWLEDGE:
            return READER
        return self._named.get(agent_id) or self._general

    def demand(self, total: int, busy: Mapping[tuple[str, str | None], int], children: int) -> Demand:
        """How many tasks could start now: the worker's free places, and each handler's own limit.

        Args:
            total: Free places in all.
            busy: How many runs of each handler are at work, by its key; those that a reload replaced count too.
            children: How many more suspects could start, each in a process of its own.
        """

        def free(handler: Handler | None) -> int:
            if handler is None:
                return 0
            if handler.concurrency is None:
                return total
            return max(0, min(total, handler.concurrency - busy.get(handler.key, 0)))

        agents = {agent: free(handler) for agent, handler in self._named.items()}
        agents[KNOWLEDGE] = free(READER)
        suspects = children if self.card.isolates else None
        return Demand(total, agents, free(self._general) if self.card.any_agent else 0, suspects)


def introduce(registry: Registry, settings: Settings, worker_id: str | None = None) -> WorkerCard:
    """Make a worker's card of what it can do and where it runs."""
    named = [handler.agent_id for handler in registry.tasks() if handler.agent_id is not None]
    general = any(handler.agent_id is None for handler in registry.tasks())
    asked = settings.agent_ids
    agents = [agent for agent in asked if general or agent in named] if asked else named
    name = os.environ.get("DYNO") or f"{socket.gethostname()}:{os.getpid()}"
    subscriptions = tuple(
        Subscription(handler.name, handler.event_type, handler.agent_id, handler.retries, handler.needs)
        for handler in registry.listeners()
    )
    return WorkerCard(
        id=worker_id or new_id(),
        name=name,
        agents=tuple(agents),
        any_agent=general and not settings.agent_ids,
        concurrency=settings.concurrency,
        lease_seconds=settings.lease_seconds,
        subscriptions=subscriptions,
        tools=tuple(local(each).record for each in registry.tools.tools),
        reads_documents=True,
        conversations=_conversations(registry, [*agents, *([ANY_AGENT] if general and not asked else [])]),
        isolates=registry.folder is not None and settings.children > 0,  # else a child would not find the handlers
    )


def _conversations(registry: Registry, agents: list[str]) -> dict[str, Mode]:
    """What handlers say of a second task of a conversation, by agent."""
    found = {agent: registry.handler_for(agent) for agent in agents}
    return {agent: handler.conversation or QUEUE for agent, handler in found.items() if handler is not None}
