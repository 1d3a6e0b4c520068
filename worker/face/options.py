"""Options of a new task besides its prompt and files."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, cast

import pydantic
from pydantic import BaseModel

from worker.contracts import Platform
from worker.face.changes import as_validation_error
from worker.face.uploads import FileSource, references
from worker.words.errors import ValidationError
from worker.words.statuses import LLMReasoningEffort, OutputFormat, ThinkMode
from worker.words.tasks import NewTask, User
from worker.words.texts import plain


class TaskOptions(TypedDict, total=False):
    """All options of a new task; an option that is omitted or None takes its default.

    ``CREATE`` in ``words/task_options.py`` describes each option. ``existing_task_id`` runs a finished task again with
    this input; ``user_details`` is the user that the task is for; ``tool_call_payload_extension`` is an alias of
    ``payload_extension``.
    """

    existing_task_id: str | None
    user_details: User | None
    agent_version: str | None
    tool_call_payload_extension: dict[str, Any] | None
    payload_extension: dict[str, Any] | None
    source: str | None
    worker_id: str | None
    run_locally: bool | None
    output_format: OutputFormat | str | None
    output_schema: dict[str, Any] | type[BaseModel] | None
    events_streaming: bool | None
    additional_context: str | None
    instructions_override: str | None
    expected_output: str | None
    mcp_servers: Sequence[dict[str, Any] | BaseModel] | None
    triggering_agent_id: str | None
    parent_execution: str | None
    conversation_id: str | None
    title: str | None
    think_mode: ThinkMode | str | None
    disable_attachment_injection: bool | None
    return_metrics: bool | None
    user_tokens: dict[str, Any] | None
    user_oidc_token: str | None
    test_run_node_id: str | None
    tool_call_limit: int | None
    llm_model_provider: str | None
    llm_model_name: str | None
    llm_reasoning_effort: LLMReasoningEffort | str | None
    harness_cli: str | None
    permission_mode: str | None
    webhook_url: str | None
    traceparent: str | None


def in_order(
    prompt: str | None, files: Sequence[FileSource] | str | None, more: Sequence[Any], options: TaskOptions
) -> tuple[str | None, Sequence[FileSource] | None, TaskOptions]:
    """Put positional arguments into this package's order.

    Raises:
        ValidationError: There are more arguments than either order has.
    """
    given: dict[str, Any] = dict(options)
    is_theirs = isinstance(files, str) and (prompt is None or "://" not in files)  # otherwise ``files`` is a single URL
    if not is_theirs and more:
        raise ValidationError(
            "only agent, prompt and files can be positional arguments; pass the others by name", field="options"
        )
    if is_theirs:  # the order of xpander-sdk: existing_task_id, prompt, file_urls, user_details
        if len(more) > 2:  # noqa: PLR2004
            raise ValidationError("arguments after user_details must be passed by name", field="options")
        given |= dict(zip(("existing_task_id", "user_details"), (prompt, *more[1:]), strict=False))
        prompt, files = cast("str", files), more[0] if more else None
    return prompt, cast("Sequence[FileSource] | None", files), cast("TaskOptions", given)


async def new_task(
    platform: Platform,
    agent_id: str,
    prompt: str | None,
    files: Sequence[FileSource] | None,
    options: Mapping[str, Any],
) -> NewTask:
    """Build a task to be created. Local files are uploaded after all other options have been validated.

    Raises:
        ValidationError: An option is unknown or invalid, or there is neither a prompt nor a file.
    """
    unknown = options.keys() - TaskOptions.__annotations__.keys()
    if unknown:
        name = min(unknown)
        raise ValidationError(f"unknown option {name!r} for a new task", field=name)
    fields = {name: value for name, value in options.items() if value is not None}
    fields |= _renamed(fields)
    # Validate with placeholders for the files, so that nothing is uploaded for a task that is refused.
    new = _checked(fields | {"agent_id": agent_id}, prompt, ["data:,"] * len(files or ()))
    new.input.files = await references(platform, files)
    return new


def _checked(fields: Mapping[str, Any], prompt: str | None, files: list[str]) -> NewTask:
    content = {"text": prompt or "", "files": files, "user": fields.get("user_details")}
    try:
        return NewTask.model_validate({**fields, "input": content})
    except pydantic.ValidationError as error:
        raise as_validation_error(error) from None


def _renamed(fields: dict[str, Any]) -> dict[str, Any]:
    renamed: dict[str, Any] = {}
    if "existing_task_id" in fields:
        renamed["id"] = fields.pop("existing_task_id")
    if "tool_call_payload_extension" in fields:
        renamed["payload_extension"] = fields.get("payload_extension", {}) | fields.pop("tool_call_payload_extension")
    if "mcp_servers" in fields:
        renamed["mcp_servers"] = [_plain(server) for server in fields["mcp_servers"]]
    schema = fields.get("output_schema")
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        renamed["output_schema"] = schema.model_json_schema()
    return renamed


def _plain(server: Any) -> Any:
    return plain(server.model_dump()) if isinstance(server, BaseModel) else server
