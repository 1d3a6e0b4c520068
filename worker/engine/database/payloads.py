"""JSON and arrays for the database."""

from collections.abc import Iterable
from typing import Any

from pydantic_core import from_json

from worker.words import texts


def encode(value: Any) -> str:
    """Encode a value as JSON that PostgreSQL accepts (see ``worker.words.texts``)."""
    return texts.encode(value).decode()


def array(ids: Iterable[str]) -> str:
    """Return ids as a PostgreSQL array literal; ids contain nothing that needs escaping."""
    return "{" + ",".join(f'"{each}"' for each in ids) + "}"


def decode(text: str | bytes) -> Any:
    """Decode JSON from the database."""
    return from_json(text)
