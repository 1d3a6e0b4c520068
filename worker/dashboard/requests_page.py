"""Requests to people: the inbox, and the forms for their answers."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pydantic
from starlette.datastructures import FormData
from starlette.responses import Response

from worker.dashboard.request_context import RequestContext, task_of, text_of
from worker.words.errors import Conflict, NotFound, ValidationError
from worker.words.requests import InputAnswer, InputRequest, OpenRequest, RequestKind, RequestQuery, open_requests
from worker.words.tasks import TaskRecord

PAGE = 50  # tasks per page
Kind = RequestKind
INBOX = "inbox"


@dataclass(frozen=True, slots=True)
class FormInput:
    """An input of a form.

    Args:
        name: The name of the property that the input sets; empty if it is the whole value.
        kind: ``text``, ``long``, ``date``, ``number``, ``boolean``, ``choice``, ``choices``, ``one of`` or ``json``.
        label: The label.
        hint: The text below the input.
        options: The options to choose from.
        value: The initial value.
        is_required: Whether the input must be filled in.
    """

    name: str
    kind: str
    label: str
    hint: str = ""
    options: tuple[Any, ...] = ()
    value: str = ""
    is_required: bool = False

    @property
    def key(self) -> str:
        """The name of the input in the submitted form."""
        return f"field:{self.name}"


@dataclass(frozen=True, slots=True)
class RequestForm:
    """A request with the form for its answer.

    Args:
        request: The request.
        fields: The inputs of the form.
        task_id: The task that made the request.
        typed: The previously submitted values, if they were invalid.
        wrong: The error message of the previous submission.
    """

    request: InputRequest
    fields: tuple[FormInput, ...]
    task_id: str
    typed: Mapping[str, list[str]]
    wrong: str = ""

    def shown(self, field: FormInput) -> list[str]:
        """Return the values of an input."""
        return self.typed.get(field.key) or ([field.value] if field.value else [])

    def text(self, name: str, usual: str = "") -> str:
        """Return the value of another field of the form."""
        return (self.typed.get(name) or [usual])[0]

    @property
    def arguments(self) -> str:
        """The tool's arguments as JSON, if they may be edited."""
        can = self.request.kind is Kind.Confirmation and self.request.tool_name and self.request.arguments
        return json.dumps(self.request.arguments, indent=2, ensure_ascii=False) if can else ""


def forms_of(task: TaskRecord) -> list[RequestForm]:
    """Return the forms of all open requests of a task."""
    waits = open_requests(task.hitl_request) if task.status == "paused" else []
    return [form_of(each, task.id) for each in waits]


def form_of(
    request: InputRequest, task_id: str, typed: Mapping[str, list[str]] | None = None, wrong: str = ""
) -> RequestForm:
    """Return the form of a request, after an invalid submission with its values and error message."""
    return RequestForm(request, fields_of(request), task_id, typed or {}, wrong)


def fields_of(request: InputRequest) -> tuple[FormInput, ...]:
    """Return the inputs for a request's value."""
    if request.choices is not None:
        kind = "choices" if request.several else "choice"
        return (FormInput("", kind, "Choose", options=tuple(request.choices), is_required=True),)
    schema = request.value_schema
    if schema is not None and isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        needed = schema.get("required") if isinstance(schema.get("required"), list) else []
        properties: dict[str, Any] = schema["properties"]
        return tuple(_field(name, each, is_required=name in (needed or ())) for name, each in properties.items())
    if schema is not None:
        return (_field("", schema, is_required=True),)
    if request.kind is Kind.ExternalExecution:
        return (FormInput("", "long", "Result", "Text or JSON.", is_required=True),)
    if request.kind is Kind.OutputReview:
        output = (request.arguments or {}).get("output")
        return (
            FormInput(
                "", "long", "Output", "You can edit the output.", value=output if isinstance(output, str) else ""
            ),
        )
    return ()


def _field(name: str, schema: Any, *, is_required: bool) -> FormInput:
    schema = schema if isinstance(schema, dict) else {}
    hint = str(schema.get("description") or "")
    usual = schema.get("default")
    value = "" if usual is None else usual if isinstance(usual, str) else json.dumps(usual, ensure_ascii=False)
    items = schema.get("items") if isinstance(schema.get("items"), dict) else {}
    label = name or "Value"
    if isinstance(schema.get("enum"), list):
        return FormInput(name, "choice", label, hint, tuple(schema["enum"]), value, is_required)
    if schema.get("type") == "array" and isinstance((items or {}).get("enum"), list):
        kind = "one of" if schema.get("maxItems") == 1 else "choices"
        return FormInput(name, kind, label, hint, tuple((items or {})["enum"]), value, is_required)
    if schema.get("type") == "string" and schema.get("format") == "date":
        return FormInput(name, "date", label, hint, (), value, is_required)
    kinds = {"string": "text", "integer": "number", "number": "number", "boolean": "boolean"}
    return FormInput(name, kinds.get(str(schema.get("type")), "json"), label, hint, (), value, is_required)


async def inbox(context: RequestContext) -> Response:
    """List the requests that wait for a person, longest wait first."""
    agent = context.request.query_params.get("agent", "")
    after = context.request.query_params.get("after")
    query = RequestQuery(agent_id=agent[:128] or None, limit=PAGE, after=after or None)
    found = await context.access.organization.tasks.requests(context.access.within(query))
    by_task: dict[str, list[OpenRequest]] = {}
    for each in found:
        by_task.setdefault(each.task_id, []).append(each)
    last = next(reversed(by_task), None) if len(by_task) >= PAGE else None
    return await context.page(
        "inbox.html",
        tasks=[(listed[0], [form_of(each, each.task_id) for each in listed]) for listed in by_task.values()],
        next=last,
        is_first=not after,
        agent=agent,
    )


async def answer(context: RequestContext) -> Response:
    """Accept an answer; an invalid one is shown again with the error."""
    sent = await context.form()
    task = await task_of(context)
    request_id = text_of(sent, "request")
    request = next((each for each in open_requests(task.hitl_request) if each.id == request_id), None)
    back = "/ui/inbox" if text_of(sent, "from") == INBOX else f"/ui/tasks/{task.id}"
    if request is None:  # it was answered in the meantime, or withdrawn
        return await context.go(back, notice="answered before")
    typed = typed_in(sent)
    try:
        given = given_in(request, sent)
        await context.access.organization.tasks.answer(task.id, [given])
    except (Conflict, NotFound):
        return await context.go(back, notice="answered before")
    except ValidationError as error:
        form = form_of(request, task.id, typed, error.description)
        origin = INBOX if back == "/ui/inbox" else ""
        return await context.page("answer.html", 422, task=task, form=form, origin=origin)
    return await context.go(back, notice="answered")


def typed_in(sent: FormData) -> dict[str, list[str]]:
    """Return the submitted texts by field."""
    return {key: [each for each in sent.getlist(key) if isinstance(each, str)] for key in sent}


def given_in(request: InputRequest, sent: FormData) -> InputAnswer:
    """Return the submitted form as an answer.

    Raises:
        ValidationError: A field is invalid.
    """
    approves = text_of(sent, "decision") != "no"
    note = text_of(sent, "note") or None
    fields = fields_of(request)
    given: dict[str, Any] = {"id": request.id, "note": note}
    if request.is_approved or not approves:
        given["approve"] = approves
    if approves and (arguments := text_of(sent, "arguments")):
        edited = _json(arguments, "arguments")
        if edited != request.arguments:
            given["arguments"] = edited
    if approves and fields:
        value = _value(request, fields, sent)
        if request.kind is not Kind.OutputReview or value != (request.arguments or {}).get("output"):
            given["value"] = value
    try:
        return InputAnswer.model_validate(given)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ValidationError(first["msg"], field=".".join(str(each) for each in first["loc"])) from None


def _value(request: InputRequest, fields: tuple[FormInput, ...], sent: FormData) -> Any:
    if len(fields) == 1 and not fields[0].name:
        if request.kind is Kind.ExternalExecution:
            text = text_of(sent, fields[0].key)
            try:
                return json.loads(text)
            except ValueError:
                return text
        return _read(fields[0], sent)
    read = {each.name: _read(each, sent) for each in fields}
    return {name: value for name, value in read.items() if value is not None}


def _read(field: FormInput, sent: FormData) -> Any:
    """Return the value of an input, or None if it is empty."""
    if field.kind in ("choices", "one of"):
        chosen = {each for each in sent.getlist(field.key) if isinstance(each, str)}
        return [each for each in field.options if str(each) in chosen] or None
    text = text_of(sent, field.key)
    if not text:
        return None
    if field.kind == "choice":
        return next((each for each in field.options if str(each) == text), text)
    return text if field.kind in ("text", "long", "date") else _json(text, field.name or "value")


def _json(text: str, name: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValidationError(f"{name}: {error}", field=name) from None
