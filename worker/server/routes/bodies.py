"""Request bodies. Unknown fields are accepted unless they look misspelled; null is treated like a missing field."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field, RootModel

from worker.wire.bodies import Body, SpelledBody, Storable
from worker.words.agents import AgentRecord
from worker.words.tasks import AgentExecutionInput

VERBS = 512


class PushedEvent(Body):
    """An event to append; events of unknown types are ignored."""

    type: str
    data: Any = None


class ReportBody(SpelledBody, Body):
    """A report of a run that took place outside the platform."""

    id: str | None = None
    input: AgentExecutionInput | str | None = None
    llm_response: Any = None
    tokens: dict[str, Any] | None = None
    is_success: bool = Field(default=True, strict=True)
    result: Any = None
    duration: float | None = Field(default=None, ge=0, le=1e12, strict=True)
    used_tools: list[str] = Field(default_factory=list[str])


class MetricsBody(Body):
    """The metrics of a run. They are accepted but not stored."""

    model_config = ConfigDict(extra="allow")

    execution_id: str | None = None


class AllowanceBody(Body):
    """The key whose agents are requested."""

    api_key: str


class Changes(Storable, RootModel[dict[str, Any]]):
    """Changed fields of a task."""


class AgentBody(SpelledBody, AgentRecord):
    """A complete agent."""

    def record(self) -> AgentRecord:
        """Return the agent as a record of the platform."""
        return AgentRecord.model_validate(self.model_dump())


class WorkBody(Storable):
    """Verbs of one worker. A verb that waits (``assignments``, ``deliveries``) must be the only one in its request."""

    worker_id: str | None = Field(default=None, max_length=128)
    verbs: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=VERBS)]


class WorkerReport(Body):
    """A report of a worker about itself."""

    id: str | None = None
    event: str
    data: Any = None
