"""How the journal is stored: one row for each completed call, as JSON text under a key that is never used twice.

A row is written once and never changed. Its key says where the call was made and ends with ``#attempt.number``:
attempts are numbered without reuse, so keys are unique, and their ends give the order in which things happened.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic_core import PydanticSerializationError, to_json

from worker.words.digests import digest
from worker.words.limits import FILE_BYTES
from worker.words.work import JournalEntry

if TYPE_CHECKING:
    from worker.agents.journal.scopes import Scope

VALUE_BYTES = FILE_BYTES  # of one row: larger values are stored as files
KEY_CHARACTERS = 400  # a longer key is replaced by its digest; an index entry of PostgreSQL holds 2,700 bytes

Kind = Literal["model", "tool", "step", "run", "session", "open", "discard", "drop", "spent", "refused", "said"]
"""What a row is about: a model's answer, a tool's result, a step of the handler or a function among a workflow's steps,
a whole run, a session as the run found it; text that began to stream, text that was taken back; which earlier rows no
longer count; the tokens of a call that failed; a tool call that was answered without being made; or messages of people
that were read."""

Number = tuple[int, int]
"""The attempt, and the row's place within it."""

_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")


@dataclass(slots=True, eq=False)
class Entry:
    """A completed call.

    Args:
        number: Its place in the order of all that the task's attempts completed.
        scope: Who made it.
        kind: What it is.
        at: Where in the scope, such as after how many messages.
        match: Digest of what was asked.
        value: What came of it.
        is_used: Whether this attempt has been answered with it.
        is_counted: Whether this attempt has counted its tokens, and emitted what belongs to it.
        is_dropped: Whether it no longer counts.
    """

    number: Number
    scope: "Scope"
    kind: Kind
    at: str
    match: str
    value: Any
    is_used: bool = False
    is_counted: bool = False
    is_dropped: bool = False

    @property
    def is_failure(self) -> bool:
        """Whether it is an error that the run went on after."""
        return isinstance(self.value, dict) and "failure" in self.value


def encode(entry: Entry, *, opens: Sequence[dict[str, Any]], closes: bool, again: Sequence[str]) -> JournalEntry | None:
    """Make the row of an entry.

    Args:
        entry: The completed call.
        opens: Records of the scopes that were opened since the last row.
        closes: Whether it completes an answer whose text was streamed.
        again: ClaimPositions of events that are in the log and are to be emitted once more.

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
    """Read a row; one that an earlier version of this package wrote in another form has no ``scope``."""
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
    """JSON that PostgreSQL can hold as text: NUL is always escaped, and so is half a surrogate pair."""
    try:
        return to_json(body)
    except PydanticSerializationError:
        return json.dumps(body, separators=(",", ":")).encode()
