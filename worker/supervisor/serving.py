"""The handlers that a worker currently serves; a reload replaces the whole set."""

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
    """A set of handlers, and the card that describes the worker.

    Args:
        registry: The handlers, already checked.
        settings: The served agents and the concurrency.
        worker_id: The id of the worker; None creates a new one.
    """

    def __init__(self, registry: Registry, settings: Settings, worker_id: str | None = None) -> None:
        self.registry = registry
        self.card = introduce(registry, settings, worker_id)
        self._named = {agent: registry.handler_for(agent) for agent in self.card.agents}
        self._general = registry.handler_for("")  # the handler for any agent, since no agent has an empty id

    def handler_for(self, agent_id: str) -> Handler | None:
        """Return the handler of an agent's tasks; None means that they are not claimed."""
        if agent_id == KNOWLEDGE:
            return READER
        return self._named.get(agent_id) or self._general

    def demand(self, total: int, busy: Mapping[tuple[str, str | None], int], children: int) -> Demand:
        """Return how many tasks could start now, given the worker's free places and each handler's own limit.

        Args:
            total: The free places of the worker.
            busy: The number of running calls of each handler, by its key, including handlers that a reload has
                replaced.
            children: How many more suspects could start, each in its own process.
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
    """Return a worker's card, which describes what the worker serves and where it runs."""
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
        isolates=registry.folder is not None and settings.children > 0,  # a child discovers its handlers in the folder
    )


def _conversations(registry: Registry, agents: list[str]) -> dict[str, Mode]:
    """Return the handlers' modes for concurrent tasks of a conversation, by agent."""
    found = {agent: registry.handler_for(agent) for agent in agents}
    return {agent: handler.conversation or QUEUE for agent, handler in found.items() if handler is not None}
