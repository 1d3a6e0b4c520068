"""Messages sent to a task, stored until its agent reads them. No I/O."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from worker.engine.state.rows import Effect, LoggedEvent, Row, log
from worker.words.errors import Conflict
from worker.words.messages import ReceivedMessage
from worker.words.outside_rows import message_row
from worker.words.statuses import TaskUpdateEventType
from worker.words.work import JournalEntry

SENT = "_messages"
"""Key in a task's ``state``: the number of messages sent to it."""

HEARD = "_heard"
"""Key in a task's ``state``: the number of the last message that belongs to an earlier input."""

READ = "_read"
"""Key in a task's ``state``: the number of the last message that its agents have read for its current input."""

KEYS = "_message_keys"
"""Key in a task's ``state``: the idempotency keys of the last messages."""

SAID = '"kind":"said"'
"""What the row of an attempt contains that records which messages its agent has read."""

MAX_MESSAGES = 1_000  # per task and input
MAX_KEYS = 100


@dataclass(frozen=True, slots=True)
class Message:
    """A message to a task.

    Args:
        text: The message.
        by: The sender.
        key: An idempotency key: a repeated message is ignored.
    """

    organization_id: str
    task_id: str
    text: str
    by: str | None = None
    size: int = 0
    key: str | None = None

    def decide(self, row: Row) -> Effect:
        """Store the message for the task's agent.

        Raises:
            Conflict: The task has ended, or was sent too many messages.
        """
        if row.is_terminal:
            raise Conflict(f"Task {row.id!r} is {row.status} and no longer receives messages.")
        keys: list[str] = row.state.get(KEYS) or []
        if self.key in keys:
            return Effect()
        if waiting(row.state) >= MAX_MESSAGES:
            raise Conflict(f"Task {row.id!r} already has {MAX_MESSAGES:,} unread messages, the maximum.")
        number = int(row.state.get(SENT) or 0) + 1
        received = ReceivedMessage(number=number, text=self.text, sent_by=self.by)
        event = log(row, TaskUpdateEventType.MessageReceived, received.model_dump(mode="json", exclude_none=True))
        known = {KEYS: [*keys, self.key][-MAX_KEYS:]} if self.key is not None else {}
        row.set(state={**row.state, SENT: number, **known})
        return Effect(events=[event], journal=[message_row(received)])


def waiting(state: Mapping[str, Any]) -> int:
    """Return how many messages the task was sent since its current input."""
    return int(state.get(SENT) or 0) - int(state.get(HEARD) or 0)


def for_the_next(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state of a task that gets another input: only unread messages are carried over."""
    heard = state.get(READ, state.get(HEARD))
    return {name: each for name, each in state.items() if name != READ} | ({HEARD: heard} if heard else {})


def last_read(journal: Sequence[JournalEntry]) -> int:
    """Return the number of the last message that rows of a run record as read; 0 if they record none.

    A remote worker may send any rows: malformed ones record nothing.
    """
    return max((number for each in journal if SAID in each.value for number in _numbers(each.value)), default=0)


def _numbers(value: str) -> list[int]:
    try:
        row = json.loads(value)
    except (ValueError, RecursionError):
        return []
    said = row.get("value") if isinstance(row, dict) and row.get("kind") == "said" else None
    numbers = [each.get("number") for each in said if isinstance(each, dict)] if isinstance(said, list) else []
    return [each for each in numbers if type(each) is int]


def unread(row: Row, taken: int, attempt: int) -> list[LoggedEvent]:
    """Return a note that messages arrived too late to be read, or an empty list if all were read.

    Args:
        row: The task, as its run ends it.
        taken: The number of messages that its agents have read.
        attempt: The run's attempt.
    """
    count = max(waiting(row.state) - taken, 0)
    if SENT in row.state:
        row.set(state={**row.state, READ: int(row.state[SENT]) - count})
    if not count:
        return []
    what = "A message was" if count == 1 else f"{count} messages were"
    data: dict[str, Any] = {
        "text": f"{what} not read: the agent made no further model call. Unread messages are read when the"
        " task continues.",
        "kind": "message",
    }
    return [log(row, TaskUpdateEventType.Note, data, attempt)]
