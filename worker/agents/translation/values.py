"""Conversion of Agno's values to JSON and back: model answers and tool results, with images and files.

The journal is data. A record is written under a short name and read back, field by field, into the class that
``RECORDS`` lists for that name; an unlisted name, or a field that the class does not have, is rejected. Nothing named
in a row is ever imported or called, and no row refers to a local file: media that a tool stores in a file are written
with the file's content.
"""

import base64
import dataclasses
import math
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel

from worker.agents.event_buffer import plain
from worker.words.errors import ModuleException
from worker.words.hosts import is_metadata_host

TAG = "$"  # a dictionary with this key represents a value that JSON cannot express

RECORDS: dict[str, tuple[str, str]] = {
    "Audio": ("agno.media", "Audio"),
    "Citations": ("agno.models.message", "Citations"),
    "DocumentCitation": ("agno.models.message", "DocumentCitation"),
    "File": ("agno.media", "File"),
    "Image": ("agno.media", "Image"),
    "Message": ("agno.models.message", "Message"),
    "MessageMetrics": ("agno.metrics", "MessageMetrics"),
    "MessageReferences": ("agno.models.message", "MessageReferences"),
    "ReasoningStep": ("agno.reasoning.step", "ReasoningStep"),
    "ToolCallMetrics": ("agno.metrics", "ToolCallMetrics"),
    "ToolExecution": ("agno.models.response", "ToolExecution"),
    "ToolResult": ("agno.tools.function", "ToolResult"),
    "UrlCitation": ("agno.models.message", "UrlCitation"),
    "UserFeedbackOption": ("agno.tools.function", "UserFeedbackOption"),
    "UserFeedbackQuestion": ("agno.tools.function", "UserFeedbackQuestion"),
    "Video": ("agno.media", "Video"),
}
"""Agno's records that can be restored from the journal, by journal name: their modules and classes."""

PATH, CONTENT, URL = "filepath", "content", "url"
"""Fields of media objects, one of which holds or locates the content."""

ADDRESSES = ("https://", "http://", "data:", "gs://")
"""Permitted prefixes of a media URL; the last one is Google Cloud Storage."""

_UNCHANGED = frozenset({str, bool, int, type(None)})
_TEXT = frozenset({str})
PLAIN_TYPES = _UNCHANGED | {float}
MAX_LEVELS = 100  # of nested values in JSON; more would exhaust Python's stack somewhere on the way
_COMPARABLE = PLAIN_TYPES | {list}


class UnknownRecord(ModuleException):
    """A journal value names a record that cannot be restored."""

    status = 422


def is_leaf(value: Any) -> bool:
    """Return whether a value is a JSON scalar, as nearly all values are."""
    kind = type(value)
    return kind in PLAIN_TYPES and (kind is not float or math.isfinite(value))


def is_json(value: Any, levels: int = MAX_LEVELS) -> bool:
    """Return whether a JSON round trip preserves the value exactly. A deeply nested value is none: it ends recursion.

    Args:
        value: The value.
        levels: The levels of lists and dictionaries that it may have.
    """
    kind = type(value)
    if kind in PLAIN_TYPES:
        return is_leaf(value)
    if kind not in (list, dict) or levels == 0:
        return False
    inside = value if kind is list else value.values()
    has_names = kind is list or all(type(key) is str for key in value)
    return has_names and all(is_json(each, levels - 1) for each in inside)


def packed(value: Any) -> Any:
    """Convert a value to JSON. Agno's records keep their names; unlisted types become plain JSON or text."""
    if type(value) in _UNCHANGED:
        return value
    if isinstance(value, dict):
        return _packed_dict(cast("dict[Any, Any]", value))
    match value:
        case str():
            return str.__str__(value)  # of an enumeration's member, the text that it is, not its name
        case float():
            return float(value) if math.isfinite(value) else {TAG: "float", "value": repr(value)}
        case int():
            return int(value)
        case bytes():
            return {TAG: "bytes", "value": base64.b64encode(value).decode()}
        case tuple():
            return {TAG: "tuple", "value": [packed(each) for each in cast("tuple[Any, ...]", value)]}
        case list():
            return [packed(each) for each in cast("list[Any]", value)]
        case _:
            return _packed_record(value)


def unpacked(value: Any) -> Any:
    """Restore the value that was passed to ``packed``.

    Raises:
        UnknownRecord: The value names an unlisted record, or does not have the form of the record that it names.
    """
    try:
        return _unpacked(value)
    except RecursionError:
        raise UnknownRecord(None, "A journal row is nested too deeply.") from None


def _unpacked(value: Any) -> Any:
    if isinstance(value, list):
        return [_unpacked(each) for each in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    fields = cast("dict[str, Any]", value)
    tag = fields.get(TAG)
    if tag is None:
        return {key: _unpacked(each) for key, each in fields.items()}
    try:
        return _unpacked_as(tag, fields.get("value"))
    except RecursionError:
        raise
    except ModuleException:
        raise
    except Exception as error:
        raise UnknownRecord(None, f"A journal row does not contain a valid {tag}: {error}") from error


def changed_fields(record: Any) -> dict[str, Any] | None:
    """Return the fields of an Agno record that differ from their defaults; None if the value is not a record."""
    defaults = _defaults_of(type(record))
    if defaults is None:
        return None
    set_fields = [(name, each) for name, each in vars(record).items() if defaults.get(name, _NOTHING) is not each]
    return {name: each for name, each in set_fields if name in defaults and not _is_default(each, defaults[name])}


def _packed_dict(value: dict[Any, Any]) -> Any:
    if TAG not in value and _TEXT.issuperset(map(type, value)):
        return {name: each if type(each) in _UNCHANGED else packed(each) for name, each in value.items()}
    return {TAG: "dict", "value": [[packed(key), packed(each)] for key, each in value.items()]}


def _packed_record(value: Any) -> Any:
    name = _names().get(type(value))
    if name is None:
        return plain(value)
    return {TAG: name, "value": packed(_with_content(changed_fields(value) or {}))}


def _with_content(said: dict[str, Any]) -> dict[str, Any]:
    """Replace a local file's path by the file's current content: another attempt may run on another machine."""
    path = said.pop(PATH, None)
    if path is not None and said.get(CONTENT) is None:
        said[CONTENT] = Path(path).read_bytes()
    return said


def _unpacked_as(tag: Any, inside: Any) -> Any:
    match tag:
        case "bytes":
            return base64.b64decode(str(inside), validate=True)
        case "float":
            return float(str(inside))
        case "tuple":
            return tuple(_unpacked(inside))
        case "dict":
            return {_unpacked(key): _unpacked(each) for key, each in inside}
        case str() if tag in RECORDS:
            return _record(_class_of(tag), _unpacked(inside))
        case _:
            raise UnknownRecord(None, f"A journal row names {tag!r}, which cannot be restored from a journal.")


def _record(kind: type, fields: dict[str, Any]) -> Any:
    """Create a record from its fields, rejecting fields that its class does not have."""
    defaults = _defaults_of(kind) or {}
    unknown = next((name for name in fields if name not in defaults), None)
    if unknown is not None:
        raise UnknownRecord(None, f"A journal row has the field {unknown!r}, which {kind.__name__} does not have.")
    if PATH in fields:
        raise UnknownRecord(None, f"A journal row of {kind.__name__} contains the path of a file.")
    address = fields.get(URL)
    if address is not None and CONTENT in defaults and not str(address).startswith(ADDRESSES):
        raise UnknownRecord(None, f"A journal row of {kind.__name__} contains an address that is not a web address.")
    if address is not None and is_metadata_host(str(address)):
        raise UnknownRecord(None, f"A journal row of {kind.__name__} contains the address of a cloud metadata service.")
    return kind(**fields)


@cache
def _class_of(name: str) -> type:
    module, kind = RECORDS[name]
    return getattr(import_module(module), kind)


@cache
def _names() -> dict[type, str]:
    return {_class_of(name): name for name in RECORDS}


@cache
def _defaults_of(kind: type) -> dict[str, Any] | None:
    """Return a record's fields and defaults, ``_NOTHING`` for a field without one; None for any other class."""
    if not kind.__module__.startswith("agno."):
        return None
    if dataclasses.is_dataclass(kind):
        return {each.name: _default(each) for each in dataclasses.fields(kind) if each.init and each.name != "timer"}
    if not issubclass(kind, BaseModel):
        return None
    return {name: _NOTHING if each.is_required() else each.default for name, each in kind.model_fields.items()}


_NOTHING = object()


def _default(field: "dataclasses.Field[Any]") -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    made = field.default_factory
    return [] if cast("Callable[[], Any]", made) is list else _NOTHING


def _is_default(value: Any, default: Any) -> bool:
    """Return whether a value equals the field's default and has its type: 0 is not False, nor is an empty list None."""
    return type(value) is type(default) and type(value) in _COMPARABLE and value == default


class ReplayedText(str):
    """Text from the journal; the class lets streaming code recognize the text and not emit it again."""

    __slots__ = ()

    def __str__(self) -> str:
        return self  # Agno calls str() on tool results that it shows


@cache
def replayed_event() -> Any:
    """Return the class of events from the journal, which tools of earlier attempts have yielded."""
    from agno.run.agent import CustomEvent

    class ReplayedEvent(CustomEvent):
        """An event from the journal, of whatever class it was.

        Args:
            name: The name of that class.
            text: The text that Agno adds to the tool's result for the event.
            fields: The event's fields.
        """

        __slots__ = ("class_name", "text")

        def __init__(self, name: str, text: str, fields: dict[str, Any]) -> None:
            super().__init__(**fields)
            self.class_name, self.text = name, text

        def __str__(self) -> str:
            return self.text

        def to_dict(self) -> dict[str, Any]:
            return {name: value for name, value in vars(self).items() if value is not None}

    return ReplayedEvent
