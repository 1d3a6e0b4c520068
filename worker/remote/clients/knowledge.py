"""The verbs of knowledge bases over HTTP, with the routes of the public protocol."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import quote

from worker.contracts.bounds import bounded
from worker.contracts.knowledge import Embed
from worker.remote.clients.dialect import Dialect
from worker.remote.http.refusals import Subject
from worker.remote.http.transport import Repeat, Transport
from worker.wire.records import UnreadableRecord, decode, record_of, records_of
from worker.words.knowledge import (
    KnowledgeBaseDocumentItem,
    KnowledgeBaseNotFound,
    KnowledgeBaseRecord,
    KnowledgeBaseSearchResult,
    NewKnowledgeBase,
    check_documents,
)
from worker.words.texts import clean

ROOT = "/knowledge_bases"


class RemoteKnowledge:
    """The knowledge bases of a platform, over HTTP."""

    def __init__(self, transport: Transport, dialect: Dialect) -> None:
        self._transport = transport
        self._dialect = dialect

    @bounded
    async def create(self, new: NewKnowledgeBase) -> KnowledgeBaseRecord:
        """Create a knowledge base."""
        body = new.model_dump(exclude_none=True)
        answer = await self._transport.call("POST", f"{ROOT}/create", body=body, repeat=Repeat.UNSENT)
        return record_of(KnowledgeBaseRecord, decode(answer.content, "a knowledge base"))

    @bounded
    async def list(self) -> list[KnowledgeBaseRecord]:
        """Return all knowledge bases, by name."""
        answer = await self._transport.call("GET", ROOT)
        return records_of(KnowledgeBaseRecord, _rows(answer.content))

    @bounded
    async def get(self, knowledge_base_id: str) -> KnowledgeBaseRecord:
        """Return a knowledge base."""
        return record_of(
            KnowledgeBaseRecord, decode(await self._ask("GET", knowledge_base_id, "/details"), "a knowledge base")
        )

    @bounded
    async def delete(self, knowledge_base_id: str) -> KnowledgeBaseRecord:
        """Delete a knowledge base, and return its last record."""
        known = await self.get(knowledge_base_id)
        await self._ask("DELETE", knowledge_base_id, "/erase", repeat=Repeat.UNSENT)
        return known

    @bounded
    async def add(self, knowledge_base_id: str, urls: Sequence[str]) -> "list_[KnowledgeBaseDocumentItem]":
        """Add documents, which a task reads."""
        body = [{"document_url": each, "sync": False} for each in check_documents(urls)]
        return _documents(await self._ask("POST", knowledge_base_id, body=body, repeat=Repeat.UNSENT))

    async def is_served(self) -> bool:
        """Return True: whether a worker reads documents is up to the server."""
        return True

    @bounded
    async def documents(self, knowledge_base_id: str) -> "list_[KnowledgeBaseDocumentItem]":
        """Return the documents of a knowledge base, including those that are still to be read."""
        return _documents(await self._ask("GET", knowledge_base_id, "/list"))

    @bounded
    async def remove(self, knowledge_base_id: str, document_ids: Sequence[str]) -> int:
        """Remove documents, and return their number."""
        content = await self._ask("DELETE", knowledge_base_id, body=list(document_ids), repeat=Repeat.UNSENT)
        count = decode(content, "a count") if content else None
        return int(count.get("removed", 0)) if isinstance(count, dict) else len(document_ids)

    @bounded
    async def search(
        self, knowledge_base_id: str, query: str, top_k: int, *, embed: Embed | None = None
    ) -> "list_[KnowledgeBaseSearchResult]":
        """Return the passages that best match a query; the platform computes the query's vector itself."""
        del embed
        asked = {"search_query": query, "top_k": top_k, "use_bubble": "false"}
        return [
            record_of(KnowledgeBaseSearchResult, each)
            for each in _rows(await self._ask("GET", knowledge_base_id, params=asked))
        ]

    async def _ask(self, method: str, knowledge_base_id: str, path: str = "", **options: Any) -> bytes:
        if not knowledge_base_id.strip("."):
            raise KnowledgeBaseNotFound(knowledge_base_id)
        where = f"{ROOT}/{quote(clean(knowledge_base_id), safe='')}{path}"
        subject = Subject(knowledge_base_id=knowledge_base_id)
        return (await self._transport.call(method, where, subject=subject, **options)).content


def _rows(content: bytes) -> list[Any]:
    rows = decode(content, "a list")
    if not isinstance(rows, list):
        raise UnreadableRecord("a list", "not a list")
    return cast("list[Any]", rows)


def _documents(content: bytes) -> list[KnowledgeBaseDocumentItem]:
    """Parse documents; ``added_at`` is now for those of platforms that do not send it."""
    now = datetime.now(UTC)
    return [
        record_of(KnowledgeBaseDocumentItem, {"added_at": now, **each} if isinstance(each, dict) else each)
        for each in _rows(content)
    ]


list_ = list  # in the class above, ``list`` refers to its method
