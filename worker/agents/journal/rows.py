"""The storage format of the journal: one row per completed call, as JSON text under a key that is never used twice.

A row is written once and never changed. Its key names the place of the call and ends with ``#attempt.number``:
attempt numbers are not reused, so keys are unique, and the suffixes give the order in which calls completed.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic_core import PydanticSerializationError, to_json

from worker.words.digests import digest, mark
from worker.words.events import NewEvent
from worker.words.limits import FILE_BYTES
from worker.words.work import JournalEntry

if TYPE_CHECKING:
    from worker.agents.journal.scopes import Scope

VALUE_BYTES = FILE_BYTES  # of one row; a larger one is not journaled
KEY_CHARACTERS = 400  # a longer key is replaced by its digest; an index entry of PostgreSQL holds 2,700 bytes

Kind = Literal[
    "model", "tool", "step", "run", "session", "open", "discard", "drop", "spent", "refused", "said", "shown"
]
"""The kind of a row: a model's answer, a tool's result, a step of the handler or a function among a workflow's steps, a
whole run, a session as the run found it, text that began to stream, text that was discarded, the earlier rows that no
longer count, the tokens of a failed call, a tool call that was answered without running the tool, messages of people
that an agent has read, or the text of a complete answer that was emitted afterwards."""

Number = tuple[int, int]
"""The attempt's number, and the row's number within the attempt."""

_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")


def marks_of(events: Sequence[NewEvent]) -> list[str]:
    """Return marks of events that may equal those of another call: the others contain the id of a tool call."""
    return [mark(each) for each in events if not (isinstance(each.data, dict) and "tool_call_id" in each.data)]


@dataclass(slots=True, eq=False)
class Entry:
    """A completed call.

    Args:
        number: Its position among everything the task's attempts completed.
        scope: The scope that made the call.
        kind: The kind of row.
        at: The place within the scope, such as the number of messages before the call.
        match: Digest of the request.
        value: The outcome.
        closes: Whether it completes an answer whose text was already streamed.
        is_used: Whether this attempt has been answered with the entry.
        is_counted: Whether this attempt has counted the entry's tokens and emitted its events.
        is_dropped: Whether the entry no longer counts.
    """

    number: Number
    scope: "Scope"
    kind: Kind
    at: str
    match: str
    value: Any
    closes: bool = False
    is_used: bool = False
    is_counted: bool = False
    is_dropped: bool = False

    @property
    def is_unused_answer(self) -> bool:
        """Whether it answers a call that this attempt has not made, or has made again."""
        is_answer = self.kind in ("model", "tool", "run") and not self.is_failure
        return is_answer and not (self.is_used or self.is_dropped)

    @property
    def is_failure(self) -> bool:
        """Whether the entry is an error after which the run continued."""
        return isinstance(self.value, dict) and "failure" in self.value


def encode(entry: Entry, *, opens: Sequence[dict[str, Any]], closes: bool, again: Sequence[str]) -> JournalEntry | None:
    """Create the row of an entry.

    Args:
        entry: The completed call.
        opens: Records of the scopes that were opened since the last row.
        closes: Whether the entry completes an answer whose text was streamed.
        again: Marks of events that are already in the log and have to be emitted once more.

    Returns:
        The row, or None if it would be larger than ``VALUE_BYTES``.
    """
    body: dict[str, Any] = {
        "scope": entry.scope.key,
        "kind": entry.kind,
        "at": entry.at,
        "match": entry.match,
        "value": entry.value,
    }
    if opens:
        body["opens"] = opens
    if closes:
        body["closes"] = True
    if again:
        body["again"] = again
    text = _json(body)
    return None if len(text) > VALUE_BYTES else JournalEntry(_key(entry), text.decode())


def decode(key: str, text: str) -> tuple[Number, dict[str, Any]]:
    """Return a row's number and body. The body has no ``scope`` if an earlier version of this package wrote the row."""
    body = json.loads(text)
    attempt, _, number = key.rpartition("#")[2].partition(".")
    return (int(attempt), int(number)), body


def _key(entry: Entry) -> str:
    text = f"{entry.scope.key}/{entry.kind}/{entry.at}"
    if not (text.isascii() and text.isprintable()):
        text = _UNPRINTABLE.sub("?", text)
    if len(text) > KEY_CHARACTERS:
        text = digest(text)
    return f"{text}#{entry.number[0]}.{entry.number[1]}"


def _json(body: dict[str, Any]) -> bytes:
    """Serialize to JSON that PostgreSQL can store as text: NUL and unpaired surrogates are always escaped."""
    try:
        return to_json(body)
    except PydanticSerializationError:
        return json.dumps(body, separators=(",", ":")).encode()
