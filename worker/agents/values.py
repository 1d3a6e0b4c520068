"""Agno's values as JSON and back: answers of models, results of tools, with images and files."""

import base64
import dataclasses
import math
from functools import lru_cache
from importlib import import_module
from typing import Any, cast

from worker.agents.outlet import plain

TAG = "$"  # a dictionary with this key stands for something that JSON has no word for
_UNCHANGED = frozenset({str, bool, int, type(None)})
_TEXT = frozenset({str})
PLAIN_TYPES = _UNCHANGED | {float}


def is_leaf(value: Any) -> bool:
    """Whether it is one of JSON's own values with nothing inside, as nearly all are."""
    kind = type(value)
    return kind in PLAIN_TYPES and (kind is not float or math.isfinite(value))


def is_json(value: Any) -> bool:
    """Whether JSON gives back the very same value."""
    kind = type(value)
    if kind in PLAIN_TYPES:
        return is_leaf(value)
    if kind is list:
        return all(is_json(each) for each in value)
    return kind is dict and all(type(key) is str and is_json(each) for key, each in value.items())


def packed(value: Any) -> Any:
    """A value as JSON can say it. Agno's own records keep their class; what nobody knows becomes plain or text."""
    if type(value) in _UNCHANGED:
        return value
    if isinstance(value, dict) and _has_plain_keys(cast("dict[Any, Any]", value)):
        fields = cast("dict[str, Any]", value)
        return {name: each if type(each) in _UNCHANGED else packed(each) for name, each in fields.items()}
    match value:
        case str():
            return str(value)
        case float():
            return value if math.isfinite(value) else {TAG: "float", "value": repr(value)}
        case int():
            return value
        case bytes():
            return {TAG: "bytes", "value": base64.b64encode(value).decode()}
        case tuple():
            return {TAG: "tuple", "value": [packed(each) for each in cast("tuple[Any, ...]", value)]}
        case list():
            return [packed(each) for each in cast("list[Any]", value)]
        case _:
            return _record(value)


def _has_plain_keys(value: dict[Any, Any]) -> bool:
    """Whether a dictionary may stand as it is: its keys are texts, and none is the one that stands for a word."""
    return TAG not in value and _TEXT.issuperset(map(type, value))


def unpacked(value: Any) -> Any:
    """The value that ``packed`` was given."""
    if isinstance(value, list):
        return [unpacked(each) for each in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    fields = cast("dict[str, Any]", value)
    inside = fields.get("value")
    match fields.get(TAG):
        case None:
            return {key: unpacked(each) for key, each in fields.items()}
        case "bytes":
            return base64.b64decode(str(inside))
        case "float":
            return float(str(inside))
        case "tuple":
            return tuple(unpacked(inside))
        case name:
            module, _, kind = name.partition(":")
            return getattr(import_module(module), kind)(**unpacked(inside))


def _record(value: Any) -> Any:
    fields = fields_of(value)
    if fields is None:
        return plain(value)
    kind = type(value)
    return {TAG: f"{kind.__module__}:{kind.__qualname__}", "value": packed(fields)}


def fields_of(record: Any) -> dict[str, Any] | None:
    """What a record of Agno's says: its zeros and empty lists are defaults, and say nothing. None: it is none."""
    names = _field_names(type(record))
    if names is None:
        return None
    return {
        name: each
        for name, each in vars(record).items()
        if each is not None and (each or each is False or each == "") and name in names
    }


@lru_cache(maxsize=100)  # Agno's records are a few dozen
def _field_names(kind: type) -> frozenset[str] | None:
    if not kind.__module__.startswith("agno."):  # nothing else is ever imported by its name
        return None
    if dataclasses.is_dataclass(kind):
        return frozenset(field.name for field in dataclasses.fields(kind) if field.init and field.name != "timer")
    return frozenset(cast("Any", kind).model_fields) if hasattr(kind, "model_fields") else None
