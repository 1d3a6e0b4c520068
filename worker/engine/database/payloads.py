"""JSON and arrays for the database."""

from collections.abc import Iterable
from typing import Any

from worker.words import texts


def encode(value: Any) -> str:
    """Encode a value as JSON that PostgreSQL accepts (see ``worker.words.texts``)."""
    return texts.encode(value).decode()


def array(ids: Iterable[str]) -> str:
    """Return ids as a PostgreSQL array literal; ids contain nothing that needs escaping."""
    return "{" + ",".join(f'"{each}"' for each in ids) + "}"
