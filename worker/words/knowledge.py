"""Knowledge bases: their records, the tasks that add documents to them, and search results."""

import base64
import math
import struct
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, cast

from pydantic import Field

from worker.words.digests import digest
from worker.words.errors import NotFound, ValidationError
from worker.words.records import Words
from worker.words.tasks import AgentExecutionInput, NewTask, TaskRecord

AGENT = "worker:knowledge"
"""The agent of the tasks that read documents. Every worker serves it in addition to its own; no list shows it."""

SOURCE = "knowledge"
"""The ``source`` of a task that reads documents."""

FIELD = "knowledge"
"""The field of such a task's input that holds the ids of the knowledge base and of the documents."""

DOCUMENTS = 1_000  # most documents per call
NAME_CHARACTERS = 200
DESCRIPTION_CHARACTERS = 10_000
URL_CHARACTERS = 4_000
QUERY_CHARACTERS = 2_000  # of a query; the rest is ignored
TOP_K = 10
MAX_RESULTS = 100


class KnowledgeBaseType(StrEnum):
    """Who manages a knowledge base."""

    Managed = "managed"
    External = "external"


class DocumentStatus(StrEnum):
    """The status of a document."""

    Pending = "pending"
    Ready = "ready"
    Unreadable = "unreadable"


class NewKnowledgeBase(Words):
    """A knowledge base to create.

    Args:
        name: A name for people.
        description: A description of the contents, which agents with this knowledge base read.
        language: The language of all its documents, by PostgreSQL's name (``german``); None detects it per document.
        embedder: The embedder of its texts as ``provider:model``; None means full-text search alone.
    """

    name: str = Field(min_length=1, max_length=NAME_CHARACTERS)
    description: str | None = Field(default=None, max_length=DESCRIPTION_CHARACTERS)
    language: str | None = Field(default=None, pattern=r"^[a-z_]{1,40}$")
    embedder: str | None = Field(default=None, pattern=r"^[A-Za-z0-9._:/@-]{1,200}$")


class KnowledgeBaseRecord(NewKnowledgeBase):
    """A knowledge base.

    Args:
        total_documents: The number of documents that can be found in it, or are on their way.
        has_vectors: Whether its texts have vectors. If ``embedder`` is set and this is False, the database server has
            no pgvector, and the search is full-text alone.
    """

    id: str
    organization_id: str = "default"
    type: KnowledgeBaseType = KnowledgeBaseType.Managed
    total_documents: int = 0
    has_vectors: bool = False
    created_at: datetime | None = None


class AgentKnowledgeBase(Words):
    """A knowledge base that an agent searches. ``rw`` is stored but has no effect: agents only read."""

    id: str
    rw: bool | None = False


class KnowledgeBaseDocumentItem(Words):
    """A document in a knowledge base.

    Args:
        id: The id, which stays the same whenever the document is added again.
        document_url: The URL it was read from.
        added_at: When it was last added.
        status: ``pending``: not read yet; ``ready``; ``unreadable``: see ``note``.
        name: Its file name.
        note: Why it could not be read, or a remark about its content.
        kb_id: The knowledge base.
        chunks: The number of its passages.
        task_id: The task that reads, or has read, the document.
    """

    id: str
    document_url: str
    added_at: datetime
    status: DocumentStatus = DocumentStatus.Ready
    name: str = ""
    note: str | None = None
    kb_id: str | None = None
    chunks: int = 0
    task_id: str | None = None


class KnowledgeBaseSearchResult(Words):
    """A passage that a search found.

    Args:
        content: The passage.
        score: The relevance from 0.0 to 1.0; results come best first.
        document_id: The document that contains it.
        document_url: The URL of the document.
        document_name: The file name of the document.
        heading: The headings above the passage, outermost first, joined by `` > ``.
        page: The page of a PDF, from 1.
    """

    content: str
    score: float = Field(ge=0, le=1)
    document_id: str | None = None
    document_url: str | None = None
    document_name: str | None = None
    heading: str | None = None
    page: int | None = None


class Chunk(NamedTuple):
    """A passage of a document, as stored.

    Args:
        vector: The embedder's vector; None if there is no embedder.
    """

    content: str
    heading: str | None = None
    page: int | None = None
    vector: tuple[float, ...] | None = None


class DocumentPart(NamedTuple):
    """Consecutive passages of a document. The previous content is replaced when the last part arrives.

    Args:
        knowledge_base_id: The knowledge base.
        document_id: The document.
        first: The index of the first passage; 0 restarts the document.
        chunks: The passages.
        is_last: Whether this is the document's last part.
        name: The document's file name.
        note: A remark about its content; for an unreadable document, the reason.
        is_unreadable: Whether the document could not be read; its previous content, if any, stays.
    """

    knowledge_base_id: str
    document_id: str
    first: int
    chunks: tuple[Chunk, ...] = ()
    is_last: bool = False
    name: str = ""
    note: str | None = None
    is_unreadable: bool = False


class Ingestion(NamedTuple):
    """The work of a task that reads documents.

    Args:
        documents: The documents' URLs by id.
    """

    knowledge_base_id: str
    documents: dict[str, str]


class KnowledgeBaseNotFound(NotFound):
    """No knowledge base has this id."""

    def __init__(self, knowledge_base_id: str) -> None:
        super().__init__(f"There is no knowledge base {knowledge_base_id[:128]!r}.")
        self.knowledge_base_id = knowledge_base_id


class DocumentGone(NotFound):
    """The document was removed or replaced while it was being read."""


def encode_vector(vector: Sequence[float]) -> str:
    """Encode a vector for transport: 32-bit floats, little-endian, in base64."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def decode_vector(text: str) -> tuple[float, ...]:
    """Decode a vector from transport.

    Raises:
        ValidationError: The text is not such a vector, or contains NaN or infinity.
    """
    try:
        content = base64.b64decode(text, validate=True)
        vector = struct.unpack(f"<{len(content) // 4}f", content)
    except (ValueError, struct.error):
        vector = ()
    if not vector or not all(math.isfinite(each) for each in vector):
        raise ValidationError("a vector must be 32-bit floats, little-endian, encoded as base64", field="chunks.vector")
    return vector


def document_id(knowledge_base_id: str, url: str) -> str:
    """Return the id of a document, which is the same each time that the document is added.

    An uploaded file is identified by its name, so that a new edition replaces the old one.
    """
    reference, _, name = url.removeprefix("worker:").partition("/")
    known = f"worker:{name}" if url.startswith("worker:") and name else url
    return f"doc-{digest([knowledge_base_id, known or reference])}"


def check_documents(urls: Sequence[str]) -> list[str]:
    """Return the URLs of documents without duplicates.

    Raises:
        ValidationError: There is none, there are too many, or one is not the URL of a document.
    """
    named = list(dict.fromkeys(urls))
    if not named:
        raise ValidationError("give at least one document", field="document_url")
    if len(named) > DOCUMENTS:
        raise ValidationError(f"at most {DOCUMENTS:,} documents can be added at a time", field="document_url")
    for each in named:
        if not each.startswith(("http://", "https://", "data:", "worker:")):
            raise ValidationError(
                "a document must be an http:, https: or data: URL, or an uploaded file", field="document_url"
            )
        if len(each) > URL_CHARACTERS and not each.startswith("data:"):
            raise ValidationError(
                f"the URL of a document can have at most {URL_CHARACTERS:,} characters", field="document_url"
            )
    return named


def new_ingestion(base: KnowledgeBaseRecord, documents: dict[str, str]) -> NewTask:
    """Return the task that reads documents into a knowledge base."""
    count = "a document" if len(documents) == 1 else f"{len(documents)} documents"
    said = {"id": base.id, "documents": list(documents)}
    return NewTask(
        agent_id=AGENT,
        input=AgentExecutionInput.model_validate(
            {"text": f"Add {count} to {base.name}", "files": list(documents.values()), FIELD: said}
        ),
        source=SOURCE,
        title=f"Add {count} to {base.name}"[:NAME_CHARACTERS],
        disable_attachment_injection=True,  # the handler reads the documents one at a time instead
    )


def ingestion_of(task: TaskRecord) -> Ingestion | None:
    """Return the documents that a task is to read; None if it is a task of another kind."""
    asked = getattr(task.input, FIELD, None) if task.source == SOURCE and task.agent_id == AGENT else None
    if not isinstance(asked, dict):
        return None
    found = cast("dict[str, Any]", asked)
    base, ids, urls = found.get("id"), found.get("documents"), task.input.files or []
    if not isinstance(base, str) or not isinstance(ids, list) or len(cast("list[Any]", ids)) != len(urls):
        return None
    return Ingestion(base, dict(zip(map(str, cast("list[Any]", ids)), urls, strict=True)))
