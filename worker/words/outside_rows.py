"""Journal rows written from outside an attempt: people's answers, signals, and messages."""

import json
from collections.abc import Mapping
from typing import Any

from worker.words.messages import ReceivedMessage
from worker.words.signals import ReceivedSignal
from worker.words.work import JournalEntry

ANSWER = "answer"
"""The key of an answer in the body of its row: the request's id and the answer."""

SIGNAL = "signal"
"""The key of a signal in the body of its row."""

MESSAGE = "message"
"""The key of a message in the body of its row."""


def answer_row(request_id: str, said: Mapping[str, Any]) -> JournalEntry:
    """Return the journal row of an answer.

    Args:
        request_id: The request that was answered.
        said: The answer as returned by ``InputAnswer.stored``.
    """
    body = {ANSWER: {"id": request_id, **said}}
    return JournalEntry(f"{ANSWER}/{request_id}#0.0", json.dumps(body, separators=(",", ":")))


def answer_in(body: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """Return the request's id and the answer of a row; None if the row is of another kind.

    Args:
        body: The decoded body of the row.
    """
    found = body.get(ANSWER)
    if not isinstance(found, dict) or not isinstance(found.get("id"), str):
        return None
    said = dict(found)
    return said.pop("id"), said


def signal_row(signal: ReceivedSignal) -> JournalEntry:
    """Return the journal row of a signal."""
    body = {SIGNAL: signal.model_dump(mode="json", exclude_none=True)}
    return JournalEntry(f"{SIGNAL}/{signal.number}#0.{signal.number}", json.dumps(body, separators=(",", ":")))


def signal_in(body: Mapping[str, Any]) -> ReceivedSignal | None:
    """Return the signal of a row; None if the row is of another kind."""
    found = body.get(SIGNAL)
    return ReceivedSignal.model_validate(found) if isinstance(found, dict) and "number" in found else None


def message_row(message: ReceivedMessage) -> JournalEntry:
    """Return the journal row of a message."""
    body = {MESSAGE: message.model_dump(mode="json", exclude_none=True)}
    return JournalEntry(f"{MESSAGE}/{message.number}#0.{message.number}", json.dumps(body, separators=(",", ":")))


def message_in(body: Mapping[str, Any]) -> ReceivedMessage | None:
    """Return the message of a row; None if the row is of another kind."""
    found = body.get(MESSAGE)
    return ReceivedMessage.model_validate(found) if isinstance(found, dict) and "number" in found else None
