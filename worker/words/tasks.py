"""The task, as stored and sent, and the settings and values it consists of."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, field_validator, model_validator

from worker.words.artifacts import Artifact
from worker.words.errors import ValidationError
from worker.words.ids import check_id
from worker.words.model_names import is_address
from worker.words.records import Words
from worker.words.statuses import AgentExecutionStatus, LLMReasoningEffort, OutputFormat, ThinkMode
from worker.words.task_options import CREATE, described

WEBHOOK_URL_CHARACTERS = 2000  # longer URLs do not pass browsers and proxies reliably
CONVERSATION_CHARACTERS = 400  # 1,600 bytes at most; a PostgreSQL index entry holds 2,700
INTERNAL_STATUS_CHARACTERS = 255  # from the public contract; also a CHECK in the database

EFFORT = "llm_reasoning_effort"
LLM = ("llm_model_provider", "llm_model_name", EFFORT)
"""The settings with which a task chooses its model."""

_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)


class User(Words):
    """The user a task is for."""

    model_config = ConfigDict(extra="allow")

    id: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    additional_attributes: dict[str, Any] | None = None
    timezone: str | None = None

    @property
    def display_name(self) -> str:
        """The first and last name, else the e-mail address, else the id."""
        name = " ".join(part for part in (self.first_name, self.last_name) if part)
        return name or self.email or self.id or ""


class AgentExecutionInput(Words):
    """The input of a task: text, files, or both.

    Args:
        text: The prompt.
        files: URLs of files, or references to uploaded ones. URLs in ``attachments``, the form that the public client
            sends (``[{"url": …}]``), are added to them.
        user: The user the task is for.

    Raises:
        ValidationError: There is neither text nor files.
    """

    model_config = ConfigDict(extra="allow")

    text: str | None = ""
    files: list[str] | None = Field(default_factory=list[str])
    user: User | None = None

    @model_validator(mode="before")
    @classmethod
    def _attached(cls, given: Any) -> Any:
        attachments = given.get("attachments") if isinstance(given, dict) else None
        if not attachments:
            return given
        named = [*(given.get("files") or []), *map(_url_of, attachments if isinstance(attachments, list) else [None])]
        return {**given, "files": list(dict.fromkeys(named))}

    @model_validator(mode="after")
    def _something(self) -> "AgentExecutionInput":
        if not self.text and not self.files:
            raise ValueError("either text or files must be provided")
        return self


class Tokens(Words):
    """The tokens that a run used, including those of team members.

    Args:
        prompt_tokens: All input tokens, whatever the provider; includes tokens read from and written to its cache.
        completion_tokens: All output tokens, including reasoning.
        cache_read_tokens: Input tokens that came from the provider's cache.
        cache_write_tokens: Input tokens that were written to the provider's cache.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """The sum of prompt and completion tokens."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: "Tokens") -> "Tokens":
        """Return the tokens of two runs together."""
        return Tokens(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            cache_read_tokens=self.cache_read_tokens + other.cache_read_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
        )


class PlanStep(Words):
    """One step of a plan."""

    id: str
    title: str
    completed: bool = False


class DeepPlanning(Words):
    """The plan of a planning agent."""

    enabled: bool = False
    enforce: bool = False
    started: bool = False
    tasks: list[PlanStep] = Field(default_factory=list[PlanStep])


@described(CREATE)
class TaskSettings(Words):
    """The settings fixed when a task is created; ``CREATE`` in ``words/task_options.py`` describes each."""

    source: str | None = "sdk"
    worker_id: str | None = None
    run_locally: bool = False
    output_format: OutputFormat | None = None
    output_schema: dict[str, Any] | None = None
    events_streaming: bool = False
    additional_context: str | None = None
    instructions_override: str | None = None
    expected_output: str | None = None
    mcp_servers: list[dict[str, Any]] = Field(default_factory=list[dict[str, Any]])
    triggering_agent_id: str | None = None
    parent_execution: str | None = None
    conversation_id: str | None = None
    title: str | None = None
    think_mode: ThinkMode | None = ThinkMode.Default
    disable_attachment_injection: bool = False
    return_metrics: bool = False
    user_tokens: dict[str, Any] | None = Field(default=None, repr=False)
    user_oidc_token: str | None = Field(default=None, repr=False)
    test_run_node_id: str | None = None
    tool_call_limit: int | None = Field(default=None, ge=1)
    llm_model_provider: str | None = None
    llm_model_name: str | None = None
    llm_reasoning_effort: LLMReasoningEffort | None = None
    agent_version: str | None = None
    payload_extension: dict[str, Any] | None = None
    harness_cli: str | None = None
    permission_mode: str | None = None
    webhook_url: str | None = Field(default=None, repr=False, max_length=WEBHOOK_URL_CHARACTERS)
    traceparent: str | None = None

    @property
    def reasoning_effort(self) -> LLMReasoningEffort | None:
        """How long the model may think: the task's own setting, else high if it asks to think harder."""
        harder = LLMReasoningEffort.High if self.think_mode is ThinkMode.Harder else None
        return self.own_setting("llm_reasoning_effort") or harder

    def own_setting(self, name: str) -> Any:
        """Return one of the task's own model settings; None if it is unset or comes from the agent."""
        return None if name in getattr(self, "llm_of_agent", ()) else getattr(self, name)

    @field_validator("traceparent", mode="before")
    @classmethod
    def _traceparent(cls, value: Any) -> str | None:
        return value if is_traceparent(value) else None  # W3C: invalid values are ignored

    @field_validator("webhook_url")
    @classmethod
    def _webhook_url(cls, value: str | None) -> str | None:
        return None if value is None else check_webhook_url(value)


class NewTask(TaskSettings):
    """A task to create.

    Args:
        agent_id: The agent it is for.
        input: Text, files, user.
        id: The id to use; None generates one. The id of an existing finished task runs that task again with this input.
    """

    agent_id: str
    input: AgentExecutionInput
    id: str | None = None

    @model_validator(mode="after")
    def _ids(self) -> "NewTask":
        check_id(self.agent_id, "agent_id")
        for name in ("llm_model_provider", "llm_model_name"):
            if is_address(getattr(self, name) or ""):
                raise ValidationError("A model's name must not be a URL or path.", field=name)
        if self.conversation_id is not None and not 1 <= len(self.conversation_id) <= CONVERSATION_CHARACTERS:
            raise ValidationError(
                f"conversation_id must be 1 to {CONVERSATION_CHARACTERS} characters", field="conversation_id"
            )
        if self.id is not None:
            check_id(self.id)
        return self


class LocalTaskTest(Words):
    """A task to try out a handler with: ``@on_task(test_task=…)``, used when its module runs as a script."""

    input: AgentExecutionInput
    agent_version: str | None = None
    output_format: OutputFormat | None = None
    output_schema: dict[str, Any] | None = None


class TaskRecord(TaskSettings):
    """A complete task."""

    id: str
    agent_id: str
    organization_id: str = "default"
    input: AgentExecutionInput
    status: AgentExecutionStatus = AgentExecutionStatus.Pending
    internal_status: str | None = None
    result: str | None = None
    created_at: datetime
    updated_at: datetime | None = None
    started_at: datetime | None = None
    paused_at: datetime | None = None
    finished_at: datetime | None = None
    available_at: datetime | None = None  # when a waiting retry may be claimed
    sub_executions: list[str] = Field(default_factory=list[str])
    artifacts: list[Artifact] = Field(default_factory=list[Artifact])  # files that its runs produced
    execution_attempts: int = 0  # the number of the attempt that owns it, or last did
    turn: int = 0  # the number of earlier inputs: 1 if a finished task was continued once
    suspicions: int = 0  # deaths of a worker while it ran there alongside others; nothing is charged for them
    crashes: int = 0  # deaths of a process that ran it alone
    errors: int = 0
    error_code: str | None = None  # the error of its last failed try, see ``ErrorCode``; None once completed
    provider_code: str | None = None  # the provider's own name for that error, such as ``overloaded_error``
    is_manually_stopped: bool = False
    deep_planning: DeepPlanning = Field(default_factory=DeepPlanning)
    hitl_request: dict[str, Any] | None = None
    messages_sent: int = 0  # set for its run only: messages received before the run began
    waiting_for: str | None = None  # what a pending task waits for: a time, a signal, its turn in a conversation
    last_executed_node_id: str | None = None
    tokens: Tokens | None = None
    used_tools: list[str] = Field(default_factory=list[str])
    finish_reason: str | None = None  # why the answer that became its result ended (words.finish)
    duration: float | None = None  # seconds of the last attempt
    last_event: int = 0
    llm_of_agent: dict[str, str] = Field(default_factory=dict[str, str])  # by field, for those unset in the task

    SECRET: ClassVar[frozenset[str]] = frozenset({"user_tokens", "user_oidc_token"})
    """Fields that only the task's run can read; for every other reader they are empty."""


def with_agents_model(task: TaskRecord, agent: Mapping[str, str]) -> TaskRecord:
    """Return the task with ``llm_of_agent`` set to its agent's model settings, except those that the task overrides.

    Args:
        task: The task.
        agent: The agent's settings, by the task's field names (``llm_model_name`` and so on).
    """
    said = dict(agent)
    if task.llm_model_name is not None or task.llm_model_provider is not None:  # never mix the settings of two models
        said = {name: value for name, value in said.items() if name == EFFORT}
    if task.reasoning_effort is not None:
        said.pop(EFFORT, None)
    return task.model_copy(update={"llm_of_agent": said}) if said else task


def effective(fields: dict[str, Any]) -> dict[str, Any]:
    """Fill in a task's fields with the model that applies, its own or its agent's. The mapping is changed in place."""
    for name, value in (fields.get("llm_of_agent") or {}).items():
        if fields.get(name) is None and name in LLM:
            fields[name] = value if name != EFFORT else next((e for e in LLMReasoningEffort if e == value), None)
    return fields


def _url_of(attachment: Any) -> str:
    url = attachment.get("url") if isinstance(attachment, dict) else getattr(attachment, "url", None)
    if not isinstance(url, str) or not url:
        raise ValueError("attachments must be objects with a `url`")
    return url


def is_traceparent(value: object) -> bool:
    """Return whether a value is a W3C trace context ``traceparent``."""
    return isinstance(value, str) and _TRACEPARENT.fullmatch(value) is not None


def check_webhook_url(value: str) -> str:
    """Check the form of a webhook URL. Whether its address is allowed is checked when the webhook is posted.

    Raises:
        ValueError: The value is not an http or https URL, or contains a user or password.
    """
    try:
        parts = urlsplit(value)
        named = bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc
        fits = named and parts.scheme in ("http", "https")
    except ValueError:
        fits = False
    if not fits or not value.isprintable() or " " in value:
        raise ValueError("webhook_url must be an https URL without user and password")
    return value
