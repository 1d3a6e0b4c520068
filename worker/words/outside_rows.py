"""Rows of the journal that no attempt writes: what people answer, signals, and messages."""

import json
from collections.abc import Mapping
from typing import Any

from worker.words.messages import ReceivedMessage
from worker.words.signals import ReceivedSignal
from worker.words.work import JournalEntry

ANSWER = "answer"
"""What the body of an answer's row holds: the request's id, and what was answered."""

SIGNAL = "signal"
"""What the body of a signal's row holds."""

MESSAGE = "message"
"""What the body of a message's row holds."""


def answer_row(request_id: str, said: Mapping[str, Any]) -> JournalEntry:
    """Make the row.

    Args:
        request_id: What was answered.
        said: As ``InputAnswer.said`` puts it.
    """
    body = {ANSWER: {"id": request_id, **said}}
    return JournalEntry(f"{ANSWER}/{request_id}#0.0", json.dumps(body, separators=(",", ":")))


def answer_in(body: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """Read one: the request's id, and what was answered; None if it is another kind of row.

    Args:
        body: The row's, decoded.
    """
    found = body.get(ANSWER)
    if not isinstance(found, dict) or not isinstance(found.get("id"), str):
        return None
    said = dict(found)
    return said.pop("id"), said


def signal_row(signal: ReceivedSignal) -> JournalEntry:
    """Make the row of a signal."""
    body = {SIGNAL: signal.model_dump(mode="json", exclude_none=True)}
    return JournalEntry(f"{SIGNAL}/{signal.number}#0.{signal.number}", json.dumps(body, separators=(",", ":")))


def signal_in(body: Mapping[str, Any]) -> ReceivedSignal | None:
    """Read one; None if it is another kind of row."""
    found = body.get(SIGNAL)
    return ReceivedSignal.model_validate(found) if isinstance(found, dict) and "number" in found else None


def message_row(message: ReceivedMessage) -> JournalEntry:
    """Make the row of a message."""
    body = {MESSAGE: message.model_dump(mode="json", exclude_none=True)}
    return JournalEntry(f"{MESSAGE}/{message.number}#0.{message.number}", json.dumps(body, separators=(",", ":")))


def message_in(body: Mapping[str, Any]) -> ReceivedMessage | None:
    """Read one; None if it is another kind of row."""
    found = body.get(MESSAGE)
    return ReceivedMessage.model_validate(found) if isinstance(found, dict) and "number" in found else None
