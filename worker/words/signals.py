"""What is told to a task by name while it runs or waits, such as that an invoice was paid."""

from typing import Any

from pydantic import Field

from worker.words.records import Words

NAME_CHARACTERS = 200
DATA_BYTES = 1024 * 1024


class NewSignal(Words):
    """A signal to be sent.

    Args:
        name: What it is called; a run waits for it by that.
        data: What comes with it, as JSON has it.
    """

    name: str = Field(min_length=1, max_length=NAME_CHARACTERS)
    data: Any = None


class ReceivedSignal(NewSignal):
    """A signal as its task has it, and as the event ``signal_received`` tells it.

    Args:
        number: Among the task's signals: 1, 2, 3 …
        sent_by: Who sent it; none where nobody says.
    """

    number: int
    sent_by: str | None = None
