"""What waits for a person: the inbox, and the forms by which it is answered."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pydantic
from starlette.datastructures import FormData
from starlette.responses import Response

from worker.dashboard.asking import AdmittedRequest, task_of, text_of
from worker.words.errors import Conflict, NotFound, ValidationError
from worker.words.requests import InputAnswer, InputRequest, OpenRequest, RequestKind, RequestQuery, open_requests
from worker.words.tasks import TaskRecord

PAGE = 50  # tasks
Kind = RequestKind
INBOX = "inbox"


@dataclass(frozen=True, slots=True)
class FormInput:
    """An input of a form.

    Args:
        name: Of the value that it gives; empty: it is the value itself.
        kind: ``text``, ``number``, ``boolean``, ``choice``, ``choices`` or ``json``.
        label: What stands before it.
        hint: What stands below it.
        options: What may be chosen.
        value: What it is filled in with.
        is_required: Whether it must be filled in.
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
        """Its name in what the browser sends."""
        return f"field:{self.name}"


@dataclass(frozen=True, slots=True)
class RequestForm:
    """A request as a form.

    Args:
        request: What is asked.
        fields: Its inputs.
        task_id: Whose it is.
        typed: What was typed before, where it did not fit.
        wrong: What did not fit.
    """

    request: InputRequest
    fields: tuple[FormInput, ...]
    task_id: str
    typed: Mapping[str, list[str]]
    wrong: str = ""

    def shown(self, field: FormInput) -> list[str]:
        """What an input holds."""
        return self.typed.get(field.key) or ([field.value] if field.value else [])

    def text(self, name: str, usual: str = "") -> str:
        """What another input holds."""
        return (self.typed.get(name) or [usual])[0]

    @property
    def arguments(self) -> str:
        """The tool's arguments, where they may be edited."""
        can = self.request.kind is Kind.Confirmation and self.request.tool_name and self.request.arguments
        return json.dumps(self.request.arguments, indent=2, ensure_ascii=False) if can else ""


def forms_of(task: TaskRecord) -> list[RequestForm]:
    """The forms of all that a task waits for."""
    waits = open_requests(task.hitl_request) if task.status == "paused" else []
    return [form_of(each, task.id) for each in waits]


def form_of(
    request: InputRequest, task_id: str, typed: Mapping[str, list[str]] | None = None, wrong: str = ""
) -> RequestForm:
    """The form of a request; one that was sent before with what was typed, and what is wrong with that."""
    return RequestForm(request, fields_of(request), task_id, typed or {}, wrong)


def fields_of(request: InputRequest) -> tuple[FormInput, ...]:
    """The inputs of a request's value."""
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
        return (FormInput("", "long", "Result", "Text, or JSON.", is_required=True),)
    if request.kind is Kind.OutputReview:
        output = (request.arguments or {}).get("output")
        return (FormInput("", "long", "Output", "It may be edited.", value=output if isinstance(output, str) else ""),)
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
    kinds = {"string": "text", "integer": "number", "number": "number", "boolean": "boolean"}
    return FormInput(name, kinds.get(str(schema.get("type")), "json"), label, hint, (), value, is_required)


async def inbox(asking: AdmittedRequest) -> Response:
    """List what waits for a person, the longest waiting first."""
    agent = asking.request.query_params.get("agent", "")
    after = asking.request.query_params.get("after")
    query = RequestQuery(agent_id=agent[:128] or None, limit=PAGE, after=after or None)
    found = await asking.may.organization.tasks.requests(asking.may.within(query))
    by_task: dict[str, list[OpenRequest]] = {}
    for each in found:
        by_task.setdefault(each.task_id, []).append(each)
    last = next(reversed(by_task), None) if len(by_task) >= PAGE else None
    return await asking.page(
        "inbox.html",
        tasks=[(listed[0], [form_of(each, each.task_id) for each in listed]) for listed in by_task.values()],
        next=last,
        is_first=not after,
        agent=agent,
    )


async def answer(asking: AdmittedRequest) -> Response:
    """Take an answer; one that does not fit is shown again with what is wrong with it."""
    sent = await asking.form()
    task = await task_of(asking)
    request_id = text_of(sent, "request")
    request = next((each for each in open_requests(task.hitl_request) if each.id == request_id), None)
    back = "/ui/inbox" if text_of(sent, "from") == INBOX else f"/ui/tasks/{task.id}"
    if request is None:  # it was answered meanwhile, or is asked no more
        return await asking.go(back, told="answered before")
    typed = typed_in(sent)
    try:
        given = given_in(request, sent)
        await asking.may.organization.tasks.answer(task.id, [given])
    except (Conflict, NotFound):
        return await asking.go(back, told="answered before")
    except ValidationError as error:
        form = form_of(request, task.id, typed, error.description)
        origin = INBOX if back == "/ui/inbox" else ""
        return await asking.page("answer.html", 422, task=task, form=form, origin=origin)
    return await asking.go(back, told="answered")


def typed_in(sent: FormData) -> dict[str, list[str]]:
    """What was typed, as it came."""
    return {key: [each for each in sent.getlist(key) if isinstance(each, str)] for key in sent}


def given_in(request: InputRequest, sent: FormData) -> InputAnswer:
    """What was sent, as an answer. Raises: ValidationError."""
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
    """What an input gives; None: nothing."""
    if field.kind in ("choices", "one of"):
        chosen = {each for each in sent.getlist(field.key) if isinstance(each, str)}
        return [each for each in field.options if str(each) in chosen] or None
    text = text_of(sent, field.key)
    if not text:
        return None
    if field.kind == "choice":
        return next((each for each in field.options if str(each) == text), text)
    return text if field.kind in ("text", "long") else _json(text, field.name or "value")


def _json(text: str, name: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValidationError(f"{name}: {error}", field=name) from None
