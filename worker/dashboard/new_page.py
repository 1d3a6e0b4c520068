"""The page for creating a task, empty or prefilled from an existing task."""

import json
from dataclasses import dataclass, field
from typing import Any

import pydantic
from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response

from worker import bounded
from worker.bounded import BoundedError, Bounds, Busy, Refused
from worker.dashboard.files import ShownFile, attachments
from worker.dashboard.request_context import RequestContext, text_of
from worker.dashboard.tasks_page import agents_of
from worker.inputs.names import file_name, size_words
from worker.words.errors import AgentNotFound, ModuleException, Unavailable, ValidationError
from worker.words.ids import check_id
from worker.words.statuses import OutputFormat
from worker.words.tasks import AgentExecutionInput, NewTask, TaskRecord, User

SOURCE = "dashboard"
SCHEMA_CHARACTERS = 200_000  # parsed on the event loop, in at most 50 ms; validated in a child process
SCHEMA_BOUNDS = Bounds(seconds=2)  # a schema of 10 KB takes about 20 ms; a malicious one of 300 KB takes 24 s
SCHEMA_PATIENCE = 10.0  # seconds to wait for a free child process
_CHECK = "worker.bounded.json_schema:check"
FIELDS = (
    "agent",
    "title",
    "text",
    "output_format",
    "output_schema",
    "user",
    "conversation",
    "instructions",
    "expected_output",
)


@dataclass(slots=True)
class Draft:
    """The contents of the form.

    Args:
        values: The form's fields.
        origin: The task that the form was prefilled from.
        files: The files of that task.
        kept: The numbers of those files that the new task gets, too.
        wrong: Error messages by field.
    """

    values: dict[str, str] = field(default_factory=lambda: dict.fromkeys(FIELDS, ""))
    origin: TaskRecord | None = None
    files: list[ShownFile] = field(default_factory=list[ShownFile])
    kept: frozenset[int] = frozenset()
    wrong: dict[str, str] = field(default_factory=dict[str, str])


async def new(context: RequestContext) -> Response:
    """Show the form, prefilled from another task if one is named."""
    draft = Draft()
    for name in ("agent", "conversation"):
        draft.values[name] = context.request.query_params.get(name, "")[:128]
    origin_id = context.request.query_params.get("from", "")
    if origin_id:
        draft = await _like(context, origin_id)
    return await _form(context, draft)


async def _like(context: RequestContext, task_id: str) -> Draft:
    task = await context.access.task(task_id)
    user = task.input.user
    values = {
        "agent": task.agent_id,
        "title": task.title or "",
        "text": task.input.text or "",
        "output_format": task.output_format or "",
        "output_schema": json.dumps(task.output_schema, indent=2, ensure_ascii=False) if task.output_schema else "",
        "user": (user.id if user else None) or "",
        "conversation": task.conversation_id or "",
        "instructions": task.instructions_override or "",
        "expected_output": task.expected_output or "",
    }
    files = await attachments(context, task)
    return Draft(values, task, files, frozenset(each.number for each in files))


async def _form(context: RequestContext, draft: Draft, status: int = 200) -> Response:
    return await context.page(
        "new.html", status, draft=draft, agents=await agents_of(context), formats=list(OutputFormat)
    )


async def create(context: RequestContext) -> Response:
    """Create the task, or show the form again with error messages."""
    form = await context.form()
    origin_id = text_of(form, "from")
    draft = await _like(context, origin_id) if origin_id else Draft()
    draft.values = {name: text_of(form, name) for name in FIELDS}
    draft.kept = frozenset(int(each) for each in form.getlist("keep") if isinstance(each, str) and each.isdigit())
    try:
        task = await _created(context, draft, form)
    except Unavailable:
        raise
    except ModuleException as error:
        draft.wrong[getattr(error, "field", None) or "form"] = error.description
        return await _form(context, draft, error.status_code)
    return await context.go(f"/ui/tasks/{task.id}", notice="created")


async def _created(context: RequestContext, draft: Draft, form: FormData) -> TaskRecord:
    values = draft.values
    agent_id = check_id(values["agent"], "agent")
    try:
        context.access.check(agent_id)
    except AgentNotFound as error:
        raise ValidationError(error.description, field="agent") from None
    schema = await _schema(values["output_schema"])
    uploads = [each for each in form.getlist("files") if isinstance(each, UploadFile) and (each.filename or each.size)]
    if not values["text"] and not uploads and not draft.kept:
        raise ValidationError("Enter a prompt, or add a file.", field="text")
    _check_sizes(context, uploads)
    await context.server.enter_queue(context.access, agent_id)
    tasks = context.access.organization.tasks
    files = [url for number, url in enumerate(_files(draft.origin)) if number in draft.kept]
    for upload in uploads:
        name = file_name(upload.filename or "") or "file"
        files.append(await context.access.store_file(name, upload.content_type or "", await upload.read()))
    return await tasks.create(_new_task(draft, agent_id, files, schema))


def _check_sizes(context: RequestContext, uploads: list[UploadFile]) -> None:
    """Reject files that are too large for any worker, whose task would otherwise start without them."""
    server = context.server
    for upload in uploads:
        if (upload.size or 0) > server.file_bytes:
            name, size = file_name(upload.filename or "") or "The file", size_words(upload.size or 0)
            most = size_words(server.file_bytes)
            raise ValidationError(f"{name} has {size}; the maximum is {most}.", field="file")
    total = sum(upload.size or 0 for upload in uploads)
    if total > server.task_bytes:
        most = size_words(server.task_bytes)
        raise ValidationError(f"The files have {size_words(total)} in total; the maximum is {most}.", field="file")


def _files(origin: TaskRecord | None) -> list[str]:
    return (origin.input.files or []) if origin is not None else []


async def _schema(text: str) -> dict[str, Any] | None:
    if not text:
        return None
    if len(text) > SCHEMA_CHARACTERS:
        most = f"{SCHEMA_CHARACTERS:,}"
        raise ValidationError(f"The JSON Schema is too long; the maximum is {most} characters.", field="output_schema")
    try:
        schema = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValidationError(f"This is not valid JSON: {error}", field="output_schema") from None
    if not isinstance(schema, dict):
        raise ValidationError("A JSON Schema must be an object.", field="output_schema")
    try:
        await bounded.checks.run(_CHECK, schema, bounds=SCHEMA_BOUNDS, patience=SCHEMA_PATIENCE)
    except Busy as error:
        raise Unavailable("the server is checking other schemas; try again", retry_after=5) from error
    except (Refused, BoundedError) as refused:
        raise ValidationError(f"This is not a valid JSON Schema: {str(refused)[:300]}", field="output_schema") from None
    return schema


def _new_task(draft: Draft, agent_id: str, files: list[str], schema: dict[str, Any] | None) -> NewTask:
    values = draft.values
    is_format = values["output_format"] in set(OutputFormat)
    try:
        return NewTask(
            agent_id=agent_id,
            title=values["title"] or None,
            input=AgentExecutionInput(
                text=values["text"], files=files, user=User(id=values["user"]) if values["user"] else None
            ),
            conversation_id=values["conversation"] or None,
            output_format=OutputFormat(values["output_format"]) if is_format else None,
            output_schema=schema,
            instructions_override=values["instructions"] or None,
            expected_output=values["expected_output"] or None,
            events_streaming=True,
            source=SOURCE,
        )
    except pydantic.ValidationError as error:
        raise ValidationError(str(error.errors()[0]["msg"]), field="form") from None
