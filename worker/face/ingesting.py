"""Reading of a knowledge base's documents, as a task: by any worker, or by this process if there is none.

Each document is stored completely before the next one is read, and its own state records that: an attempt that resumes
the task continues with the first document that is still pending.
"""

import asyncio
import json
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from worker.bounded import on_behalf_of
from worker.contracts import Platform
from worker.current import run_in_hand
from worker.face import bridge, reading
from worker.face.document_texts import text_of
from worker.face.task import Task
from worker.knowledge import Text, divided, embed_all
from worker.redaction import message_to_show
from worker.words.classification import classify
from worker.words.errors import LeaseLost, ModuleException, NotFound
from worker.words.events import note_event
from worker.words.ids import new_id
from worker.words.knowledge import (
    AGENT,
    Chunk,
    DocumentGone,
    DocumentPart,
    DocumentStatus,
    Ingestion,
    KnowledgeBaseDocumentItem,
    KnowledgeBaseNotFound,
    KnowledgeBaseRecord,
    ingestion_of,
)
from worker.words.outcomes import HandBack, Outcome
from worker.words.statuses import AgentExecutionStatus
from worker.words.tasks import TaskRecord
from worker.words.work import Assignment, Demand, WorkerCard

PART = 100  # passages stored in one transaction
POLL_SECONDS = 1.0
SHORT = 200  # maximum length of a name, in characters


async def read_documents(task: Task) -> Task:
    """Read the documents that a task names; the handler of such tasks in every worker."""
    run = run_in_hand.get()
    if run is None or run.attempt is None:
        raise RuntimeError("documents can only be read within an attempt")
    attempt = run.attempt
    task.result = await bridge.across(lambda platform: DocumentReading(platform, task, attempt).read())
    return task


async def ingest_here(platform: Platform, task_id: str) -> None:
    """Act as a worker for tasks that read documents, with separate connections, until the given task has ended."""
    own = platform.another()
    await own.open()
    card = WorkerCard(id=new_id(), name=f"{socket.gethostname()}:{os.getpid()} documents", concurrency=1)
    try:
        await own.work.register(card)
        while not AgentExecutionStatus((await own.tasks.get(task_id)).status).is_terminal:
            for each in await own.work.assignments(card.id, lambda: Demand(1, {AGENT: 1}), POLL_SECONDS):
                await _carry_out(own, each)
    finally:
        await reading.closed(own)
        with suppress(ModuleException):
            await own.work.leave(card.id)
        await own.close()


async def _carry_out(platform: Platform, assignment: Assignment) -> None:
    """Run one attempt. An error becomes the task's result, for the caller who waits for it."""
    task, attempt = assignment
    try:
        result = await DocumentReading(platform, task, attempt).read()
        outcome = Outcome(AgentExecutionStatus.Completed, {"result": result})
    except LeaseLost:
        return  # the task was stopped
    except asyncio.CancelledError:
        with suppress(ModuleException):
            await platform.work.hand_back(task.id, attempt, HandBack())
        raise
    except Exception as error:  # noqa: BLE001 - any error becomes the task's result
        changes = {"result": message_to_show(error), "error_code": classify(error).code}
        outcome = Outcome(AgentExecutionStatus.Error, changes)
    with suppress(LeaseLost):
        await platform.work.finish(task.id, attempt, outcome)


@dataclass(slots=True)
class _Said:
    """The content of a document, as it is read."""

    name: str = ""
    notes: list[str] = field(default_factory=list[str])
    texts: list[Text] = field(default_factory=list[Text])

    @property
    def note(self) -> str | None:
        return " ".join(self.notes) or None


class DocumentReading:
    """An attempt at a task that reads documents.

    Args:
        platform: The task's platform.
        task: The task.
        attempt: The attempt's number.
    """

    def __init__(self, platform: Platform, task: TaskRecord, attempt: int) -> None:
        self._platform = platform
        self._task = task
        self._attempt = attempt

    async def read(self) -> str:
        """Read the documents that are still pending, and return the outcome of each as JSON.

        Raises:
            KnowledgeBaseNotFound: The knowledge base no longer exists.
            LeaseLost: The task was stopped, or another attempt owns it.
            ModuleException: None of the documents could be read, or the embedder failed, which a retry may fix.
        """
        asked = ingestion_of(self._task)
        if asked is None:
            raise ModuleException(422, "The task names no documents to read.")
        base = await self._platform.knowledge.get(asked.knowledge_base_id)
        on_behalf_of.set(base.organization_id)
        pending = await self._pending(asked)
        for number, each in enumerate(asked.documents):
            if each in pending:
                await self._report_progress(number, len(asked.documents))
                await self._one(base, each, asked.documents[each])
        return await self._result(asked)

    async def _pending(self, asked: Ingestion) -> set[str]:
        """Return the documents that this task still has to read; one that was added again belongs to another task."""
        found = await self._platform.knowledge.documents(asked.knowledge_base_id)
        is_read = DocumentStatus.Ready
        mine = {each.id for each in found if each.task_id == self._task.id and each.status is not is_read}
        return mine & asked.documents.keys()

    async def _one(self, base: KnowledgeBaseRecord, document_id: str, url: str) -> None:
        said = await self._read(url)
        try:
            count = await self._store(base, document_id, said)
            if not count:
                if not said.notes:
                    said.notes.append(f"{said.name or 'the document'} could not be read: it contains no text.")
                await self._put(base, document_id, 0, [], said, is_unreadable=True)
        except KnowledgeBaseNotFound:
            raise
        except DocumentGone:
            return
        except NotFound as error:  # over HTTP, both errors arrive as NotFound
            await self._note(message_to_show(error))
            return
        for note in said.notes:
            await self._note(note)

    async def _read(self, url: str) -> _Said:
        """Read a document's texts, with notes on anything that cannot be read."""
        attachments = await reading.read(self._platform, [url], None)
        said = _Said()
        try:
            for number, item in enumerate(attachments.items):
                said.name = said.name or item.name[:SHORT]
                if item.note:
                    said.notes.append(item.note)
                text, notes = await text_of(item)
                said.notes += notes
                if text is not None:
                    said.texts.append(text if number == 0 else Text(text.content, item.name, has_pages=text.has_pages))
        finally:
            attachments.release()
        return said

    async def _store(self, base: KnowledgeBaseRecord, document_id: str, said: _Said) -> int:
        """Store a document's passages in parts, and return their number."""
        chunks = await asyncio.to_thread(lambda: [each for text in said.texts for each in divided(text)])
        for first in range(0, len(chunks), PART):
            part = chunks[first : first + PART]
            if base.embedder is not None and base.has_vectors:
                vectors = await embed_all(base.embedder, [_embedded(each) for each in part])
                part = [each._replace(vector=vector) for each, vector in zip(part, vectors, strict=True)]
            await self._put(base, document_id, first, part, said, is_last=first + PART >= len(chunks))
        return len(chunks)

    async def _put(
        self,
        base: KnowledgeBaseRecord,
        document_id: str,
        first: int,
        chunks: Sequence[Chunk],
        said: _Said,
        *,
        is_last: bool = False,
        is_unreadable: bool = False,
    ) -> None:
        part = DocumentPart(
            base.id,
            document_id,
            first,
            tuple(chunks),
            is_last=is_last,
            name=said.name,
            note=said.note,
            is_unreadable=is_unreadable,
        )
        await self._platform.work.store_document(self._task.id, self._attempt, part)

    async def _report_progress(self, done: int, count: int) -> None:
        if count > 1:
            said = {"internal_status": f"{done} of {count} documents"}
            await self._platform.tasks.update(self._task.id, said, attempt=self._attempt)

    async def _note(self, text: str) -> None:
        await self._platform.work.emit(self._task.id, self._attempt, [note_event(text, "attachment")])

    async def _result(self, asked: Ingestion) -> str:
        """Return the outcome of each document as JSON. Raise ModuleException if none of them could be read."""
        found = await self._platform.knowledge.documents(asked.knowledge_base_id)
        mine = [each for each in found if each.id in asked.documents and each.task_id == self._task.id]
        check_readable(mine)
        names = {"id", "document_url", "status", "chunks", "note"}
        documents = [each.model_dump(mode="json", include=names) for each in mine]
        return json.dumps({"knowledge_base_id": asked.knowledge_base_id, "documents": documents}, ensure_ascii=False)


def check_readable(documents: list[KnowledgeBaseDocumentItem]) -> list[KnowledgeBaseDocumentItem]:
    """Return documents whose task has ended.

    Raises:
        ModuleException: None of them could be read.
    """
    unread = [each for each in documents if each.status is DocumentStatus.Unreadable]
    if unread and len(unread) == len(documents):
        raise ModuleException(422, " ".join(each.note or f"{each.name} could not be read." for each in unread))
    return documents


def _embedded(chunk: Chunk) -> str:
    """Return the text that a passage's vector is made of, with the headings above it, which name its subject."""
    return chunk.content if chunk.heading is None else f"{chunk.heading}\n\n{chunk.content}"
