"""JSON for the database, and back."""

from collections.abc import Iterable
from typing import Any

from pydantic_core import from_json

from worker.words import texts


def encode(value: Any) -> str:
    """Encode a value as JSON that PostgreSQL takes (see ``worker.words.texts``)."""
    return texts.encode(value).decode()


def array(ids: Iterable[str]) -> str:
    """Ids as an array of PostgreSQL's: they hold nothing that would have to be escaped."""
    return "{" + ",".join(f'"{each}"' for each in ids) + "}"


def decode(text: str | bytes) -> Any:
    """Decode JSON that the database gave."""
    return from_json(text)
