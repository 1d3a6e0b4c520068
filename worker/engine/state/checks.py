"""What somebody wants to save, checked before anything is stored: field by field, each by its own rule."""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel

from worker.engine.database.payloads import encode
from worker.words.errors import TooLarge, ValidationError
from worker.words.finish import REASON_CHARACTERS
from worker.words.limits import FILE_BYTES
from worker.words.statuses import AgentExecutionStatus
from worker.words.tasks import DeepPlanning, TaskRecord, Tokens, check_internal_status
from worker.words.texts import clean, plain

CODE_CHARACTERS = 200  # of what somebody calls an error

LONGEST_DURATION = 1e12  # seconds, 30,000 years: beyond it a number is a mistake


def check_changes(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Check what somebody wants to save, before anything is stored.

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
        if name in TaskRecord.MUTABLE and not (name == "status" and value is None):
            checked[name] = None if value is None else _CHECKS.get(name, _text)(name, value)
    return checked


def _status(name: str, value: Any) -> str:
    try:
        return AgentExecutionStatus(value)
    except ValueError:
        known = ", ".join(AgentExecutionStatus)
        raise ValidationError(f"{name} {value!r} is none of {known}", field=name) from None


def _result(name: str, value: Any) -> str:  # noqa: ARG001 - one signature for all checks
    text = clean(value) if isinstance(value, str) else encode(value)
    size = len(text) if text.isascii() else len(text.encode())
    if size > FILE_BYTES:
        raise TooLarge(f"The result has {size:,} bytes; at most {FILE_BYTES:,} are taken.")
    return text


def _internal_status(name: str, value: Any) -> str | None:  # noqa: ARG001 - one signature for all checks
    return clean(check_internal_status(value))


def _text(name: str, value: Any) -> str | None:
    if not isinstance(value, str):
        raise ValidationError(f"{name} must be text", field=name)
    return clean(value)


def _code(name: str, value: Any) -> str | None:
    if not isinstance(value, str) or len(value) > CODE_CHARACTERS:
        raise ValidationError(f"{name} must be text of at most {CODE_CHARACTERS} characters", field=name)
    return clean(value)


def _reason(name: str, value: Any) -> str | None:
    text = _text(name, value)
    if text is not None and len(text) > REASON_CHARACTERS:
        raise ValidationError(f"{name} has {len(text)} characters; at most {REASON_CHARACTERS} are allowed", field=name)
    return text


def _object(name: str, value: Any) -> dict[str, Any]:
    value = value.model_dump() if hasattr(value, "model_dump") else value
    if not isinstance(value, dict):
        raise ValidationError(f"{name} must be an object", field=name)
    return plain(value)


def _texts(name: str, value: Any) -> list[str]:
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
        raise ValidationError(f"{name} must be a list of texts", field=name)
    return [clean(each) for each in value]


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LONGEST_DURATION:
        raise ValidationError(f"{name} must be a number, 0 or more", field=name)
    return float(value)


def _modelled(model: type[BaseModel]) -> Callable[[str, Any], dict[str, Any]]:
    """A check that a value has a model's form: what was stored in another could never be read again."""

    def check(name: str, value: Any) -> dict[str, Any]:
        try:
            return model.model_validate(_object(name, value)).model_dump(mode="json")
        except ValueError:
            raise ValidationError(f"{name} is not of its form: {', '.join(model.model_fields)}", field=name) from None

    return check


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "status": _status,
    "result": _result,
    "internal_status": _internal_status,
    "error_code": _code,
    "provider_code": _code,
    "tokens": _modelled(Tokens),
    "deep_planning": _modelled(DeepPlanning),
    "hitl_request": _object,
    "payload_extension": _object,
    "used_tools": _texts,
    "finish_reason": _reason,
    "duration": _number,
}
