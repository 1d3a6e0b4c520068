"""What is told of a finished task, and of one that asks something of a person."""

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
"""What is told by name, so that a field which comes later is not told by accident: a task carries its user's tokens."""


def message_id(event: TaskUpdateEvent) -> str:
    """The message's id: of this event of this task, the same at every try; a dot in it would end it when signed."""
    return f"msg_{hashlib.sha256(f'{event.task_id}/{event.number}'.encode()).hexdigest()[:32]}"


def body_of(task: TaskRecord) -> bytes:
    """The message, as it is sent: the task as it stood when it ended, so that every try has the same body."""
    data = task.model_dump(mode="json", include=FIELDS)
    return _body(FINISHED, data["finished_at"], data)


ABOUT = {"id", "agent_id", "organization_id", "conversation_id", "title"}
"""What is told of a task that asks something."""


def question_of(task: TaskRecord, event: TaskUpdateEvent, *, with_link: bool) -> bytes:
    """The message that a task asks something of a person.

    Args:
        task: The task.
        event: What it asks.
        with_link: Whether the receiver is told the link by which whoever has it may answer.
    """
    asked = event.model_dump(mode="json", exclude_none=True)
    request = {name: each for name, each in asked["data"].items() if with_link or name != "answer_url"}
    return _body(ASKS, asked["time"], {"task": task.model_dump(mode="json", include=ABOUT), "request": request})


def _body(kind: str, timestamp: Any, data: Any) -> bytes:
    body = {"type": kind, "timestamp": timestamp, "data": data}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
