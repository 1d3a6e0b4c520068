"""Messages sent to a task, stored until its agent reads them. No I/O."""

from dataclasses import dataclass
from typing import Any

from worker.engine.state.rows import Effect, LoggedEvent, Row, log
from worker.words.errors import Conflict
from worker.words.messages import ReceivedMessage
from worker.words.outside_rows import message_row
from worker.words.statuses import TaskUpdateEventType

SENT = "_messages"
"""Key in a task's ``state``: the number of messages sent to it."""

MOST_MESSAGES = 1_000  # per task


@dataclass(frozen=True, slots=True)
class Message:
    """A message to a task.

    Args:
        text: The message.
        by: The sender.
    """

    organization_id: str
    task_id: str
    text: str
    by: str | None = None
    size: int = 0

    def decide(self, row: Row) -> Effect:
        """Store the message for the task's agent.

        Raises:
            Conflict: The task has ended, or was sent too many messages.
        """
        if row.is_terminal:
            raise Conflict(f"Task {row.id!r} is {row.status}; nothing reaches it any more.")
        number = int(row.state.get(SENT) or 0) + 1
        if number > MOST_MESSAGES:
            raise Conflict(f"Task {row.id!r} was sent {MOST_MESSAGES:,} messages; it takes no more.")
        received = ReceivedMessage(number=number, text=self.text, sent_by=self.by)
        event = log(row, TaskUpdateEventType.MessageReceived, received.model_dump(mode="json", exclude_none=True))
        row.set(state={**row.state, SENT: number})
        return Effect(events=[event], journal=[message_row(received)])


def unread(row: Row, taken: int, attempt: int) -> list[LoggedEvent]:
    """Return a note that messages arrived too late to be read, or an empty list if all were read.

    Args:
        row: The task, as its run ends it.
        taken: The number of messages that its agents have read.
        attempt: The run's attempt.
    """
    count = int(row.state.get(SENT) or 0) - taken
    if count <= 0:
        return []
    what = "A message was" if count == 1 else f"{count} messages were"
    data: dict[str, Any] = {
        "text": f"{what} not read: the agent had asked its model for the last time.",
        "kind": "message",
    }
    return [log(row, TaskUpdateEventType.Note, data, attempt)]
