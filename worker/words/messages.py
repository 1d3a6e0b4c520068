"""Messages sent to a task before or during its run, which its agent reads as messages from the user."""

from pydantic import Field

from worker.words.records import Words

TEXT_CHARACTERS = 100_000


class NewMessage(Words):
    """A message to send.

    Args:
        text: The text, which the agent receives before its next model call.
    """

    text: str = Field(min_length=1, max_length=TEXT_CHARACTERS)


class ReceivedMessage(NewMessage):
    """A message as stored with its task and sent in the event ``message_received``.

    Args:
        number: The number among the task's messages: 1, 2, 3 …
        sent_by: The sender; None if unknown.
    """

    number: int
    sent_by: str | None = None
