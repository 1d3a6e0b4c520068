"""Text that can be stored and sent: one rule for whatever comes from a client, a model, a tool or a file.

PostgreSQL holds no NUL, and UTF-8 no half of a surrogate pair (text cut inside an emoji, as JavaScript's ``slice``
does). Both become U+FFFD, wherever they stand, before anything is stored: what was taken can always be read.
"""

import re
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, cast, overload

from pydantic import BaseModel
from pydantic_core import from_json, to_json

T = TypeVar("T")

_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")


@overload
def clean(text: str) -> str: ...
@overload
def clean(text: None) -> None: ...
def clean(text: str | None) -> str | None:
    """Make a text one that can be stored and sent: NUL and lone surrogates become U+FFFD."""
    if text is None or _is_clean(text):
        return text
    return text.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def is_clean(value: Any) -> bool:
    """Whether every text in a value of JSON can be stored and sent as it is."""
    if isinstance(value, str):
        return _is_clean(value)
    if isinstance(value, dict):
        return all(is_clean(key) and is_clean(each) for key, each in cast("dict[Any, Any]", value).items())
    if isinstance(value, list | tuple):
        return all(is_clean(each) for each in cast("list[Any]", value))
    return True


def _is_clean(text: str) -> bool:
    if "\0" in text:
        return False
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False


def cleaned(value: T) -> T:
    """A value of JSON in which every text is clean: the very same value where it is so already."""
    return value if is_clean(value) else cast("T", plain(value))


def encode(value: Any) -> bytes:
    """Encode a value as JSON.

    NUL and lone surrogates become U+FFFD, NaN and infinities null; what JSON does not know becomes text.
    """
    try:
        encoded = to_json(value, inf_nan_mode="null", serialize_unknown=True)
    except ValueError:  # pydantic's own errors are of this kind, too
        encoded = to_json(plain(value), inf_nan_mode="null", serialize_unknown=True)
    return _NUL.sub(rb"\1\\ufffd", encoded) if b"\\u0000" in encoded else encoded


def plain(value: Any, *, strict: bool = False) -> Any:
    """Rebuild a value from what JSON knows, every text clean.

    Args:
        value: Anything.
        strict: Refuse what JSON does not know; else it becomes text.

    Raises:
        ValueError: There is such a thing in it, and it is refused.
    """
    match value:
        case str():
            return clean(value)
        case dict():
            given = cast("dict[Any, Any]", value)
            return {clean(str(key)): plain(each, strict=strict) for key, each in given.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(each, strict=strict) for each in cast("list[Any]", value)]
        case None | bool() | int() | float():
            return value
        case BaseModel():
            return plain(value.model_dump(warnings="none"), strict=strict)
        case _ if is_dataclass(value) and not isinstance(value, type):
            return {each.name: plain(getattr(value, each.name), strict=strict) for each in fields(value)}
        case _:
            return _alone(value, strict=strict)


def _alone(value: Any, *, strict: bool) -> Any:
    """Rebuild what JSON does not know itself: a date, an enum, anything."""
    try:
        return from_json(to_json(value, inf_nan_mode="null", serialize_unknown=not strict))
    except ValueError:
        if strict:
            raise
        return clean(repr(value))
