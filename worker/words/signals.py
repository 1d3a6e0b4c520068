"""Signals: named notifications to a task while it runs or waits, such as that an invoice was paid."""

from typing import Any

from pydantic import Field

from worker.words.records import Words

NAME_CHARACTERS = 200
DATA_BYTES = 1024 * 1024


class NewSignal(Words):
    """A signal to send.

    Args:
        name: The name by which a run waits for it.
        data: The payload, as JSON.
    """

    name: str = Field(min_length=1, max_length=NAME_CHARACTERS)
    data: Any = None


class ReceivedSignal(NewSignal):
    """A signal as stored with its task and sent in the event ``signal_received``.

    Args:
        number: The number among the task's signals: 1, 2, 3 …
        sent_by: The sender; None if unknown.
    """

    number: int
    sent_by: str | None = None
