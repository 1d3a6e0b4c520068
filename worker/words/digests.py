"""Digests of texts, and short ones of JSON values, by which later attempts recognize the work of earlier ones."""

import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from worker.words.events import NewEvent

# Created once, since json.dumps with options creates an encoder per call. ASCII output and sorted keys make digests
# stable across processes and versions.
_text = json.JSONEncoder(separators=(",", ":"), sort_keys=True, default=str).encode

CHARACTERS = 24  # 96 bits, enough to distinguish the calls of one task


def digest_of(text: str) -> str:
    """Return the SHA-256 digest of a text, which is stored and compared in place of a key or another secret."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def digest(value: Any) -> str:
    """Return a short digest of a value; parts that JSON cannot represent count as their text."""
    return hashlib.sha256(_text(value).encode()).hexdigest()[:CHARACTERS]


def as_it_is(value: Any) -> Any:
    """Return a snapshot of a value with the same digest, unaffected by later changes to the value's parts."""
    return value if type(value) is str else json.loads(_text(value))


def mark(event: "NewEvent") -> str:
    """Return a digest that identifies an event, the same before and after storage, where NUL becomes U+FFFD."""
    text = _text([event.type, event.data]).replace(r"\u0000", r"\ufffd")
    return hashlib.sha256(text.encode()).hexdigest()[:CHARACTERS]


class IncrementalDigest:
    """An incremental digest of a growing sequence: each call hashes only the items added since the previous one."""

    def __init__(self) -> None:
        self._head: Sequence[Any] = ()
        self._items: Sequence[Any] = ()
        self._hash = hashlib.sha256()

    def of(self, head: Sequence[Any], items: Sequence[Any]) -> str:
        """Return the same digest as ``digest([*head, items])``.

        Args:
            head: The leading values; not empty.
            items: The growing sequence. Neither it nor ``head`` may be mutated afterwards.
        """
        count = len(self._items)
        if not count or head != self._head or items[:count] != self._items:
            count, self._hash = 0, hashlib.sha256(f"{_text(head)[:-1]},[".encode())
        fresh = ",".join([_text(each) for each in items[count:]])
        self._hash.update((f",{fresh}" if count and fresh else fresh).encode())
        self._head, self._items = head, items
        whole = self._hash.copy()
        whole.update(b"]]")
        return whole.hexdigest()[:CHARACTERS]
