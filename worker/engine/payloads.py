"""JSON for the database: what PostgreSQL would refuse is mended here, in one place."""

import re
from collections.abc import Iterable
from typing import Any, cast

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, from_json, to_json

_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")


def encode(value: Any) -> str:
    r"""Encode a value as JSON that PostgreSQL takes.

    NUL becomes U+FFFD (text cannot hold it), NaN and infinities null, lone surrogates U+FFFD; what JSON does not
    know becomes text.
    """
    try:
        encoded = to_json(value, inf_nan_mode="null", serialize_unknown=True)
    except (PydanticSerializationError, UnicodeEncodeError, ValueError):
        encoded = to_json(_plain(value), inf_nan_mode="null", serialize_unknown=True)
    return (_NUL.sub(rb"\1\\ufffd", encoded) if b"\\u0000" in encoded else encoded).decode()


def array(ids: Iterable[str]) -> str:
    """Ids as an array of PostgreSQL's: they hold nothing that would have to be escaped."""
    return "{" + ",".join(f'"{each}"' for each in ids) + "}"


def clean(text: str | None) -> str | None:
    """Make a text one that PostgreSQL takes: NUL and lone surrogates become U+FFFD."""
    if text is None or (text.isascii() and "\0" not in text):
        return text
    return text.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def decode(text: str | bytes) -> Any:
    """Decode JSON that the database gave."""
    return from_json(text)


def _plain(value: Any) -> Any:
    """Rebuild a value from what JSON knows, every text clean."""
    match value:
        case str():
            return clean(value)
        case dict():
            return {clean(str(key)): _plain(each) for key, each in cast("dict[Any, Any]", value).items()}
        case list() | tuple() | set() | frozenset():
            return [_plain(each) for each in cast("list[Any]", value)]
        case None | bool() | int() | float():
            return value
        case _:
            return _alone(value)


def _alone(value: Any) -> Any:
    """Rebuild what JSON does not know itself: a date, a record, anything."""
    try:
        return from_json(to_json(value, inf_nan_mode="null", serialize_unknown=True))
    except (PydanticSerializationError, UnicodeEncodeError, ValueError):
        return _plain(value.model_dump()) if isinstance(value, BaseModel) else clean(repr(value))
