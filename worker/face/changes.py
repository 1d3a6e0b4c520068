"""Unsaved changes of a task: how they are detected and validated, and the form in which they are sent."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from copy import deepcopy
from datetime import datetime
from difflib import get_close_matches
from typing import Any

import pydantic
from pydantic import BaseModel
from pydantic_core import to_json

from worker.current import run_in_hand
from worker.words.changes import MUTABLE, check_changes
from worker.words.classification import message_of
from worker.words.errors import ValidationError
from worker.words.events import note_event
from worker.words.statuses import AgentExecutionStatus, LLMReasoningEffort, OutputFormat, ThinkMode
from worker.words.tasks import TaskRecord
from worker.words.texts import plain

Snapshot = dict[str, Any]


def snapshot(task: TaskRecord) -> Snapshot:
    """Copy the fields of a task deeply enough to detect changes within lists and dictionaries."""
    return {name: value if type(value) in _PLAIN else _copied(value) for name, value in task.__dict__.items()}


def pending(task: TaskRecord, saved: Snapshot, *, copied: bool = True) -> Snapshot:
    """Return the fields that differ from their saved values, as copies. Identical objects are not compared."""
    found: Snapshot = {}
    for name, value in task.__dict__.items():
        before = saved.get(name, _NEVER)
        if value is before or (isinstance(value, BaseModel) and _equals_saved(value, before)):
            continue
        now = _copied(value) if isinstance(value, BaseModel) else value
        if before is _NEVER or _differs(now, before):
            found[name] = _copy_to_send(name, value) if copied and now is value else now
    return found


def _copy_to_send(name: str, value: Any) -> Any:
    """Copy a value to be sent. Raise ValidationError if it cannot be copied, and so cannot be put into JSON either."""
    try:
        return _copied(value)
    except Exception as error:  # noqa: BLE001 - the code that copies the value may be the user's
        raise ValidationError(
            f"{name} cannot be copied and therefore not saved: {message_of(error)}", field=name
        ) from None


def _equals_saved(model: BaseModel, saved: Any) -> bool:
    """Return whether a model without nested models equals its saved value, without copying it."""
    return model.__dict__ == saved and not model.__pydantic_extra__


_NEVER = object()


def changed(now: Snapshot, saved: Snapshot) -> list[str]:
    """Return the names of fields that differ from their saved values."""
    return [
        name
        for name, value in now.items()
        if name not in saved or (value is not saved[name] and _differs(value, saved[name]))
    ]


_PLAIN = frozenset(
    {type(None), str, int, float, bool, datetime, AgentExecutionStatus, OutputFormat, LLMReasoningEffort, ThinkMode}
)
"""Immutable types, which nearly all fields of most tasks have."""


def _copied(value: Any) -> Any:
    match value:
        case BaseModel():
            fields = {**value.__dict__, **(value.__pydantic_extra__ or {})}
            return {name: each if type(each) in _PLAIN else _copied(each) for name, each in fields.items()}
        case dict() | list() | set():
            return deepcopy(value) if value else value.copy()
        case _:
            return value


def sendable(task: TaskRecord, names: Iterable[str]) -> dict[str, Any]:
    """Validate changed fields of a task, and return them in the form in which they are sent.

    Raises:
        ValidationError: A field is fixed at creation, or its value is invalid; nothing was sent.
    """
    return checked({name: getattr(task, name) for name in names})


def checked(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Validate changes of a task, and return them in the form in which they are sent: plain values, the result as text.

    Raises:
        ValidationError: A field is unknown or fixed at creation, or its value is invalid.
    """
    for name in changes:
        if name not in MUTABLE:
            raise ValidationError(_why_not(name), field=name)
    given = dict(changes)
    if "result" in given:
        given["result"] = result_text(given["result"])
    return check_changes(given)


def result_text(value: Any) -> str | None:
    """Convert a result to text. Text, and values that are strings in JSON such as dates, stay text; others become JSON.

    Raises:
        ValidationError: The value cannot be put into JSON.
    """
    if value is None or isinstance(value, str):
        return value
    text = as_json(value, "result")
    return str(json.loads(text)) if text.startswith('"') else text


def as_json(value: Any, field: str) -> str:
    """Convert a value to JSON. Models, dataclasses, enums, dates, decimals and the like are supported.

    Args:
        value: The value. Its own methods may raise anything.
        field: What the error calls the value.

    Raises:
        ValidationError: The value cannot be put into JSON; its ``repr`` would not be a useful result.
    """
    try:
        text = _json(value)
        _check_keys(value, text, field)
        return _without_nan(text, field)
    except ValidationError:
        raise
    except Exception as error:  # noqa: BLE001 - the code that writes the value may be the user's
        raise ValidationError(
            f"{field} cannot be converted to JSON: {message_of(error)}. Use text, a dictionary, a list or a model.",
            field=field,
        ) from None


def _check_keys(value: Any, text: str, field: str) -> None:
    """Raise ValidationError if keys of a dictionary are the same in JSON, as 1 and "1" are: one value would be lost."""
    if not _has_other_keys(value):
        return

    def without_repeats(pairs: list[tuple[str, Any]]) -> None:
        names = Counter(name for name, _ in pairs)
        name, count = next(iter(names.most_common(1)), ("", 0))
        if count > 1:
            raise ValidationError(f"{field} has {count} keys that are all {name!r} in JSON.", field=field)

    json.loads(text, object_pairs_hook=without_repeats)


def _has_other_keys(value: Any) -> bool:
    """Return whether a dictionary within lists and dictionaries has keys that are not text. Nothing is copied."""
    level = [value]
    while level:
        each = level.pop()
        if type(each) is dict:
            if any(type(key) is not str for key in each):
                return True
            each = each.values()
        elif type(each) not in (list, tuple):
            continue
        level += [inner for inner in each if type(inner) in (dict, list, tuple)]
    return False


def _json(value: Any) -> str:
    try:
        return to_json(value, inf_nan_mode="constants").decode()
    except ValueError as error:
        if "surrogates" not in str(error):
            raise
    return to_json(plain(value, strict=True), inf_nan_mode="constants").decode()  # it contains a lone surrogate


def _without_nan(text: str, field: str) -> str:
    """Replace NaN and infinity, for which JSON has no form, by null. A note of the current run reports it."""
    if "NaN" not in text and "Infinity" not in text:
        return text
    found: list[str] = []
    value = json.loads(text, parse_constant=found.append)
    if not found:
        return text
    run = run_in_hand.get()
    if run is not None:
        names = ", ".join(dict.fromkeys(found))
        text = f"{field}: {len(found)} numbers that JSON has no form for ({names}) became null."
        run.bare.note(note_event(text, "result"))
    return to_json(value).decode()


def as_validation_error(error: pydantic.ValidationError) -> ValidationError:
    """Convert pydantic's error to ours, with each invalid field and the reason, but without its value."""
    problems = [
        (".".join(str(part) for part in each["loc"]), each["msg"]) for each in error.errors(include_input=False)
    ]
    sentences = [f"{field}: {message}" if field else message for field, message in problems]
    return ValidationError("; ".join(sentences), field=problems[0][0] or None)


def _why_not(name: str) -> str:
    if name in TaskRecord.model_fields:
        return f"{name} is set when a task is created and cannot be changed"
    near = get_close_matches(name, MUTABLE, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"a task has no field {name!r}{hint}"


def _differs(now: Any, saved: Any) -> bool:
    try:
        return type(now) is not type(saved) or bool(now != saved)
    except Exception:  # noqa: BLE001 - objects such as arrays may not be comparable; they count as changed
        return True
