"""The messages about a finished task, and about a task's request to a person."""

import hashlib
import json
from typing import Any

from worker.words.events import TaskUpdateEvent
from worker.words.tasks import TaskRecord

FINISHED, ASKS = "task.finished", "task.input_requested"

FIELDS = {
    "id",
    "agent_id",
    "organization_id",
    "conversation_id",
    "title",
    "status",
    "internal_status",
    "error_code",
    "provider_code",
    "result",
    "created_at",
    "started_at",
    "finished_at",
    "duration",
    "execution_attempts",
    "tokens",
    "used_tools",
    "finish_reason",
}
"""The fields sent. They are listed so that a later field is not sent by accident: a task contains its user's tokens."""


def message_id(event: TaskUpdateEvent) -> str:
    """Return a message's id, the same for every try of one event. It has no dot, since dots separate signed parts."""
    return f"msg_{hashlib.sha256(f'{event.task_id}/{event.number}'.encode()).hexdigest()[:32]}"


def body_of(task: TaskRecord) -> bytes:
    """Return the message about a finished task, with its state at that time, so that every try has the same body."""
    data = task.model_dump(mode="json", include=FIELDS)
    return _body(FINISHED, data["finished_at"], data)


ABOUT = {"id", "agent_id", "organization_id", "conversation_id", "title"}
"""The fields sent of a task that makes a request."""


def question_of(task: TaskRecord, event: TaskUpdateEvent, *, with_link: bool) -> bytes:
    """Return the message about a task's request to a person.

    Args:
        task: The task.
        event: The event with the request.
        with_link: Whether the message includes the answer link, which lets any reader answer.
    """
    asked = event.model_dump(mode="json", exclude_none=True)
    request = {name: each for name, each in asked["data"].items() if with_link or name != "answer_url"}
    return _body(ASKS, asked["time"], {"task": task.model_dump(mode="json", include=ABOUT), "request": request})


def _body(kind: str, timestamp: Any, data: Any) -> bytes:
    body = {"type": kind, "timestamp": timestamp, "data": data}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
