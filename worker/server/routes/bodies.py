"""What requests bring. Unknown fields are accepted, and null is as if the field were not there."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field, RootModel

from worker.wire.bodies import Body, Storable
from worker.words.agents import AgentRecord
from worker.words.tasks import AgentExecutionInput

VERBS = 512


class PushedEvent(Body):
    """An event to be appended; one of an unknown type is passed over."""

    type: str
    data: Any = None


class ReportBody(Body):
    """A run that took place elsewhere."""

    id: str | None = None
    input: AgentExecutionInput | str | None = None
    llm_response: Any = None
    tokens: dict[str, Any] | None = None
    is_success: bool = Field(default=True, strict=True)
    result: Any = None
    duration: float | None = Field(default=None, ge=0, le=1e12, strict=True)
    used_tools: list[str] = Field(default_factory=list[str])


class MetricsBody(Body):
    """Figures of a run; the task has what is kept of them."""

    model_config = ConfigDict(extra="allow")

    execution_id: str | None = None


class AllowanceBody(Body):
    """A key to ask about."""

    api_key: str


class Changes(Storable, RootModel[dict[str, Any]]):
    """Fields of a task, any of them."""


class AgentBody(Storable, AgentRecord):
    """An agent, whole."""

    def record(self) -> AgentRecord:
        """The agent, as the platform knows it."""
        return AgentRecord.model_validate(self.model_dump())


class WorkBody(Storable):
    """Verbs of one worker; those that wait (``assignments``, ``deliveries``) come alone."""

    worker_id: str | None = Field(default=None, max_length=128)
    verbs: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=VERBS)]


class WorkerReport(Body):
    """What a worker says of itself."""

    id: str | None = None
    event: str
    data: Any = None
