"""Retrieval for Agno's agents: their knowledge bases, together with their own Agno ``Knowledge``."""

import asyncio
import inspect
import sys
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain, zip_longest
from typing import Any, NamedTuple

from worker.agents.tools.local_tools import LocalTool
from worker.contracts import Platform
from worker.current import current_call_key, run_in_hand
from worker.face import bridge
from worker.face.configuration import Configuration
from worker.face.invoking import Invocation
from worker.face.tools import Tool
from worker.knowledge import embed
from worker.toolbox import RegisteredTool
from worker.words.errors import ModuleException
from worker.words.knowledge import MAX_RESULTS, KnowledgeBaseSearchResult

TOOL = "search_knowledge_base"
"""Agno's name for the tool with which an agent searches."""

COUNT = 5  # passages for an agent that does not give a number
FIELDS = ("document_name", "document_url", "heading", "page", "score")

Retriever = Callable[..., Any]


def retriever(bases: Sequence[str], configuration: Configuration | None, agent_id: str) -> Retriever:
    """Build a function for ``agno.agent.Agent(knowledge_retriever=…)``, which ``arun`` can await and ``run`` can call.

    Its results include those of the agent's own ``knowledge``, which Agno does not search if there is a retriever.

    Args:
        bases: The ids of the knowledge bases.
        configuration: The platform of the knowledge bases; None means the default one.
        agent_id: The agent on whose behalf they are searched.
    """
    ours = _Ours(tuple(dict.fromkeys(bases)), configuration, agent_id)

    def retrieve(
        query: str,
        num_documents: int | None = None,
        agent: Any = None,
        filters: Any = None,
        user_id: str | None = None,
    ) -> Any:
        asked = _Asked(query, min(num_documents or COUNT, MAX_RESULTS), filters, user_id)
        knowledge = getattr(agent, "knowledge", None)
        if sys._getframe(1).f_code.co_flags & inspect.CO_COROUTINE:  # noqa: SLF001 - a coroutine can await the result
            return _both(ours, knowledge, asked)
        mine = bridge.block(lambda _: ours.found(query, asked.most), configuration)
        its_own = [] if knowledge is None else _as_documents(knowledge.search(**asked.of(knowledge.search)))
        return _mixed(mine, its_own, asked.most)

    return retrieve


class _Asked(NamedTuple):
    """A search as requested by Agno."""

    query: str
    most: int
    filters: Any
    user_id: str | None

    def of(self, search: Callable[..., Any]) -> dict[str, Any]:
        """Return arguments for a search of Agno's own, with ``user_id`` only if it separates documents by user."""
        given = {"query": self.query, "max_results": self.most, "filters": self.filters}
        known = inspect.signature(search).parameters
        keeps_apart = "user_id" in known or any(each.kind is each.VAR_KEYWORD for each in known.values())
        return {**given, "user_id": self.user_id} if keeps_apart else given


async def _both(ours: "_Ours", knowledge: Any, asked: _Asked) -> list[dict[str, Any]]:
    mine = await ours.found(asked.query, asked.most)
    if knowledge is None:
        return mine
    search = getattr(knowledge, "asearch", None)
    if search is not None:
        found = await search(**asked.of(search))
    else:
        found = await asyncio.to_thread(lambda: knowledge.search(**asked.of(knowledge.search)))
    return _mixed(mine, _as_documents(found), asked.most)


def _as_documents(found: Any) -> list[Any]:
    return [each.to_dict() if hasattr(each, "to_dict") else each for each in found or ()]


def _mixed(mine: Sequence[Any], its_own: Sequence[Any], count: int) -> list[Any]:
    """Interleave both results, the best of each first."""
    pairs = chain.from_iterable(zip_longest(mine, its_own))
    return [each for each in pairs if each is not None][: max(count, len(mine))]


class _Ours:
    """The knowledge bases of an agent."""

    def __init__(self, bases: tuple[str, ...], configuration: Configuration | None, agent_id: str) -> None:
        self._bases = bases
        self._configuration = configuration
        self._agent_id = agent_id

        async def search_knowledge_base(query: str, count: int = COUNT) -> list[dict[str, Any]]:
            return await self._searched(query, count)

        self._tool = RegisteredTool(search_knowledge_base, name=TOOL)

    async def found(self, query: str, count: int) -> list[dict[str, Any]]:
        """Search all knowledge bases. Within an attempt, the search is journaled, unless a tool call contains it.

        Raises:
            ModuleException: A knowledge base no longer exists, or cannot be reached.
        """
        run = run_in_hand.get()
        if run is None or run.attempt is None or current_call_key.get() is not None:
            return await self._searched(query, count)

        function = LocalTool(self._tool)
        tool = Tool.of(function.record, self._configuration, function)
        result = await Invocation(tool, self._agent_id, {"query": query, "count": count}).make()
        if not result.is_success:
            raise ModuleException(result.status_code, result.error)
        return result.result

    async def _searched(self, query: str, count: int) -> list[dict[str, Any]]:
        found = [
            each
            for base in self._bases
            for each in await bridge.across(partial(_search, base, query, count), self._configuration)
        ]
        best = sorted(found, key=lambda each: -each.score)[:count]
        return [{"content": each.content, **_where(each)} for each in best]


async def _search(base: str, query: str, count: int, platform: Platform) -> list[KnowledgeBaseSearchResult]:
    return await platform.knowledge.search(base, query, count, embed=embed)


def _where(result: KnowledgeBaseSearchResult) -> dict[str, Any]:
    """Return the source of a passage, as shown to the model."""
    fields = {name: getattr(result, name) for name in FIELDS}
    fields["score"] = round(result.score, 3)
    return {name: value for name, value in fields.items() if value is not None}
