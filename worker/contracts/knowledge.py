"""What is asked of a platform about knowledge bases."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from worker.words.knowledge import (
    KnowledgeBaseDocumentItem,
    KnowledgeBaseRecord,
    KnowledgeBaseSearchResult,
    NewKnowledgeBase,
)

Embed = Callable[[str, str], Awaitable[Sequence[float] | None]]
"""Makes a vector of a question, by the name of an embedder; None: this process has no such embedder, or it fails."""


class Knowledge(Protocol):
    """Knowledge bases. Every verb sees its own organization alone; another's is not found."""

    async def create(self, new: NewKnowledgeBase) -> KnowledgeBaseRecord:
        """Anyone; makes one. Raises: ValidationError (no such language), Unsupported (all that is stored is sealed)."""
        ...

    async def list(self) -> list[KnowledgeBaseRecord]:
        """Anyone; all, by name; changes nothing."""
        ...

    async def get(self, knowledge_base_id: str) -> KnowledgeBaseRecord:
        """Anyone; one. Raises: KnowledgeBaseNotFound."""
        ...

    async def delete(self, knowledge_base_id: str) -> KnowledgeBaseRecord:
        """Anyone; it is gone, with all that is in it; as it was. Raises: KnowledgeBaseNotFound."""
        ...

    async def add(self, knowledge_base_id: str, urls: Sequence[str]) -> "list_[KnowledgeBaseDocumentItem]":
        """Anyone; a task is to read documents, which every worker serves; they are ``pending`` until then.

        One that is there already is found as it was until it has been read anew. Each answers the id of the task.
        Raises: KnowledgeBaseNotFound, ValidationError.
        """
        ...

    async def is_served(self) -> bool:
        """Anyone; whether a worker is here that reads documents; over HTTP one is taken to be."""
        ...

    async def documents(self, knowledge_base_id: str) -> "list_[KnowledgeBaseDocumentItem]":
        """Anyone; what is in it, or was to be, the newest first. Raises: KnowledgeBaseNotFound."""
        ...

    async def remove(self, knowledge_base_id: str, document_ids: Sequence[str]) -> int:
        """Anyone; documents are gone; how many were there. Raises: KnowledgeBaseNotFound."""
        ...

    async def search(
        self, knowledge_base_id: str, query: str, top_k: int, *, embed: Embed | None = None
    ) -> "list_[KnowledgeBaseSearchResult]":
        """Anyone; the passages that answer a question best, at most ``top_k`` of them, the best first.

        ``embed`` is called where the knowledge base has vectors and the platform is not one that does so itself.
        Raises: KnowledgeBaseNotFound, ValidationError.
        """
        ...


class NamedKnowledge(Knowledge, Protocol):
    """Knowledge bases, as the server passes them on."""

    async def create(self, new: NewKnowledgeBase, *, agents: Sequence[str] | None = None) -> KnowledgeBaseRecord:
        """The server; as ``Knowledge.create``. ``agents``: those that the key reaches which makes it, if not all."""
        ...

    async def within(self, agents: Sequence[str]) -> frozenset[str]:
        """The server; the ids of those that a key of these agents reaches: what they search, and what it has made."""
        ...


list_ = list  # within the class above ``list`` is its method
