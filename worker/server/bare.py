"""Conversion of tasks and agents to values that the public client can parse.

A single task that it cannot parse crashes its whole worker process, or the call that requested the task. Every task for
a client other than ours is therefore checked against the following tables of that client's field types. Optional fields
with unsuitable values are converted if possible and otherwise sent as null. A task with an unsuitable required field
cannot be assigned to a worker at all.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from worker.words.activity import AgentActivityThread
from worker.words.events import TaskUpdateEvent
from worker.words.tasks import TaskRecord, effective

Check = Callable[[Any], bool]

FORBIDDEN = frozenset({"configuration"})
"""Field names that have another meaning to the client."""


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _filled(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _object(value: Any) -> bool:
    return isinstance(value, dict)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, dict) for each in value)


def _moment(value: Any) -> bool:
    try:
        datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return False
    return True


def _one_of(*values: str) -> Check:
    return lambda value: value in values


def _tokens(value: Any) -> bool:
    return isinstance(value, dict) and all(_whole(each) for each in value.values())


def _planning(value: Any) -> bool:
    steps = value.get("tasks") if isinstance(value, dict) else None
    if not isinstance(steps, list) or not _objects(steps):
        return False
    return all(_filled(each.get("id")) and _text(each.get("title")) for each in steps)


def _fits(optional: dict[str, Check], required: dict[str, Check] | None = None) -> Check:
    """Return a check of an object's fields."""

    def check(value: Any) -> bool:
        return (
            isinstance(value, dict)
            and all(is_fit(value.get(name)) for name, is_fit in (required or {}).items())
            and all(value.get(name) is None or is_fit(value[name]) for name, is_fit in optional.items())
        )

    return check


def _list_of(each_fits: Check) -> Check:
    return lambda value: isinstance(value, list) and all(each_fits(each) for each in value)


def _person(value: Any) -> Any:
    """Return a user with ``email`` as a string, which the client requires."""
    return {**value, "email": value.get("email") or ""} if isinstance(value, dict) else value


def _waiting(value: Any) -> Any:
    """Return a request with ``wait_node_id``, which the client requires although only its platform has nodes."""
    return {**value, "wait_node_id": value.get("wait_node_id") or ""} if isinstance(value, dict) else value


_SERVER = _fits(
    dict.fromkeys(("id", "name", "command", "url", "api_key", "client_id", "client_secret", "sso_audience"), _text)
    | dict.fromkeys(("headers", "env_vars"), _object)
    | dict.fromkeys(("allowed_tools", "additional_scopes"), _texts)
    | dict.fromkeys(("use_secrets_manager", "share_user_token_across_other_agents"), _flag)
    | {
        "type": _one_of("local", "remote"),
        "transport": _one_of("stdio", "sse", "streamable-http"),
        "auth_type": _one_of("api_key", "oauth2", "custom_headers", "sso_user", "none"),
        "sso_token": _one_of("access", "id", "exchange"),
    }
)
_USER = _fits(
    {**dict.fromkeys(("id", "first_name", "last_name", "timezone"), _text), "additional_attributes": _object},
    {"email": _text},
)
_ATTACHMENT = _fits(
    {
        **dict.fromkeys(("name", "mime", "sha256", "expires_at", "source", "transcript"), _text),
        "size": _whole,
        "kind": _one_of("image", "pdf", "document", "text", "audio", "video", "archive", "unknown"),
    },
    {"url": _text},
)
_PRINCIPAL = _fits(
    dict.fromkeys(("email", "display_name"), _text),
    {
        "kind": _one_of("user", "slack", "api_key", "system", "anonymous"),
        "id": lambda value: _text(value) and bool(value.strip()) and not set(value.strip()) & set(": \t\n\r\v\f"),
    },
)

REQUIRED: dict[str, Check] = {
    "id": _filled,
    "agent_id": _filled,
    "organization_id": _filled,
    "input": _object,
    "created_at": _moment,
}

OPTIONAL: dict[str, Check] = {
    "status": _one_of("pending", "executing", "paused", "error", "failed", "completed", "stopped"),
    "internal_status": _text,
    "started_at": _moment,
    "paused_at": _moment,
    "finished_at": _moment,
    "updated_at": _moment,
    "result": _text,
    "title": _text,
    "source": _filled,
    "worker_id": _text,
    "parent_execution": _text,
    "sub_executions": _texts,
    "conversation_id": _text,
    "payload_extension": _object,
    "output_format": _one_of("text", "json", "markdown", "voice"),
    "output_schema": _object,
    "events_streaming": _flag,
    "run_locally": _flag,
    "disable_attachment_injection": _flag,
    "return_metrics": _flag,
    "additional_context": _text,
    "instructions_override": _text,
    "expected_output": _text,
    "mcp_servers": _list_of(_SERVER),
    "triggering_agent_id": _text,
    "think_mode": _one_of("default", "harder"),
    "tool_call_limit": _whole,
    "agent_version": _text,
    "execution_attempts": _whole,
    "is_manually_stopped": _flag,
    "deep_planning": _planning,
    "hitl_request": _fits({}, {"wait_node_id": _text}),
    "last_executed_node_id": _text,
    "llm_model_provider": _text,
    "llm_model_name": _text,
    "llm_reasoning_effort": _one_of("low", "medium", "high", "xhigh"),
    "tokens": _tokens,
    "used_tools": _texts,
    "finish_reason": _text,
    "duration": _number,
    "user_tokens": _object,
    "user_oidc_token": _text,
    "test_run_node_id": _text,
    "harness_cli": _text,
    "permission_mode": _text,
}
"""Fields that are sent as null if unsuitable. Fields in neither table are sent unchanged; the client ignores them."""

INPUT: dict[str, Check] = {
    "text": _text,
    "files": _texts,
    "user": _USER,
    "attachments": _list_of(_ATTACHMENT),
    "principal": _PRINCIPAL,
}

NEVER_NULL: dict[str, Any] = {"source": "sdk"}


def readable(task: TaskRecord) -> tuple[dict[str, Any], str | None]:
    """Return a task as JSON that the public client can parse.

    Returns:
        The task, and the reason why it cannot be sent, or None if it can.
    """
    body = task.model_dump(mode="json", warnings="none")
    return fit(body)


def fit(body: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
    """Convert a dumped task in place according to the tables; return it with a reason if the client cannot parse it."""
    for name in FORBIDDEN & body.keys():
        del body[name]
    for name, check in REQUIRED.items():
        if not check(body.get(name)):
            return body, f"the task's {name} is not in a format that the worker can parse"
    body["hitl_request"] = _waiting(body.get("hitl_request"))
    _empty_what_does_not_fit(body, OPTIONAL)
    body |= {name: value for name, value in NEVER_NULL.items() if body.get(name) is None}
    given = body["input"]
    given["user"] = _person(given.get("user"))
    _empty_what_does_not_fit(given, INPUT)
    if not given.get("text") and not given.get("files"):
        return body, "the task's input has neither text nor files that the worker can read"
    return body, None


def client_json(record: BaseModel) -> dict[str, Any]:
    """Return any record (a task, an event, an activity log) as JSON that the public client can parse."""
    body = record.model_dump(mode="json", warnings="none")
    match record:
        case TaskRecord():
            fit(_with_its_model(body))
        case TaskUpdateEvent() if isinstance(record.data, TaskRecord):
            fit(_with_its_model(body["data"]))
        case AgentActivityThread():
            body["user"] = _person(body["user"])
            body["user"] = body["user"] if _USER(body["user"]) else None
        case _:
            pass
    return body


def _with_its_model(task: dict[str, Any]) -> dict[str, Any]:
    """Set the model fields of a dumped task to its effective model, in the public client's format."""
    effective(task)
    task.pop("llm_of_agent", None)
    return task


AGENT: dict[str, Check] = {
    "description": _text,
    "output_format": OPTIONAL["output_format"],
    "output_schema": _object,
    "expected_output": _text,
    "llm_reasoning_effort": OPTIONAL["llm_reasoning_effort"],
    "model_provider": _text,
    "model_name": _text,
}
"""Fields of an agent that are sent as null if unsuitable."""

PROVIDER = "openai"
MODEL = f"{PROVIDER}:gpt-5-mini"
"""Sent if neither the agent nor a setting names a model: the client cannot parse an agent without one."""


def agent(body: dict[str, Any], model: str | None) -> dict[str, Any]:
    """Convert a dumped agent in place to values that the public client can parse, and return it.

    Args:
        body: The dumped agent.
        model: The default model, as ``provider:name``.
    """
    _empty_what_does_not_fit(body, AGENT)
    if not (body.get("model_provider") and body.get("model_name")):
        provider, named, name = (body.get("model_name") or model or MODEL).partition(":")
        if not named:
            provider, name = PROVIDER, provider
        body |= {"model_provider": provider or PROVIDER, "model_name": name}
    return body


def tool(body: dict[str, Any], agent_id: str) -> dict[str, Any]:
    """Return a dumped tool in the public client's format."""
    path = f"/agents/{agent_id}/operations/{body['name']}"
    named = {name: body[name] for name in ("name", "description", "parameters")}
    return {"id": body["name"], **named, "method": "POST", "path": path}


def _empty_what_does_not_fit(body: dict[str, Any], checks: dict[str, Check]) -> None:
    for name, check in checks.items():
        if body.get(name) is not None and not check(body[name]):
            body[name] = None
