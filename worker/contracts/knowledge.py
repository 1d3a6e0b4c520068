"""The verbs of knowledge bases."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from worker.words.knowledge import (
    KnowledgeBaseDocumentItem,
    KnowledgeBaseRecord,
    KnowledgeBaseSearchResult,
    NewKnowledgeBase,
)

Embed = Callable[[str, str], Awaitable[Sequence[float] | None]]
"""Returns the vector of a question, given an embedder's name; None if the embedder is missing here, or fails."""


class Knowledge(Protocol):
    """The verbs of knowledge bases, for any client. Knowledge bases of other organizations are not found."""

    async def create(self, new: NewKnowledgeBase) -> KnowledgeBaseRecord:
        """Create a knowledge base.

        Raises:
            ValidationError: The language is unknown.
            Unsupported: All stored data is encrypted (``WORKER_ENCRYPT=all``).
        """
        ...

    async def list(self) -> list[KnowledgeBaseRecord]:
        """Return all knowledge bases, by name."""
        ...

    async def get(self, knowledge_base_id: str) -> KnowledgeBaseRecord:
        """Return a knowledge base.

        Raises:
            KnowledgeBaseNotFound: There is no such knowledge base.
        """
        ...

    async def delete(self, knowledge_base_id: str) -> KnowledgeBaseRecord:
        """Delete a knowledge base with its documents, and return its last record.

        Raises:
            KnowledgeBaseNotFound: There is no such knowledge base.
        """
        ...

    async def add(self, knowledge_base_id: str, urls: Sequence[str]) -> "list_[KnowledgeBaseDocumentItem]":
        """Create a task, served by every worker, that reads documents; they are ``pending`` until then.

        An existing document is found in its former state until it has been read again. Each item has the id of the
        task.

        Raises:
            KnowledgeBaseNotFound: There is no such knowledge base.
            ValidationError: A URL is invalid.
        """
        ...

    async def is_served(self) -> bool:
        """Return whether a live worker reads documents. Over HTTP, this is assumed."""
        ...

    async def documents(self, knowledge_base_id: str) -> "list_[KnowledgeBaseDocumentItem]":
        """Return the documents of a knowledge base, including pending and unreadable ones, newest first.

        Raises:
            KnowledgeBaseNotFound: There is no such knowledge base.
        """
        ...

    async def remove(self, knowledge_base_id: str, document_ids: Sequence[str]) -> int:
        """Remove documents, and return how many existed.

        Raises:
            KnowledgeBaseNotFound: There is no such knowledge base.
        """
        ...

    async def search(
        self, knowledge_base_id: str, query: str, top_k: int, *, embed: Embed | None = None
    ) -> "list_[KnowledgeBaseSearchResult]":
        """Return the passages that best answer a question, the best first.

        Args:
            knowledge_base_id: The knowledge base.
            query: The question.
            top_k: Maximum number of passages.
            embed: Makes the question's vector, if the knowledge base has vectors and the platform does not do so
                itself.

        Raises:
            KnowledgeBaseNotFound: There is no such knowledge base.
            ValidationError: ``top_k`` is invalid.
        """
        ...


class NamedKnowledge(Knowledge, Protocol):
    """The verbs of knowledge bases, as the server calls them."""

    async def create(self, new: NewKnowledgeBase, *, agents: Sequence[str] | None = None) -> KnowledgeBaseRecord:
        """Create a knowledge base, as ``Knowledge.create`` does.

        Args:
            new: The knowledge base.
            agents: The agents that the creating key reaches; None means all.
        """
        ...

    async def within(self, agents: Sequence[str]) -> frozenset[str]:
        """Return the ids that a key of these agents reaches: searched by the agents, or created by such a key."""
        ...


list_ = list  # within the class above, ``list`` is the method
