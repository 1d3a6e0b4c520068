"""What verbs of a native worker bring, checked."""

from typing import Annotated, Any, TypeVar

import pydantic
from pydantic import BaseModel, ConfigDict, Field

from worker.contracts.lease import REMOTE_SECONDS
from worker.server.bodies import CreateBody
from worker.words.artifacts import Artifact
from worker.words.conversations import Mode
from worker.words.errors import ValidationError
from worker.words.events import TaskUpdateEvent
from worker.words.ids import FORM
from worker.words.knowledge import Chunk, DocumentPart, vector_of
from worker.words.retry import DELIVERY_RETRIES, RetryPolicy
from worker.words.statuses import AgentExecutionStatus, TaskUpdateEventType
from worker.words.tasks import TaskRecord
from worker.words.texts import clean
from worker.words.tools import TOOL_SECONDS
from worker.words.work import Delivery, DeliveryDemand, KeptFile, Subscription

CONTENT_CHARACTERS = 20_000  # of a passage
VECTOR_CHARACTERS = 21_400  # 4,000 floats of four bytes in base64
POLL_SECONDS = 25.0
MOST = 10_000  # tasks or deliveries at once
MOST_TOOLS = 1_000
YEAR_SECONDS = 31_536_000

Count = Annotated[int, Field(ge=0, le=MOST)]
Seconds = Annotated[float, Field(ge=0, le=POLL_SECONDS)]
Delay = Annotated[float, Field(ge=0, le=YEAR_SECONDS)]
Attempt = Annotated[int, Field(ge=0, le=2**31 - 1)]
Sequence = Annotated[int, Field(ge=1, le=2**40 - 1)]
Id = Annotated[str, Field(pattern=f"^{FORM}$")]


class Form(BaseModel):
    """What one verb brings; unknown fields are accepted."""

    model_config = ConfigDict(extra="ignore")


class RetriesForm(Form):
    """How often a handler is tried."""

    attempts: Annotated[int, Field(ge=1, le=10_000)] = DELIVERY_RETRIES.attempts
    base: Annotated[float, Field(gt=0, le=YEAR_SECONDS)] = DELIVERY_RETRIES.base
    cap: Annotated[float, Field(gt=0, le=YEAR_SECONDS)] = DELIVERY_RETRIES.cap


class SubscriptionForm(Form):
    """A handler's wish for events."""

    handler: Annotated[str, Field(min_length=1, max_length=500)]
    event_type: TaskUpdateEventType
    agent_id: str | None = None
    retries: RetriesForm = Field(default_factory=RetriesForm)
    needs: Annotated[str, Field(max_length=100)] | None = None

    def subscription(self) -> Subscription:
        """The wish, as the platform knows it."""
        retries = RetryPolicy(self.retries.attempts, self.retries.base, self.retries.cap)
        needs = clean(self.needs)
        return Subscription(self.handler, self.event_type, self.agent_id, retries, needs)


class ToolForm(Form):
    """A tool that a worker has for its agents."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    description: Annotated[str, Field(max_length=20_000)] = ""
    parameters: dict[str, Any] = Field(default_factory=dict[str, Any])
    timeout: Annotated[float, Field(gt=0, le=86_400)] = TOOL_SECONDS
    agent_ids: list[str] = Field(default_factory=list[str])


class CardForm(Form):
    """A worker, as it introduces itself."""

    id: str
    name: Annotated[str, Field(max_length=500)]
    agents: list[str] = Field(default_factory=list[str])
    any_agent: bool = False
    concurrency: Annotated[int, Field(ge=1, le=MOST)] = 10
    isolates: bool = False
    reads_documents: bool = False
    lease_seconds: Annotated[float, Field(gt=0, le=3600)] = REMOTE_SECONDS
    subscriptions: list[SubscriptionForm] = Field(default_factory=list[SubscriptionForm])
    tools: Annotated[list[ToolForm], Field(max_length=MOST_TOOLS)] = Field(default_factory=list[ToolForm])
    conversations: Annotated[dict[str, Mode], Field(max_length=MOST)] = Field(default_factory=dict[str, Mode])


class RegisterForm(Form):
    """``register``."""

    card: CardForm


class DemandForm(Form):
    """How many tasks a worker can start now."""

    total: Count
    agents: dict[str, Count] = Field(default_factory=dict[str, int])
    others: Count = 0
    suspects: Count | None = None


class AssignmentsForm(Form):
    """``assignments``; ``held`` names the tasks that the worker knows to be its own, after an answer that was lost."""

    demand: DemandForm
    seconds: Seconds = 0
    held: list[str] | None = None


class TaskForm(Form):
    """A verb about a task."""

    task_id: str


class RunForm(TaskForm):
    """A verb of a run. ``sequence`` is greater than that of every write of the run before: a repeat is known by it."""

    attempt: Attempt
    sequence: Sequence | None = None


Reference = Annotated[str, Field(max_length=2000, pattern=r"^worker:[0-9a-f]{64}(/[\x21-\x7e]*)?$")]
"""What a stored file is named by."""


class MessagesForm(TaskForm):
    """``messages``."""

    after: Count = 0


class EventForm(Form):
    """An event to be appended."""

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
        """The file, as the platform knows it."""
        return KeptFile(self.url_digest, self.reference, self.media_type, self.name)


class KeepFilesForm(RunForm):
    """``keep_files``."""

    files: Annotated[list[FileForm], Field(max_length=MOST)]


class ChunkForm(Form):
    """A passage of a document; its vector is 32-bit floats, little-endian, in base64."""

    content: Annotated[str, Field(max_length=CONTENT_CHARACTERS)]
    heading: Annotated[str, Field(max_length=2000)] | None = None
    page: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    vector: Annotated[str, Field(max_length=VECTOR_CHARACTERS)] | None = None

    def chunk(self) -> Chunk:
        """The passage. Raises: ValidationError (its vector cannot be read)."""
        return Chunk(self.content, self.heading, self.page, None if self.vector is None else vector_of(self.vector))


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
        """The part, as the platform knows it."""
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
    """``save``; ``files`` are texts too large for a request, by field."""

    attempt: Attempt | None = None
    sequence: Sequence | None = None
    origin: str | None = None
    changes: dict[str, Any]
    files: dict[str, Reference] = Field(default_factory=dict[str, str])


class OutcomeForm(Form):
    """How an attempt ends; ``files`` are texts too large for a request, by field."""

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


class ProviderFailedForm(Form):
    """``provider_failed``."""

    id: Annotated[str, Field(min_length=1, max_length=200)]
    error_code: Annotated[str, Field(max_length=200)]
    message: str
    provider_code: Annotated[str, Field(max_length=200)] | None = None
    opens: bool = False
    wait_seconds: Annotated[float, Field(ge=0, le=1e8, allow_inf_nan=False)] | None = None


class ProviderForm(Form):
    """``provider_answered``."""

    id: Annotated[str, Field(min_length=1, max_length=200)]


class CrashedForm(RunForm):
    """``crashed``."""

    reason: Annotated[str, Field(min_length=1, max_length=10_000)]
    delay: Delay = 0


class LostForm(Form):
    """``lost``."""

    held: dict[str, Attempt]


class HeldForm(Form):
    """A delivery that a worker knows to be its own."""

    subscription_id: Annotated[int, Field(ge=0, le=2**63 - 1)]
    task_id: str
    claim: Attempt


class LimitForm(Form):
    """How many deliveries of one subscription a worker takes."""

    handler: str
    event_type: TaskUpdateEventType
    agent_id: str | None = None
    limit: Annotated[int, Field(ge=0, le=MOST)]

    @property
    def subscription(self) -> Subscription:
        """Which."""
        return Subscription(clean(self.handler), self.event_type, self.agent_id)


class DeliveriesForm(Form):
    """``deliveries``; ``held`` names those that the worker knows to be its own, after an answer that was lost."""

    limit: Count
    limits: list[LimitForm] = []
    seconds: Seconds = 0
    held: list[HeldForm] | None = None

    def demand(self, *, leaving: bool) -> DeliveryDemand:
        """What the worker wants; one that is leaving, or whose server is, gets nothing more."""
        return DeliveryDemand(0 if leaving else self.limit, {each.subscription: each.limit for each in self.limits})


class ReportForm(Form):
    """``report``."""

    hung_threads: Count = 0
    memory: Annotated[int, Field(ge=0, le=2**53)]
    runs: Annotated[int, Field(ge=0, le=2**53)]
    recent: Annotated[list[Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,128}$")]], Field(max_length=100)] = []
    troubles: Annotated[list[Annotated[str, Field(max_length=1_000)]], Field(max_length=100)] = []


class DeliveryForm(HeldForm):
    """A delivery, as the worker that holds it names it."""

    number: Annotated[int, Field(ge=0, le=2**63 - 1)]
    tries: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0

    def of(self, task: TaskRecord) -> Delivery:
        """The delivery; its event need not be read again to settle it."""
        event = TaskUpdateEvent.model_construct(
            type=TaskUpdateEventType.TaskUpdated, task_id=task.id, number=self.number
        )
        nobody = Subscription("", TaskUpdateEventType.TaskUpdated)
        return Delivery(nobody, self.subscription_id, event, task, self.claim, self.tries)


class SettleForm(Form):
    """``settle``."""

    delivery: DeliveryForm
    error: str | None = None
    final: bool = False


Asked = TypeVar("Asked", bound=Form)


def read(form: type[Asked], verb: dict[str, Any]) -> Asked:
    """Read a verb. Raises: ValidationError, naming the field."""
    try:
        return form.model_validate(verb)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "verb"
        raise ValidationError(f"{field}: {first['msg']}", field=field) from None
