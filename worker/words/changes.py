"""What a save may change of a task: one table, used by clients, workers, platforms and the API's document alike.

What belongs here: which fields there are, what each takes, and the form in which it is stored and sent. What a change
does to a task's status is the platform's to decide.
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

CODE_CHARACTERS = 200  # of what somebody calls an error

LONGEST_DURATION = 1e12  # seconds, 30,000 years: beyond it a number is a mistake


class FieldRule(NamedTuple):
    """What a field takes.

    Args:
        check: Makes of a value, given the field's name, what is stored. Raises: ValidationError, TooLarge.
        schema: The same as JSON Schema; null, which clears a field, is added to it.
    """

    check: Callable[[str, Any], Any]
    schema: dict[str, Any]


def check_changes(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Check what somebody wants to save, before anything is sent or stored.

    Args:
        changes: Field by field, None to clear one; fields fixed at create are ignored, as unmodified clients send whole
            tasks.

    Returns:
        What is to be stored: plain JSON values and clean texts.

    Raises:
        ValidationError: A value does not fit its field; the first such field is named.
        TooLarge: A result is larger than any stored file may be.
    """
    checked: dict[str, Any] = {}
    for name, value in changes.items():
        if name in RULES and not (name == "status" and value is None):
            checked[name] = None if value is None else RULES[name].check(name, value)
    return checked


def schema() -> dict[str, dict[str, Any]]:
    """What each field takes, as JSON Schema, by its name; null clears a field."""
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
            raise ValidationError(f"{name} must be text", field=name)
        if most is not None and len(value) > most:
            raise ValidationError(f"{name} has {len(value)} characters; at most {most} are allowed", field=name)
        return clean(value)

    return FieldRule(check, {"type": "string"} if most is None else {"type": "string", "maxLength": most})


def _model(model: type[BaseModel], schema: dict[str, Any]) -> FieldRule:
    """A value of a model's form: what was stored in another could never be read again."""

    def check(name: str, value: Any) -> dict[str, Any]:
        try:
            return model.model_validate(_object(name, value)).model_dump(mode="json")
        except ValueError:
            raise ValidationError(f"{name} is not of its form: {', '.join(model.model_fields)}", field=name) from None

    return FieldRule(check, schema)


def _status(name: str, value: Any) -> str:
    try:
        return AgentExecutionStatus(value)
    except ValueError:
        known = ", ".join(AgentExecutionStatus)
        raise ValidationError(f"{name} must be one of {known}, not {value!r}", field=name) from None


def _result(name: str, value: Any) -> str | None:  # noqa: ARG001 - one signature for all checks
    text = clean(value) if isinstance(value, str) else encode(value).decode()
    size = len(text) if text.isascii() else len(text.encode())
    if size > FILE_BYTES:
        raise TooLarge(f"The result has {size:,} bytes; at most {FILE_BYTES:,} are taken.")
    return text


def _waiting(name: str, value: Any) -> dict[str, Any]:
    """What a task waits for; the links that a reader was told are not kept."""
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
        raise ValidationError(f"{name} must be a list of texts", field=name)
    return [clean(each) for each in value]


def _duration(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LONGEST_DURATION:
        raise ValidationError(f"{name} must be a number of seconds, 0 to {LONGEST_DURATION:.0e}", field=name)
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
"""What each field that a save may change takes; all others are fixed at create (public protocol: PATCH)."""

MUTABLE = frozenset(RULES)
