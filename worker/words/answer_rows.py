"""How a person's answer stands in the journal: the one kind of row that no attempt writes."""

import json
from collections.abc import Mapping
from typing import Any

from worker.words.work import JournalEntry

ANSWER = "answer"
"""What the body of such a row holds: the request's id, and what was answered."""


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
