"""Normalization of text that can be stored and sent, the same for clients, models, tools and files.

PostgreSQL cannot store NUL, and UTF-8 cannot encode a lone surrogate (text cut inside an emoji, as JavaScript's
``slice`` does). Both become U+FFFD before anything is stored, so that everything accepted can be read back.
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
    """Return the text with NUL and lone surrogates replaced by U+FFFD."""
    if text is None or _is_clean(text):
        return text
    return text.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def is_clean(value: Any) -> bool:
    """Return whether every text in a JSON value can be stored and sent as it is."""
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
    """Return a JSON value with every text cleaned; the identical object if all are clean already."""
    return value if is_clean(value) else cast("T", plain(value))


def encode(value: Any) -> bytes:
    """Encode a value as JSON.

    NUL and lone surrogates become U+FFFD, NaN and infinities null, and values that JSON cannot represent text.
    """
    try:
        encoded = to_json(value, inf_nan_mode="null", serialize_unknown=True)
    except ValueError:  # includes pydantic's own errors
        encoded = to_json(plain(value), inf_nan_mode="null", serialize_unknown=True)
    return _NUL.sub(rb"\1\\ufffd", encoded) if b"\\u0000" in encoded else encoded


def plain(value: Any, *, strict: bool = False) -> Any:
    """Rebuild a value from JSON types, with every text cleaned.

    Args:
        value: Any value.
        strict: Whether to refuse values that JSON cannot represent; if not, they become text.

    Raises:
        ValueError: The value contains something that JSON cannot represent, and ``strict`` is set.
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
    """Convert a scalar that is not a JSON type, such as a date or an enum."""
    try:
        return from_json(to_json(value, inf_nan_mode="null", serialize_unknown=not strict))
    except ValueError:
        if strict:
            raise
        return clean(repr(value))
