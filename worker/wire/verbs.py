"""The verbs of a run: what it emits, saves and reads, and how it ends."""

from typing import Annotated, Any

from pydantic import Field

from worker.wire.bodies import CreateBody
from worker.wire.forms import MOST, Attempt, Count, Delay, Form, Id, Reference, RunForm, Sequence, TaskForm
from worker.words.artifacts import Artifact
from worker.words.knowledge import Chunk, DocumentPart, decode_vector
from worker.words.statuses import AgentExecutionStatus
from worker.words.work import KeptFile

CONTENT_CHARACTERS = 20_000  # of one passage
VECTOR_CHARACTERS = 21_400  # 4,000 floats of four bytes in base64


class MessagesForm(TaskForm):
    """``messages``."""

    after: Count = 0


class EventForm(Form):
    """An event to append."""

    type: str
    data: Any = None


class EmitForm(RunForm):
    """``emit``."""

    events: list[EventForm] = Field(default_factory=list[EventForm])
    journal: list[tuple[str, str] | tuple[str, str, Reference]] = Field(default_factory=list[Any])


class FileForm(Form):
    """A file that was read for a task."""

    url_digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    reference: Annotated[str, Field(max_length=2000)]
    media_type: Annotated[str, Field(max_length=500)] = ""
    name: Annotated[str, Field(max_length=500)] = ""

    def file(self) -> KeptFile:
        """Return the platform's record of the file."""
        return KeptFile(self.url_digest, self.reference, self.media_type, self.name)


class KeepFilesForm(RunForm):
    """``keep_files``."""

    files: Annotated[list[FileForm], Field(max_length=MOST)]


class ChunkForm(Form):
    """A passage of a document. Its vector is 32-bit floats, little-endian, in base64."""

    content: Annotated[str, Field(max_length=CONTENT_CHARACTERS)]
    heading: Annotated[str, Field(max_length=2000)] | None = None
    page: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    vector: Annotated[str, Field(max_length=VECTOR_CHARACTERS)] | None = None

    def chunk(self) -> Chunk:
        """Return the passage.

        Raises:
            ValidationError: Its vector cannot be decoded.
        """
        return Chunk(self.content, self.heading, self.page, None if self.vector is None else decode_vector(self.vector))


class StoreDocumentForm(RunForm):
    """``store_document``."""

    knowledge_base_id: Annotated[str, Field(max_length=200)]
    document_id: Annotated[str, Field(max_length=200)]
    first: Annotated[int, Field(ge=0, le=2**31 - 1)]
    chunks: Annotated[list[ChunkForm], Field(max_length=1_000)] = Field(default_factory=list[ChunkForm])
    is_last: bool = False
    name: Annotated[str, Field(max_length=2000)] = ""
    note: Annotated[str, Field(max_length=5000)] | None = None
    is_unreadable: bool = False

    def part(self) -> DocumentPart:
        """Return the platform's record of the part."""
        return DocumentPart(
            self.knowledge_base_id,
            self.document_id,
            self.first,
            tuple(each.chunk() for each in self.chunks),
            is_last=self.is_last,
            name=self.name,
            note=self.note,
            is_unreadable=self.is_unreadable,
        )


class SaveForm(TaskForm):
    """``save``; ``files`` are the stored texts of fields that are too large for a request."""

    attempt: Attempt | None = None
    sequence: Sequence | None = None
    origin: str | None = None
    changes: dict[str, Any]
    files: dict[str, Reference] = Field(default_factory=dict[str, str])


class OutcomeForm(Form):
    """The outcome of an attempt; ``files`` are the stored texts of fields that are too large for a request."""

    status: AgentExecutionStatus
    changes: dict[str, Any] = Field(default_factory=dict[str, Any])
    files: dict[str, Reference] = Field(default_factory=dict[str, str])
    taken: Count = 0


class FinishForm(RunForm):
    """``finish``."""

    outcome: OutcomeForm


class HandBackForm(RunForm):
    """``hand_back``."""

    delay: Delay = 0
    error: str | None = None
    error_code: Annotated[str, Field(max_length=200)] | None = None
    provider_code: Annotated[str, Field(max_length=200)] | None = None
    waits_for: Annotated[str, Field(max_length=200)] | None = None
    waiting_for: Annotated[str, Field(max_length=500)] | None = None
    heard: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    awaits: tuple[Id, ...] = Field(default=(), max_length=1000)


class ChildForm(CreateBody):
    """A child of ``make_children``."""

    child_id: Id
    agent_id: Id


class MakeChildrenForm(RunForm):
    """``make_children``."""

    children: list[ChildForm] = Field(min_length=1, max_length=1000)


class SaveArtifactsForm(RunForm):
    """``save_artifacts``."""

    artifacts: list[Artifact] = Field(max_length=1000)


class ChildrenForm(TaskForm):
    """``children``."""

    children: list[Id] = Field(max_length=1000)


class CrashedForm(RunForm):
    """``crashed``."""

    reason: Annotated[str, Field(min_length=1, max_length=10_000)]
    delay: Delay = 0
