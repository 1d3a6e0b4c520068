"""The fields of a task that a save may change: one table for clients, workers, platforms and the OpenAPI document.

This module defines which fields there are, which values each accepts, and the form in which they are stored and sent.
The platform decides how a change affects a task's status.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel

from worker.words.errors import TooLarge, ValidationError
from worker.words.finish import REASON_CHARACTERS
from worker.words.limits import FILE_BYTES
from worker.words.requests import REQUESTS
from worker.words.statuses import AgentExecutionStatus
from worker.words.tasks import INTERNAL_STATUS_CHARACTERS, DeepPlanning, Tokens
from worker.words.texts import clean, encode, plain

CODE_CHARACTERS = 200  # of an error code

LONGEST_DURATION = 1e12  # seconds, about 30,000 years: anything larger is a mistake


class FieldRule(NamedTuple):
    """The values that a field accepts.

    Args:
        check: Converts a value to its stored form, given the field's name and the value. It raises ValidationError or
            TooLarge.
        schema: The same rule as JSON Schema, without null; null, which clears a field, is added later.
    """

    check: Callable[[str, Any], Any]
    schema: dict[str, Any]


def check_changes(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Check the changes of a save before anything is sent or stored.

    Args:
        changes: New values by field, None to clear a field. Fields fixed at creation are ignored, since unmodified
            clients send whole tasks.

    Returns:
        The values to store: plain JSON values and clean texts.

    Raises:
        ValidationError: A value does not fit its field; the error names the first such field.
        TooLarge: A result is larger than any stored file may be.
    """
    checked: dict[str, Any] = {}
    for name, value in changes.items():
        if name in RULES and not (name == "status" and value is None):
            checked[name] = None if value is None else RULES[name].check(name, value)
    return checked


def schema() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema of each field by name, null included."""
    return {name: _or_null(rule.schema) for name, rule in RULES.items()}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    if "enum" in schema:
        return {**schema, "enum": [*schema["enum"], None]}
    if "$ref" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    return {**schema, "type": [schema["type"], "null"]} if "type" in schema else schema


def _text(most: int | None = None) -> FieldRule:
    def check(name: str, value: Any) -> str | None:
        if not isinstance(value, str):
            raise ValidationError(f"{name} must be a string", field=name)
        if most is not None and len(value) > most:
            raise ValidationError(f"{name} has {len(value)} characters; the maximum is {most}", field=name)
        return clean(value)

    return FieldRule(check, {"type": "string"} if most is None else {"type": "string", "maxLength": most})


def _model(model: type[BaseModel], schema: dict[str, Any]) -> FieldRule:
    """Return the rule for a value with a model's structure; any other value could not be read back after storing."""

    def check(name: str, value: Any) -> dict[str, Any]:
        try:
            return model.model_validate(_object(name, value)).model_dump(mode="json")
        except ValueError:
            raise ValidationError(
                f"{name} must be an object with the fields {', '.join(model.model_fields)}", field=name
            ) from None

    return FieldRule(check, schema)


def _status(name: str, value: Any) -> str:
    try:
        return AgentExecutionStatus(value)
    except ValueError:
        known = ", ".join(AgentExecutionStatus)
        raise ValidationError(f"{name} must be one of {known}, not {value!r}", field=name) from None


def _result(name: str, value: Any) -> str | None:  # noqa: ARG001 - all checks share one signature
    text = clean(value) if isinstance(value, str) else encode(value).decode()
    size = len(text) if text.isascii() else len(text.encode())
    if size > FILE_BYTES:
        raise TooLarge(f"The result has {size:,} bytes; the maximum is {FILE_BYTES:,}.")
    return text


def _waiting(name: str, value: Any) -> dict[str, Any]:
    """Check the requests that a task waits for, without the answer links, which are made for each reader."""
    found = _object(name, value)
    if isinstance(found.get(REQUESTS), list):
        found[REQUESTS] = [
            {key: part for key, part in each.items() if key != "answer_url"} if isinstance(each, dict) else each
            for each in found[REQUESTS]
        ]
    return found


def _object(name: str, value: Any) -> dict[str, Any]:
    value = value.model_dump() if isinstance(value, BaseModel) else value
    if not isinstance(value, dict):
        raise ValidationError(f"{name} must be an object", field=name)
    return plain(value)


def _texts(name: str, value: Any) -> list[str]:
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
        raise ValidationError(f"{name} must be a list of strings", field=name)
    return [clean(each) for each in value]


def _duration(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LONGEST_DURATION:
        raise ValidationError(f"{name} must be a number of seconds from 0 to {LONGEST_DURATION:.0e}", field=name)
    return float(value)


RULES: Mapping[str, FieldRule] = {
    "status": FieldRule(_status, {"enum": [*AgentExecutionStatus]}),
    "result": FieldRule(_result, {}),
    "internal_status": _text(INTERNAL_STATUS_CHARACTERS),
    "error_code": _text(CODE_CHARACTERS),
    "provider_code": _text(CODE_CHARACTERS),
    "title": _text(),
    "tokens": _model(
        Tokens, {"type": "object", "properties": {name: {"type": "integer"} for name in Tokens.model_fields}}
    ),
    "used_tools": FieldRule(_texts, {"type": "array", "items": {"type": "string"}}),
    "finish_reason": _text(REASON_CHARACTERS),
    "duration": FieldRule(_duration, {"type": "number", "minimum": 0, "maximum": LONGEST_DURATION}),
    "additional_context": _text(),
    "deep_planning": _model(DeepPlanning, {"$ref": "#/components/schemas/DeepPlanning"}),
    "hitl_request": FieldRule(_waiting, {"type": "object"}),
    "last_executed_node_id": _text(),
    "source": _text(),
    "payload_extension": FieldRule(_object, {"type": "object"}),
}
"""The rule of each field that a save may change; all others are fixed at creation (public protocol: PATCH)."""

MUTABLE = frozenset(RULES)
