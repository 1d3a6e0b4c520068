"""Knowledge bases: what they hold, how documents get into them, and what a search finds."""

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
from worker.words.statuses import AgentExecutionStatus
from worker.words.tasks import AgentExecutionInput, NewTask, TaskRecord

AGENT = "worker:knowledge"
"""The agent of the tasks that read documents: every worker serves it, beside its own, and it is listed nowhere."""

SOURCE = "knowledge"
"""What the ``source`` of such a task says."""

FIELD = "knowledge"
"""What its input has beside the text: the knowledge base, and the documents by their ids."""

DOCUMENTS = 1_000  # that are added at once
NAME_CHARACTERS = 200
DESCRIPTION_CHARACTERS = 10_000
URL_CHARACTERS = 4_000
QUERY_CHARACTERS = 2_000  # of a question; what comes behind is not looked for
TOP_K = 10
MOST_RESULTS = 100


class KnowledgeBaseType(StrEnum):
    """Who keeps it."""

    Managed = "managed"
    External = "external"


class DocumentStatus(StrEnum):
    """How a document stands."""

    Pending = "pending"
    Ready = "ready"
    Unreadable = "unreadable"


class NewKnowledgeBase(Words):
    """A knowledge base to be made.

    Args:
        name: For people.
        description: What is in it; an agent that it is attached to reads this.
        language: Of all its documents, as PostgreSQL calls it (``german``); None: each document's own is recognized.
        embedder: What makes vectors of its texts, as ``provider:model``; None means it is searched by words alone.
    """

    name: str = Field(min_length=1, max_length=NAME_CHARACTERS)
    description: str | None = Field(default=None, max_length=DESCRIPTION_CHARACTERS)
    language: str | None = Field(default=None, pattern=r"^[a-z_]{1,40}$")
    embedder: str | None = Field(default=None, pattern=r"^[A-Za-z0-9._:/@-]{1,200}$")


class KnowledgeBaseRecord(NewKnowledgeBase):
    """A knowledge base.

    Args:
        total_documents: How many documents can be found in it, or are on their way.
        has_vectors: Whether its texts have vectors; without, ``embedder`` says what it was to have, and words alone
            count, since the database's server has no pgvector.
    """

    id: str
    organization_id: str = "default"
    type: KnowledgeBaseType = KnowledgeBaseType.Managed
    total_documents: int = 0
    has_vectors: bool = False
    created_at: datetime | None = None


class AgentKnowledgeBase(Words):
    """A knowledge base that an agent searches. ``rw`` is kept as it is given: agents here read."""

    id: str
    rw: bool | None = False


class KnowledgeBaseDocumentItem(Words):
    """A document in a knowledge base.

    Args:
        id: The same whenever the same document is added again.
        document_url: Where it was read from.
        added_at: When it was last added.
        status: ``pending``: it is still to be read; ``ready``; ``unreadable``: ``note`` says why.
        name: Its file name.
        note: Why it could not be read, or what must be said of it.
        kb_id: The knowledge base.
        chunks: The passages that it was divided into.
        task_id: The task that reads it, or has read it.
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
    """A passage found.

    Args:
        content: The passage.
        score: From 0.0 to 1.0, the best first.
        document_id: The document that it is of.
        document_url: Where that was read from.
        document_name: Its file name.
        heading: The headings above the passage, the outermost first, with `` > `` between.
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
    """A passage of a document, as it is stored.

    Args:
        vector: What the embedder made of it; None means there is no embedder.
    """

    content: str
    heading: str | None = None
    page: int | None = None
    vector: tuple[float, ...] | None = None


class DocumentPart(NamedTuple):
    """Some passages of a document, in order. The parts of a document take the place of what it was with the last one.

    Args:
        knowledge_base_id: Where it goes.
        document_id: Which document.
        first: The number of the first passage, from 0; 0 begins the document anew.
        chunks: The passages.
        is_last: Whether these are all.
        name: The document's file name.
        note: What must be said of it; of one that cannot be read, why.
        is_unreadable: It could not be read: what it was before, if it was, stays.
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
    """What a task is to read.

    Args:
        documents: Their URLs, by their ids.
    """

    knowledge_base_id: str
    documents: dict[str, str]


class KnowledgeBaseNotFound(NotFound):
    """There is no such knowledge base."""

    def __init__(self, knowledge_base_id: str) -> None:
        super().__init__(f"There is no knowledge base {knowledge_base_id[:128]!r}.")
        self.knowledge_base_id = knowledge_base_id


class DocumentGone(NotFound):
    """The document was removed, or added anew, while it was being read."""


def vector_text(vector: Sequence[float]) -> str:
    """A vector as it is sent: 32-bit floats, little-endian, in base64."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def vector_of(text: str) -> tuple[float, ...]:
    """A vector that was sent. Raises: ValidationError."""
    try:
        content = base64.b64decode(text, validate=True)
        vector = struct.unpack(f"<{len(content) // 4}f", content)
    except (ValueError, struct.error):
        vector = ()
    if not vector or not all(math.isfinite(each) for each in vector):
        raise ValidationError("a vector is 32-bit floats, little-endian, in base64", field="chunks.vector")
    return vector


def document_id(knowledge_base_id: str, url: str) -> str:
    """The id of a document: the same each time that it is added.

    What was uploaded is known by its name, so that a new edition of a file takes the old one's place.
    """
    reference, _, name = url.removeprefix("worker:").partition("/")
    known = f"worker:{name}" if url.startswith("worker:") and name else url
    return f"doc-{digest([knowledge_base_id, known or reference])}"


def check_documents(urls: Sequence[str]) -> list[str]:
    """Let pass what can be added at once, each once. Raises: ValidationError."""
    named = list(dict.fromkeys(urls))
    if not named:
        raise ValidationError("name at least one document", field="document_url")
    if len(named) > DOCUMENTS:
        raise ValidationError(f"at most {DOCUMENTS:,} documents are added at once", field="document_url")
    for each in named:
        if not each.startswith(("http://", "https://", "data:", "worker:")):
            raise ValidationError(
                "a document is named by an http:, https: or data: URL, or was uploaded", field="document_url"
            )
        if len(each) > URL_CHARACTERS and not each.startswith("data:"):
            raise ValidationError(
                f"the URL of a document has at most {URL_CHARACTERS:,} characters", field="document_url"
            )
    return named


def new_ingestion(base: KnowledgeBaseRecord, documents: dict[str, str]) -> NewTask:
    """The task that reads documents."""
    count = "a document" if len(documents) == 1 else f"{len(documents)} documents"
    said = {"id": base.id, "documents": list(documents)}
    return NewTask(
        agent_id=AGENT,
        input=AgentExecutionInput.model_validate(
            {"text": f"Add {count} to {base.name}", "files": list(documents.values()), FIELD: said}
        ),
        source=SOURCE,
        title=f"Add {count} to {base.name}"[:NAME_CHARACTERS],
        disable_attachment_injection=True,  # they are read one after another, and not all at once
    )


def ingestion_of(task: TaskRecord) -> Ingestion | None:
    """What a task is to read; None means it is no such task."""
    asked = getattr(task.input, FIELD, None) if task.source == SOURCE and task.agent_id == AGENT else None
    if not isinstance(asked, dict):
        return None
    found = cast("dict[str, Any]", asked)
    base, ids, urls = found.get("id"), found.get("documents"), task.input.files or []
    if not isinstance(base, str) or not isinstance(ids, list) or len(cast("list[Any]", ids)) != len(urls):
        return None
    return Ingestion(base, dict(zip(map(str, cast("list[Any]", ids)), urls, strict=True)))


def is_over(task: TaskRecord) -> bool:
    """Whether a task that reads documents has read all that it will."""
    return AgentExecutionStatus(task.status).is_terminal
