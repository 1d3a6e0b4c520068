"""The settings: one table of names, defaults, units and help, used for parsing, ``--help`` and the docs."""

import re
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, ByteSize, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?|https?://\[[0-9a-fA-F:]+\](:\d{1,5})?")
"""The origin of a web page, as browsers send it. ``*`` would let any page act for every user who opens it."""


def _parts(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]


class Settings(BaseSettings):
    """The settings, from the environment or else from a ``.env`` file in the current directory."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_prefix="WORKER_FIELD_",  # without a prefix, HOME would set ``home``, since fields are populated by name
        extra="ignore",
        populate_by_name=True,
        env_ignore_empty=True,
        hide_input_in_errors=True,
    )

    database_url: SecretStr | None = Field(
        default=None, validation_alias="DATABASE_URL", description="PostgreSQL to use; `postgres://` is accepted too"
    )
    port: int = Field(default=8080, validation_alias="PORT", ge=0, le=65535, description="port the server listens on")
    base_url: str | None = Field(
        default=None, validation_alias="XPANDER_BASE_URL", description="a platform to work against over HTTP"
    )
    api_key: SecretStr | None = Field(
        default=None, validation_alias="XPANDER_API_KEY", description="key for that platform"
    )
    organization_id: str = Field(
        default="default", validation_alias="XPANDER_ORGANIZATION_ID", description="organization whose tasks are served"
    )
    agent_id: str | None = Field(
        default=None,
        validation_alias="XPANDER_AGENT_ID",
        description="agent or agents (comma-separated) to serve; unset: those of the registered handlers",
    )
    home: Path = Field(
        default=Path(".worker"), validation_alias="WORKER_HOME", description="folder of the embedded PostgreSQL"
    )
    concurrency: int = Field(
        default=10, validation_alias="WORKER_CONCURRENCY", ge=1, le=10_000, description="tasks a worker runs at once"
    )
    children: int = Field(
        default=2,  # each is an interpreter with Agno, of about 150 MB
        validation_alias="WORKER_CHILDREN",
        ge=0,
        le=1000,
        description="tasks that workers died of which a worker runs at once, each alone in a process; 0: beside others",
    )
    hung_threads: int = Field(
        default=20,  # each keeps its stack and data; a process has room for many more
        validation_alias="WORKER_HUNG_THREADS",
        ge=0,
        description="threads that may hang in tools nobody waits for; beyond it a worker hands back its tasks and ends",
    )
    max_tasks: int | None = Field(
        default=None,
        validation_alias="WORKER_MAX_TASKS",
        ge=1,
        description="tasks after which a worker leaves, to be started anew; unset: it stays",
    )
    max_memory: ByteSize | None = Field(
        default=None,
        validation_alias="WORKER_MAX_MEMORY",
        gt=0,
        description="memory of a worker beyond which it leaves, to be started anew, as `1GiB`; unset: it stays",
    )
    lease_seconds: float = Field(
        default=30.0,  # three missed renewals, one every 10 s
        validation_alias="WORKER_LEASE_SECONDS",
        ge=3,
        le=3600,
        description="seconds that a worker's hold on a task outlives its last sign of life",
    )
    drain_seconds: float = Field(
        default=24.0,  # Heroku kills at 30
        validation_alias="WORKER_DRAIN_SECONDS",
        ge=0,
        le=86_400,
        description="seconds that running tasks get to finish after SIGTERM",
    )
    server_key: SecretStr | None = Field(
        default=None, validation_alias="WORKER_API_KEY", description="key that the server accepts"
    )
    public_url: str | None = Field(
        default=None,
        validation_alias="WORKER_PUBLIC_URL",
        pattern=r"^https?://[^/?#\s@]+(/[^?#\s]*)?$",
        description="URL by which clients reach the server, for links to files and to what tasks ask; also for workers"
        " on a database, whose handlers are told the latter; unset: the one of each request",
    )
    secret: SecretStr | None = Field(
        default=None,
        validation_alias="WORKER_SECRET",
        description="what the server derives its own secrets from, which sign cookies and links; the same for workers"
        " on its database; several with spaces between while one replaces another, the new one first; none: random ones"
        " in the database",
    )
    encryption_key: SecretStr | None = Field(
        default=None,
        validation_alias="WORKER_ENCRYPTION_KEY",
        description="key that tasks' secrets are encrypted with at rest, of `worker key generate`; several with spaces"
        " between while one replaces another, the new one first",
    )
    encrypt: Literal["secrets", "all"] = Field(
        default="secrets",
        validation_alias="WORKER_ENCRYPT",
        description="what WORKER_ENCRYPTION_KEY encrypts: `secrets` of tasks, or `all`: inputs, results, events,"
        " journals and files too, which no search for text finds then",
    )
    cors_origins: str | None = Field(
        default=None,
        validation_alias="WORKER_CORS_ORIGINS",
        description="web pages that may use the server from a browser, with their users' keys: `https://app.example`,"
        " comma-separated; unset: no page of another origin may",
    )
    connections_per_address: int = Field(
        default=1000,
        validation_alias="WORKER_CONNECTIONS_PER_ADDRESS",
        ge=0,
        description="connections that the server takes of one address at once; 0: any number, as behind a proxy",
    )
    wrong_keys: int = Field(
        default=30,
        validation_alias="WORKER_WRONG_KEYS",
        ge=0,
        description="wrong keys that the server looks at of one address in a minute; 0: any number, as behind a proxy"
        " that does not say whom it speaks for",
    )
    outage_minutes: float = Field(
        default=60.0,
        validation_alias="WORKER_OUTAGE_MINUTES",
        ge=0,
        le=100_000,
        description="minutes that tasks wait for a provider that is away, until they end as errors; 0: they never wait",
    )
    max_queued: int = Field(
        default=100_000,
        validation_alias="WORKER_MAX_QUEUED",
        ge=1,
        description="pending tasks of one agent, beyond which the server takes no more of them",
    )
    retention_days: int = Field(
        default=30,
        validation_alias="WORKER_RETENTION_DAYS",
        ge=0,
        le=36_500,
        description="days that finished tasks are kept, with their events and files; 0: for ever",
    )
    audit_days: int = Field(
        default=90,
        validation_alias="WORKER_AUDIT_DAYS",
        ge=0,
        le=36_500,
        description="days that lines of the audit log are kept; 0: for ever",
    )
    log: Literal["json", "logfmt", "console"] | None = Field(
        default=None,
        validation_alias="WORKER_LOG",
        description="form of log lines: json, logfmt or console; unset: console on a terminal, else logfmt",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", validation_alias="WORKER_LOG_LEVEL", description="least level of log lines"
    )
    metrics_port: int | None = Field(
        default=None,
        validation_alias="WORKER_METRICS_PORT",
        ge=0,
        le=65535,
        description="port of a worker's `/metrics`; unset: it has none (the server's is on its own port)",
    )
    metrics_host: str = Field(
        default="127.0.0.1", validation_alias="WORKER_METRICS_HOST", description="address of a worker's `/metrics`"
    )
    allow_private_urls: bool = Field(
        default=False,
        validation_alias="WORKER_ALLOW_PRIVATE_URLS",
        description="fetch attachments, and what agents name, from private and loopback addresses too",
    )
    model: str | None = Field(
        default=None,
        validation_alias="WORKER_MODEL",
        description="model of agents that name none, as `provider:name`; unset: by the API key that is set",
    )
    embedder: str | None = Field(
        default=None,
        validation_alias="WORKER_EMBEDDER",
        description="what makes vectors of the texts of new knowledge bases that do not say it, as `provider:model`;"
        " unset: they are searched by words alone",
    )
    model_silence_seconds: float = Field(
        default=120.0,  # models that think for longer send output meanwhile
        validation_alias="WORKER_MODEL_SILENCE_SECONDS",
        gt=0,
        le=86_400,
        description="seconds for which a model may say nothing; an answer in one piece may take five times that",
    )
    tool_repeats: int = Field(
        default=20,
        validation_alias="WORKER_TOOL_REPEATS",
        ge=0,
        description="times that the same tool call may give the same result until its agent has to answer; 0: no limit",
    )
    tool_calls: int = Field(
        default=200,  # several times the limits of other frameworks; ends loops that use other arguments each time
        validation_alias="WORKER_TOOL_CALLS",
        ge=1,
        description="tool calls of one run of an agent, where neither it nor the task has a `tool_call_limit`",
    )
    tool_result_characters: int | None = Field(
        default=None,
        validation_alias="WORKER_TOOL_RESULT_CHARACTERS",
        ge=0,
        description="characters of a tool's result that its model is given; 0: all; unset: 200,000, or fewer",
    )
    webhook_url: SecretStr | None = Field(
        default=None,
        validation_alias="WORKER_WEBHOOK_URL",
        description="URL that finished tasks are posted to which name no `webhook_url` of their own",
    )
    webhook_secret: SecretStr | None = Field(
        default=None,
        validation_alias="WORKER_WEBHOOK_SECRET",
        description="what webhooks are signed with, `whsec_…`; several with spaces between, while one replaces another",
    )
    file_bytes: int = Field(
        default=20 * 1024 * 1024,
        validation_alias="WORKER_FILE_BYTES",
        ge=1,
        description="bytes of one attachment at most",
    )
    task_bytes: int = Field(
        default=60 * 1024 * 1024,
        validation_alias="WORKER_TASK_BYTES",
        ge=1,
        description="bytes of all attachments of a task at most",
    )
    keep_bytes: int = Field(
        default=60 * 1024 * 1024,
        validation_alias="WORKER_KEEP_BYTES",
        ge=0,
        description="bytes of fetched attachments kept with a task at most, for its retries; 0: none",
    )
    fetch_seconds: float = Field(
        default=30.0, validation_alias="WORKER_FETCH_SECONDS", gt=0, description="seconds to read one attachment"
    )
    fetch_redirects: int = Field(
        default=5, validation_alias="WORKER_FETCH_REDIRECTS", ge=0, description="redirects followed for one attachment"
    )
    file_characters: int | None = Field(
        default=None,
        validation_alias="WORKER_FILE_CHARACTERS",
        ge=0,
        description="characters of one text file in a message at most; unset: as many as suit the model",
    )
    total_characters: int | None = Field(
        default=None,
        validation_alias="WORKER_TOTAL_CHARACTERS",
        ge=0,
        description="characters of all text files in a message at most; unset: as many as suit the model, to 1,000,000",
    )

    document_pictures: int = Field(
        default=0,
        validation_alias="WORKER_DOCUMENT_PICTURES",
        ge=0,
        le=100,
        description="pictures within one document that become images, where the model takes them; each costs tokens",
    )

    @field_validator("agent_id")
    @classmethod
    def _agents(cls, value: str | None) -> str | None:
        return ",".join(part.strip() for part in value.split(",") if part.strip()) or None if value else value

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: str | None) -> str | None:
        wrong = [each for each in _parts(value) if not _ORIGIN.fullmatch(each)]
        if wrong:
            raise ValueError(f"an origin is scheme, host and port, such as https://app.example: {wrong[0]!r} is none")
        return value

    @property
    def origins(self) -> list[str]:
        """The origins of web pages that may use the server."""
        return _parts(self.cors_origins)

    @property
    def agent_ids(self) -> tuple[str, ...]:
        """The agents to serve, if the environment names any."""
        return tuple(self.agent_id.split(",")) if self.agent_id else ()


def table() -> list[tuple[str, str, str]]:
    """Return the name, default and help of every setting, for ``--help`` and the docs."""
    rows: list[tuple[str, str, str]] = []
    for field in Settings.model_fields.values():
        alias = field.validation_alias
        name = alias.choices[0] if isinstance(alias, AliasChoices) else alias
        rows.append((str(name), "" if field.default is None else str(field.default), field.description or ""))
    return rows
