"""The verbs of a worker about itself: registration, requests for tasks, and reports."""

from typing import Annotated, Any

from pydantic import Field

from worker.contracts.lease import REMOTE_SECONDS
from worker.wire.forms import MOST, YEAR_SECONDS, Attempt, Count, Form, Id, Seconds
from worker.words.conversations import Mode
from worker.words.retry import DELIVERY_RETRIES, RetryPolicy
from worker.words.statuses import TaskUpdateEventType
from worker.words.texts import clean
from worker.words.tools import TOOL_SECONDS
from worker.words.work import Subscription

MAX_TOOLS = 1_000


class RetriesForm(Form):
    """The retry policy of a handler."""

    attempts: Annotated[int, Field(ge=1, le=10_000)] = DELIVERY_RETRIES.attempts
    base: Annotated[float, Field(gt=0, le=YEAR_SECONDS)] = DELIVERY_RETRIES.base
    cap: Annotated[float, Field(gt=0, le=YEAR_SECONDS)] = DELIVERY_RETRIES.cap


class SubscriptionForm(Form):
    """A handler's subscription to events."""

    handler: Annotated[str, Field(min_length=1, max_length=500)]
    event_type: TaskUpdateEventType
    agent_id: str | None = None
    retries: RetriesForm = Field(default_factory=RetriesForm)
    needs: Annotated[str, Field(max_length=100)] | None = None

    def subscription(self) -> Subscription:
        """Return the platform's record of the subscription."""
        retries = RetryPolicy(self.retries.attempts, self.retries.base, self.retries.cap)
        needs = clean(self.needs)
        return Subscription(self.handler, self.event_type, self.agent_id, retries, needs)


class ToolForm(Form):
    """A tool that a worker offers to its agents."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    description: Annotated[str, Field(max_length=20_000)] = ""
    parameters: dict[str, Any] = Field(default_factory=dict[str, Any])
    timeout: Annotated[float, Field(gt=0, le=86_400)] = TOOL_SECONDS
    agent_ids: list[str] = Field(default_factory=list[str])


class CardForm(Form):
    """A worker's registration."""

    id: str
    name: Annotated[str, Field(max_length=500)]
    agents: list[str] = Field(default_factory=list[str])
    any_agent: bool = False
    concurrency: Annotated[int, Field(ge=1, le=MOST)] = 10
    isolates: bool = False
    reads_documents: bool = False
    lease_seconds: Annotated[float, Field(gt=0, le=3600)] = REMOTE_SECONDS
    subscriptions: list[SubscriptionForm] = Field(default_factory=list[SubscriptionForm])
    tools: Annotated[list[ToolForm], Field(max_length=MAX_TOOLS)] = Field(default_factory=list[ToolForm])
    conversations: Annotated[dict[str, Mode], Field(max_length=MOST)] = Field(default_factory=dict[str, Mode])


class RegisterForm(Form):
    """``register``."""

    card: CardForm


class DemandForm(Form):
    """The number of tasks that a worker can start now."""

    total: Count
    agents: dict[str, Count] = Field(default_factory=dict[str, int])
    others: Count = 0
    suspects: Count | None = None


class AssignmentsForm(Form):
    """``assignments``; ``held`` names the tasks that the worker knows it holds, after a lost answer."""

    demand: DemandForm
    seconds: Seconds = 0
    held: list[str] | None = None


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


class LostForm(Form):
    """``lost``."""

    held: dict[str, Attempt]


class ReportForm(Form):
    """``report``."""

    hung_threads: Count = 0
    memory: Annotated[int, Field(ge=0, le=2**53)]
    runs: Annotated[int, Field(ge=0, le=2**53)]
    recent: Annotated[list[Id], Field(max_length=100)] = Field(default_factory=list[str])
    troubles: Annotated[list[Annotated[str, Field(max_length=1_000)]], Field(max_length=100)] = Field(
        default_factory=list[str]
    )
