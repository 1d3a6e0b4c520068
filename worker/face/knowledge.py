"""Knowledge bases as user code holds them."""

import asyncio
import os
from collections.abc import Awaitable, Generator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from worker.contracts import Platform
from worker.current import run_in_hand
from worker.face import bridge
from worker.face.binding import OnPlatform
from worker.face.configuration import Configuration
from worker.face.ingesting import check_readable, ingest_here
from worker.face.uploads import FileSource, references
from worker.knowledge import embed, named
from worker.words.errors import Unavailable, ValidationError
from worker.words.knowledge import (
    TOP_K,
    KnowledgeBaseRecord,
    KnowledgeBaseSearchResult,
    NewKnowledgeBase,
)
from worker.words.knowledge import KnowledgeBaseDocumentItem as DocumentRecord

if TYPE_CHECKING:
    from agno.knowledge.embedder.base import Embedder

WAIT_SECONDS = 600.0  # default time for documents to be read


class KnowledgeBaseDocumentItem(OnPlatform, DocumentRecord):
    """A document of a knowledge base, bound to its platform."""

    async def adelete(self) -> None:
        """Remove the document. If it no longer exists, raise ``ModuleException`` (404)."""
        await bridge.across(partial(_remove_one, self.kb_id or "", self.id), self._configuration)

    def delete(self) -> "Awaitable[None]":
        """Sync version of ``adelete``, whose result may be awaited: ``await document.delete()``, as in xpander-sdk."""
        bridge.block(partial(_remove_one, self.kb_id or "", self.id), self._configuration)
        return _Done()


class _Done:
    """An awaitable that is already done."""

    def __await__(self) -> Generator[None]:
        yield from ()


class KnowledgeBase(OnPlatform, KnowledgeBaseRecord):
    """A knowledge base. Each method ``aX`` has a sync counterpart ``X``, which also works in a running loop.

    Methods raise ``ModuleException`` with the status code 404 if the knowledge base, or a named document, does not
    exist.
    """

    async def aadd_documents(
        self,
        documents: "Sequence[FileSource] | FileSource" = (),
        sync: bool | None = None,
        *,
        document_urls: "Sequence[FileSource]" = (),
        timeout: float = WAIT_SECONDS,  # noqa: ASYNC109 - limits the wait; the documents are still read
    ) -> list[KnowledgeBaseDocumentItem]:
        """Add documents, replacing existing ones, and wait until they can be searched.

        A task reads them, on any worker; without one on a database, or within a handler, this process does.

        Args:
            documents: URLs as text; local files as ``pathlib.Path``, which are uploaded and identified by their names.
            sync: ``False`` returns immediately; the documents are then ``pending`` until they have been read.
            document_urls: An alias of ``documents``.
            timeout: Seconds to wait.

        Returns:
            The documents. One that could not be read is ``unreadable``, and its ``note`` gives the reason.

        Raises:
            ModuleException: 422 if none of the documents could be read; the message names each one and the reason.
            Unavailable: The documents were not read in time, or no worker is running to read them; they stay
                ``pending``.
        """
        call = partial(add_documents, self.id, documents or document_urls, waits=sync is not False, seconds=timeout)
        added = await bridge.across(call, self._configuration)
        return [KnowledgeBaseDocumentItem.of(each, self._configuration) for each in added]

    add_documents = bridge.blocking(aadd_documents)

    async def alist_documents(self) -> list[KnowledgeBaseDocumentItem]:
        """List the documents, newest first, including those that are pending or unreadable."""
        listed = await bridge.across(lambda platform: platform.knowledge.documents(self.id), self._configuration)
        return [KnowledgeBaseDocumentItem.of(each, self._configuration) for each in listed]

    list_documents = bridge.blocking(alist_documents)

    async def adelete_document(self, document: KnowledgeBaseDocumentItem | str) -> None:
        """Remove a document, given as an object or by its id."""
        await bridge.across(partial(_remove_one, self.id, document), self._configuration)

    delete_document = bridge.blocking(adelete_document)

    async def adelete_multiple_documents(self, document_ids: Sequence[str]) -> None:
        """Remove documents by their ids. Unknown ids are ignored."""
        await bridge.across(lambda platform: platform.knowledge.remove(self.id, document_ids), self._configuration)

    delete_multiple_documents = bridge.blocking(adelete_multiple_documents)

    async def asearch(
        self,
        search_query: str,
        use_bubble: bool | None = False,
        bubble_size: int | None = None,
        top_k: int | None = TOP_K,
    ) -> list[KnowledgeBaseSearchResult]:
        """Find the passages that best answer a question.

        Args:
            search_query: The question, or keywords.
            use_bubble: Ignored; accepted for xpander-sdk. Passages are returned whole.
            bubble_size: Ignored, as ``use_bubble`` is.
            top_k: Maximum number of passages, 1 to 100. Other numbers raise ``ModuleException`` (422).

        Returns:
            Passages with scores from 0 to 1, the best first, each with its document, headings and, in a PDF, page.
        """
        del use_bubble, bubble_size
        most = TOP_K if top_k is None else top_k
        return await bridge.across(
            lambda platform: platform.knowledge.search(self.id, search_query, most, embed=embed), self._configuration
        )

    search = bridge.blocking(asearch)

    async def adelete(self) -> None:
        """Delete the knowledge base and its documents."""
        await bridge.across(lambda platform: platform.knowledge.delete(self.id), self._configuration)

    delete = bridge.blocking(adelete)


class KnowledgeBases:
    """The knowledge bases of a platform. Requests for a missing one raise ``ModuleException`` (404).

    Args:
        configuration: The platform; None means the one that the environment names.
    """

    def __init__(self, configuration: Configuration | None = None) -> None:
        self.configuration = configuration

    async def acreate(
        self,
        name: str,
        description: str | None = "",
        *,
        language: str | None = None,
        embedder: "Embedder | str | None" = None,
    ) -> KnowledgeBase:
        """Create a knowledge base.

        Args:
            name: A name for people.
            description: A description of the contents.
            language: The language of all documents, by PostgreSQL's name (``german``); None detects that of each
                document.
            embedder: The embedder for vectors: one of Agno's, or ``provider:model``, such as
                ``openai:text-embedding-3-small``; None means ``WORKER_EMBEDDER``. Without any, searches use words
                alone.

        Raises:
            ModuleException: 422 if the name or language is invalid.
            ConfigurationError: There is no such embedder.
        """
        new = new_base(name, description, language, self._embedder(embedder))
        made = await bridge.across(lambda platform: platform.knowledge.create(new), self.configuration)
        return KnowledgeBase.of(made, self.configuration)

    create = bridge.blocking(acreate)

    async def alist(self) -> list[KnowledgeBase]:
        """List all knowledge bases, by name."""
        found = await bridge.across(lambda platform: platform.knowledge.list(), self.configuration)
        return [KnowledgeBase.of(each, self.configuration) for each in found]

    list = bridge.blocking(alist)

    async def aget(self, knowledge_base_id: str) -> KnowledgeBase:
        """Load a knowledge base."""
        found = await bridge.across(lambda platform: platform.knowledge.get(knowledge_base_id), self.configuration)
        return KnowledgeBase.of(found, self.configuration)

    get = bridge.blocking(aget)

    async def adelete(self, knowledge_base_id: str) -> None:
        """Delete a knowledge base and its documents."""
        await bridge.across(lambda platform: platform.knowledge.delete(knowledge_base_id), self.configuration)

    delete = bridge.blocking(adelete)

    def _embedder(self, given: "Embedder | str | None") -> str | None:
        settings = (self.configuration or Configuration()).settings
        chosen = given if given is not None else settings.embedder
        return None if chosen is None else named(chosen)


def new_base(name: str, description: str | None, language: str | None, embedder: str | None) -> NewKnowledgeBase:
    """Build the record of a new knowledge base, or raise ValidationError or ConfigurationError."""
    import pydantic

    try:
        known = None if embedder is None else named(embedder)
        return NewKnowledgeBase(name=name, description=description or None, language=language, embedder=known)
    except pydantic.ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = str(first["loc"][0])
        raise ValidationError(f"{where}: {first['msg']}", field=where) from None


async def _remove_one(knowledge_base_id: str, document: DocumentRecord | str, platform: Platform) -> None:
    from worker.words.errors import NotFound

    document_id = document if isinstance(document, str) else document.id
    if not await platform.knowledge.remove(knowledge_base_id, [document_id]):
        raise NotFound(f"There is no document {document_id[:128]!r} in this knowledge base.")


async def add_documents(
    knowledge_base_id: str,
    documents: "Sequence[FileSource] | FileSource",
    platform: Platform,
    *,
    waits: bool = True,
    seconds: float = WAIT_SECONDS,
) -> list[DocumentRecord]:
    """Add documents on a platform; see ``KnowledgeBase.aadd_documents``."""
    given = [documents] if isinstance(documents, str | os.PathLike) else list(documents)
    added = await platform.knowledge.add(knowledge_base_id, await references(platform, given))
    if not waits:
        return added
    for task_id in dict.fromkeys(each.task_id for each in added if each.task_id is not None):
        try:
            async with asyncio.timeout(seconds):
                await _read(platform, task_id)
        except TimeoutError:
            is_taken = (await platform.tasks.get(task_id)).started_at is not None
            why = "" if is_taken else ": no worker has claimed the task; check that a worker is running"
            raise Unavailable(f"the documents were not read within {seconds:g} s by task {task_id}{why}") from None
    now = {each.id: each for each in await platform.knowledge.documents(knowledge_base_id)}
    return check_readable([now.get(each.id, each) for each in added])


async def _read(platform: Platform, task_id: str) -> None:
    """Wait until a task has read its documents. Read them here if no worker does, or within a handler."""
    if run_in_hand.get() is not None or not await platform.knowledge.is_served():
        await ingest_here(platform, task_id)
        return
    async for _ in platform.tasks.events(task_id):
        pass


list_ = list  # within the class above, ``list`` is the method
