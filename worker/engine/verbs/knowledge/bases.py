"""The verbs of knowledge bases, for one organization."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from worker.contracts.bounds import bounded
from worker.contracts.knowledge import Embed
from worker.engine.core import Core
from worker.engine.verbs.audit import EngineAudit
from worker.engine.verbs.knowledge import statements
from worker.engine.verbs.knowledge.languages import LANGUAGES, check_language
from worker.engine.verbs.knowledge.searching import Ranked, Search, fused
from worker.engine.verbs.knowledge.storing import PART_SECONDS, drop_editions
from worker.engine.verbs.knowledge.vectors import NO_VECTORS, Vectors
from worker.engine.verbs.tasks import EngineTasks
from worker.words.actors import AuditAction
from worker.words.digests import digest
from worker.words.errors import Unsupported, ValidationError
from worker.words.ids import new_id
from worker.words.invisible_characters import name_of
from worker.words.knowledge import (
    MAX_RESULTS,
    KnowledgeBaseDocumentItem,
    KnowledgeBaseNotFound,
    KnowledgeBaseRecord,
    KnowledgeBaseSearchResult,
    NewKnowledgeBase,
    check_documents,
    document_id,
    new_ingestion,
)
from worker.words.notices import VectorsMissing, announce
from worker.words.texts import clean

BATCH = 5_000  # rows deleted per statement
SHOWN = 80  # characters shown of a data: URL


class EngineKnowledge:
    """The knowledge bases of one organization."""

    def __init__(self, core: Core, organization_id: str, tasks: EngineTasks) -> None:
        self._core = core
        self._organization = organization_id
        self._tasks = tasks
        self._audit = EngineAudit(core, organization_id)
        self.vectors = Vectors(core)
        self._has_told = False

    @bounded
    async def create(self, new: NewKnowledgeBase, *, agents: Sequence[str] | None = None) -> KnowledgeBaseRecord:
        """Create a knowledge base; ``agents`` are those that the creating key can access, if it is limited to some."""
        if self._core.vault.everything:
            raise Unsupported("store knowledge bases while WORKER_ENCRYPT is all", "The platform")
        if new.language is not None:
            check_language(new.language, [row["language"] for row in await self._core.read(LANGUAGES)])
        row: dict[str, Any] = {"id": f"kb-{new_id()}", "organization": self._organization}
        row["name"] = name_of(clean(new.name))
        if not row["name"]:
            raise ValidationError("it has no visible character", field="name")
        row |= {"description": clean(new.description), "language": new.language, "embedder": new.embedder}
        row |= {"agents": None if agents is None else list(agents)}
        async with self._audit.of(AuditAction.KnowledgeBaseCreated, f"knowledge base {row['id']}"):
            await self._core.rows(statements.CREATE, row)
        made = await self.get(str(row["id"]))
        if made.embedder is not None and not made.has_vectors and not self._has_told:
            self._has_told = True
            announce(VectorsMissing(NO_VECTORS))
        return made

    @bounded
    async def list(self) -> list[KnowledgeBaseRecord]:
        """List all knowledge bases, by name."""
        rows = await self._core.read(statements.LIST, (self._organization,))
        return [KnowledgeBaseRecord.model_validate(row) for row in rows]

    @bounded
    async def get(self, knowledge_base_id: str) -> KnowledgeBaseRecord:
        """Return a knowledge base."""
        return (await self._known(knowledge_base_id))[0]

    @bounded
    async def within(self, agents: Sequence[str]) -> frozenset[str]:
        """Return the ids of the knowledge bases that a key limited to these agents can access."""
        asked = {"organization": self._organization, "agents": list(agents)}
        return frozenset(row["id"] for row in await self._core.read(statements.WITHIN, asked))

    async def _known(self, knowledge_base_id: str) -> tuple[KnowledgeBaseRecord, int]:
        rows = await self._core.read(statements.GET, (self._organization, clean(knowledge_base_id)))
        if not rows:
            raise KnowledgeBaseNotFound(knowledge_base_id)
        return KnowledgeBaseRecord.model_validate(rows[0]), rows[0]["number"]

    async def delete(self, knowledge_base_id: str) -> KnowledgeBaseRecord:
        """Delete a knowledge base; it disappears immediately, and its contents are deleted some rows at a time."""
        record, _ = await self._known(knowledge_base_id)
        async with self._audit.of(AuditAction.KnowledgeBaseDeleted, f"knowledge base {record.id}"):
            rows = await self._core.rows(statements.DELETE, (self._organization, record.id))
            if not rows:
                raise KnowledgeBaseNotFound(knowledge_base_id)
        for left in {rows[0]["number"], *(row["base"] for row in await self._core.rows(statements.ORPHANS))}:
            await self._clear(left)
        return record

    async def _clear(self, base: int) -> None:
        """Delete the contents of a deleted knowledge base; after a crash, the next deletion continues."""
        has_vectors = await self.vectors.place() is not None
        if has_vectors:
            self.vectors.forget(base)
        for statement in (*([statements.LEFT_VECTORS] if has_vectors else []), *statements.LEFT):
            while await self._deleted(statement, base) == BATCH:
                pass

    async def _deleted(self, statement: Any, base: int) -> int:
        async with self._core.connection(PART_SECONDS) as connection:
            return (await connection.execute(statement, {"base": base, "batch": BATCH})).rowcount

    @bounded
    async def add(self, knowledge_base_id: str, urls: Sequence[str]) -> "list_[KnowledgeBaseDocumentItem]":
        """Add documents, to be read by a task."""
        record, base = await self._known(knowledge_base_id)
        named: dict[str, str] = {}
        for url in check_documents(urls):
            known = named.setdefault(document_id(record.id, url), url)
            if known != url:
                raise ValidationError(
                    f"two documents are named {_name(url)!r}. Uploaded files are identified by name: rename one of"
                    " them",
                    field="document_url",
                )
        under = new_id()
        row = {
            "base": base,
            "task": under,
            "ids": list(named),
            "urls": [_shown(each) for each in named.values()],
            "names": [_name(each) for each in named.values()],
        }
        await self._core.rows(statements.ADD_DOCUMENTS, row)
        await self._tasks.create(new_ingestion(record, named), under=under)
        rows = await self._core.read(statements.DOCUMENTS_OF, (base, list(named)))
        found = {row["id"]: _item(row, record.id) for row in rows}
        return [found[each] for each in named if each in found]

    @bounded
    async def is_served(self) -> bool:
        """Return whether there is a worker that reads documents."""
        return bool(await self._core.read(statements.SERVED, (self._organization,)))

    @bounded
    async def documents(self, knowledge_base_id: str) -> "list_[KnowledgeBaseDocumentItem]":
        """List the documents of a knowledge base, including those that are pending or unreadable."""
        record, base = await self._known(knowledge_base_id)
        return [_item(row, record.id) for row in await self._core.read(statements.DOCUMENTS, (base,))]

    async def remove(self, knowledge_base_id: str, document_ids: Sequence[str]) -> int:
        """Remove documents with all their passages, and return how many there were."""
        _, base = await self._known(knowledge_base_id)
        place = await self.vectors.place()
        count = 0
        ids = list(dict.fromkeys(clean(each) for each in document_ids))
        async with self._audit.of(
            AuditAction.DocumentsRemoved, f"knowledge base {knowledge_base_id}", documents=len(ids)
        ):
            for each in ids:
                async with self._core.connection(PART_SECONDS) as connection, connection.transaction():
                    asked = {"base": base, "documents": [each]}
                    count += (await connection.execute(statements.REMOVE_DOCUMENTS, asked)).rowcount
                    await drop_editions(connection, base, [each], place)
        return count

    @bounded
    async def search(
        self, knowledge_base_id: str, query: str, top_k: int, *, embed: Embed | None = None
    ) -> "list_[KnowledgeBaseSearchResult]":
        """Return the passages that best answer a question."""
        rows = await self._core.read(statements.SEARCHED, (self._organization, clean(knowledge_base_id)))
        if not rows:
            raise KnowledgeBaseNotFound(knowledge_base_id)
        base = rows[0]
        if not 1 <= top_k <= MAX_RESULTS:
            raise ValidationError(f"top_k must be a number from 1 to {MAX_RESULTS}", field="top_k")
        query = clean(query)
        search = Search(self._core, base["number"], top_k)
        by_vector = asyncio.create_task(self._by_vector(search, base, query, embed))  # embedding may take a while
        try:
            found = await search.by_words(query)
            nearest = await by_vector
        finally:
            by_vector.cancel()
        return await search.passages(found if nearest is None else fused(found, nearest))

    async def _by_vector(
        self, search: Search, base: Mapping[str, Any], query: str, embed: Embed | None
    ) -> "list_[Ranked] | None":
        """Return the passages nearest to a question; None if the base or the question has no usable vector."""
        if base["embedder"] is None or not base["has_vectors"] or embed is None or not query.strip():
            return None
        vector = await embed(base["embedder"], query)
        if vector is None or len(vector) != base["dimensions"]:
            return None
        return await search.by_vector(self.vectors, vector)


def _item(row: dict[str, Any], knowledge_base_id: str) -> KnowledgeBaseDocumentItem:
    return KnowledgeBaseDocumentItem.model_validate({**row, "kb_id": knowledge_base_id})


def _name(url: str) -> str:
    """Return the name of a document before it has been read."""
    if url.startswith("data:"):
        return ""
    try:
        path = urlsplit(url).path
    except ValueError:
        return ""
    return clean(unquote(path.rstrip("/").rpartition("/")[2]))[:255]


def _shown(url: str) -> str:
    """Return a URL as it is stored: a data: URL is shortened, so that the document is not stored twice."""
    return url if not url.startswith("data:") else f"{url[:SHOWN].partition(',')[0]},…{digest(url)}"


list_ = list  # within the class above, ``list`` is a method
