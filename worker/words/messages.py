"""What is said to a task while it runs, or before it does: its agent reads it as a message of the user's."""

from pydantic import Field

from worker.words.records import Words

TEXT_CHARACTERS = 100_000


class NewMessage(Words):
    """A message to be sent.

    Args:
        text: What the agent is told before its next model call.
    """

    text: str = Field(min_length=1, max_length=TEXT_CHARACTERS)


class ReceivedMessage(NewMessage):
    """A message as its task has it, and as the event ``message_received`` tells it.

    Args:
        number: Among the task's messages: 1, 2, 3 …
        sent_by: Who sent it; none where nobody says.
    """

    number: int
    sent_by: str | None = None
