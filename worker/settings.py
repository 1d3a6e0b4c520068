"""The settings: one table of names, defaults, units and help, used for parsing, ``--help`` and the docs."""

import re
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, AliasGenerator, ByteSize, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?|https?://\[[0-9a-fA-F:]+\](:\d{1,5})?")
"""The origin of a web page, as browsers send it. ``*`` would let any page act for every user who opens it."""


def _parts(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def _variable(field: str) -> str:
    return f"WORKER_{field.upper()}"


class Settings(BaseSettings):
    """The settings, from the environment or else from a ``.env`` file in the current directory.

    The variable of a field is ``WORKER_`` and its name in capitals, such as WORKER_HOME, unless it has an alias.
    """

    model_config = SettingsConfigDict(
        alias_generator=AliasGenerator(validation_alias=_variable),
        env_file=".env",
        env_prefix="WORKER_FIELD_",  # without a prefix, HOME would set ``home``, since fields are populated by name
        extra="ignore",
        populate_by_name=True,
        env_ignore_empty=True,
        hide_input_in_errors=True,
    )

    database_url: SecretStr | None = Field(
        default=None,
        validation_alias="DATABASE_URL",
        description="URL of the PostgreSQL database; `postgres://` is accepted too; unset: an embedded PostgreSQL",
    )
    port: int = Field(
        default=8080, validation_alias="PORT", ge=0, le=65535, description="port that the server listens on"
    )
    base_url: str | None = Field(
        default=None,
        validation_alias="XPANDER_BASE_URL",
        description="URL of a platform to use over HTTP instead of a database",
    )
    api_key: SecretStr | None = Field(
        default=None, validation_alias="XPANDER_API_KEY", description="API key for the platform at XPANDER_BASE_URL"
    )
    organization_id: str = Field(
        default="default", validation_alias="XPANDER_ORGANIZATION_ID", description="organization whose tasks are served"
    )
    agent_id: str | None = Field(
        default=None,
        validation_alias="XPANDER_AGENT_ID",
        description="agents to serve, comma-separated; unset: those with registered handlers",
    )
    home: Path = Field(default=Path(".worker"), description="folder of the embedded PostgreSQL")
    concurrency: int = Field(
        default=10,
        ge=1,
        le=10_000,
        description="maximum number of tasks a worker runs at a time",
    )
    children: int = Field(
        default=2,  # each is an interpreter with Agno, of about 150 MB
        ge=0,
        le=1000,
        description="maximum number of tasks that a worker runs in child processes, which isolate tasks suspected of"
        " crashing workers; 0: such tasks run alongside others",
    )
    hung_threads: int = Field(
        default=20,  # each keeps its stack and data; a process has room for many more
        ge=0,
        description="number of hung threads, left behind by abandoned tool calls, above which a worker hands back its"
        " tasks and exits",
    )
    max_tasks: int | None = Field(
        default=None,
        ge=1,
        description="number of tasks that a worker starts before it exits, to be restarted by its process manager;"
        " unset: no limit",
    )
    max_memory: ByteSize | None = Field(
        default=None,
        gt=0,
        description="memory use above which a worker exits, to be restarted by its process manager, such as `1GiB`;"
        " unset: no limit",
    )
    lease_seconds: float = Field(
        default=30.0,  # three missed renewals, one every 10 s
        ge=3,
        le=3600,
        description="seconds without a heartbeat after which a worker loses its tasks",
    )
    drain_seconds: float = Field(
        default=24.0,  # Heroku kills at 30
        ge=0,
        le=86_400,
        description="seconds that running tasks have to finish after SIGTERM",
    )
    server_key: SecretStr | None = Field(
        default=None, validation_alias="WORKER_API_KEY", description="API key that the server accepts"
    )
    public_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/?#\s@]+(/[^?#\s]*)?$",
        description="URL at which clients reach the server, used in links to files and to requests for people's"
        " answers; workers on a database need it for the latter; unset: the URL of each request",
    )
    secret: SecretStr | None = Field(
        default=None,
        description="secret from which the server derives the keys that sign cookies and links; use the same value for"
        " workers on its database; several values, newest first, separated by spaces, allow rotation; unset:"
        " random keys stored in the database",
    )
    encryption_key: SecretStr | None = Field(
        default=None,
        description="key that encrypts tasks' secrets at rest, from `worker key generate`; several keys, newest first,"
        " separated by spaces, allow rotation",
    )
    encrypt: Literal["secrets", "all"] = Field(
        default="secrets",
        description="what WORKER_ENCRYPTION_KEY encrypts: `secrets` of tasks only, or `all`, which adds inputs,"
        " results, events, journals and files, and excludes them from text search",
    )
    cors_origins: str | None = Field(
        default=None,
        description="origins of web pages that may call the server from a browser with their users' keys, such as"
        " `https://app.example`, comma-separated; unset: none",
    )
    connections_per_address: int = Field(
        default=1000,
        ge=0,
        description="maximum number of simultaneous connections from one address; 0: no limit, for a server behind a"
        " proxy",
    )
    wrong_keys: int = Field(
        default=30,
        ge=0,
        description="maximum number of wrong keys checked per address and minute; 0: no limit, for a server behind a"
        " proxy that does not forward the client's address",
    )
    outage_minutes: float = Field(
        default=60.0,
        ge=0,
        le=100_000,
        description="minutes that tasks wait for an unavailable model provider before they end as errors; 0: do"
        " not wait",
    )
    max_queued: int = Field(
        default=100_000,
        ge=1,
        description="maximum number of pending tasks per agent; the server refuses further ones",
    )
    retention_days: int = Field(
        default=30,
        ge=0,
        le=36_500,
        description="days to keep finished tasks, with their events and files; 0: forever",
    )
    audit_days: int = Field(
        default=90,
        ge=0,
        le=36_500,
        description="days to keep entries of the audit log; 0: forever",
    )
    log: Literal["json", "logfmt", "console"] | None = Field(
        default=None,
        description="format of log lines: json, logfmt or console; unset: console on a terminal, otherwise logfmt",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="lowest level of log lines to write"
    )
    metrics_port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="port of a worker's `/metrics` endpoint; unset: none (the server has `/metrics` on its own port)",
    )
    metrics_host: str = Field(
        default="127.0.0.1",
        description="address that a worker's `/metrics` endpoint listens on",
    )
    allow_private_urls: bool = Field(
        default=False,
        description="whether attachments and URLs named by agents may be fetched from private and loopback addresses",
    )
    model: str | None = Field(
        default=None,
        description="default model of agents that name none, as `provider:name`; unset: chosen by the API key in the"
        " environment",
    )
    embedder: str | None = Field(
        default=None,
        description="default embedder of new knowledge bases, as `provider:model`; unset: search matches words only",
    )
    model_silence_seconds: float = Field(
        default=120.0,  # models that think for longer send output meanwhile
        gt=0,
        le=86_400,
        description="seconds without output after which a model call is abandoned; a call that does not stream may take"
        " five times as long",
    )
    tool_repeats: int = Field(
        default=20,
        ge=0,
        description="number of identical calls of a tool with the same result after which the agent must answer; 0: no"
        " limit",
    )
    tool_calls: int = Field(
        default=200,  # several times the limits of other frameworks; ends loops that use other arguments each time
        ge=1,
        description="maximum number of tool calls per run of an agent, unless the agent or the task sets"
        " `tool_call_limit`",
    )
    tool_result_characters: int | None = Field(
        default=None,
        ge=0,
        description="maximum number of characters of a tool's result passed to the model; 0: no limit; unset:"
        " 200,000, or fewer for models with a small context",
    )
    webhook_url: SecretStr | None = Field(
        default=None,
        description="URL to post finished tasks to, unless they have their own `webhook_url`",
    )
    webhook_secret: SecretStr | None = Field(
        default=None,
        description="secret that signs webhooks, `whsec_…`; several secrets, separated by spaces, allow rotation",
    )
    file_bytes: int = Field(
        default=20 * 1024 * 1024,
        ge=1,
        description="maximum size of one attachment in bytes",
    )
    task_bytes: int = Field(
        default=60 * 1024 * 1024,
        ge=1,
        description="maximum total size of a task's attachments in bytes",
    )
    keep_bytes: int = Field(
        default=60 * 1024 * 1024,
        ge=0,
        description="maximum total size in bytes of fetched attachments stored with a task for its retries; 0: none are"
        " stored",
    )
    fetch_seconds: float = Field(
        default=30.0,
        gt=0,
        description="seconds within which an attachment must be downloaded",
    )
    fetch_redirects: int = Field(
        default=5,
        ge=0,
        description="maximum number of redirects to follow for an attachment",
    )
    file_characters: int | None = Field(
        default=None,
        ge=0,
        description="maximum number of characters of one text file in a message; unset: depends on the model",
    )
    total_characters: int | None = Field(
        default=None,
        ge=0,
        description="maximum number of characters of all text files in a message; unset: depends on the model, at most"
        " 1,000,000",
    )

    document_pictures: int = Field(
        default=0,
        ge=0,
        le=100,
        description="maximum number of pictures in a document that are passed to models as images; each costs tokens",
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
            raise ValueError(
                f"an origin consists of a scheme, host and port, such as https://app.example; got {wrong[0]!r}"
            )
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
