"""Short digests of what JSON can say, by which what an earlier attempt did is known again."""

import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from worker.words.events import NewEvent

# Made once: json.dumps with options makes one a call. ASCII, with sorted keys: the same in every process and version.
_text = json.JSONEncoder(separators=(",", ":"), sort_keys=True, default=str).encode

CHARACTERS = 24  # 96 bits; what is told apart are the calls of one task


def digest(value: Any) -> str:
    """A short digest of anything that JSON can say, texts standing in for what it cannot."""
    return hashlib.sha256(_text(value).encode()).hexdigest()[:CHARACTERS]


def as_it_is(value: Any) -> Any:
    """A value of the same digest, whatever is made of the parts of this one afterwards."""
    return value if type(value) is str else json.loads(_text(value))


def mark(event: "NewEvent") -> str:
    """By what an event is known again once it is stored, where NUL is U+FFFD."""
    text = _text([event.type, event.data]).replace(r"\u0000", r"\ufffd")
    return hashlib.sha256(text.encode()).hexdigest()[:CHARACTERS]


class GrowingDigest:
    """The digest of something that is asked for again and again while it grows: only what is new is gone through."""

    def __init__(self) -> None:
        self._head: Sequence[Any] = ()
        self._items: Sequence[Any] = ()
        self._hash = hashlib.sha256()

    def of(self, head: Sequence[Any], items: Sequence[Any]) -> str:
        """``digest([*head, items])``.

        Args:
            head: What comes first; not empty.
            items: What grows. Neither is changed afterwards.
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
