"""What is told of a finished task."""

import hashlib
import json

from worker.words.events import TaskUpdateEvent
from worker.words.tasks import TaskRecord

TYPE = "task.finished"

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
    """The message's id: of this end of this task, the same at every try; a dot in it would end it when signed."""
    return f"msg_{hashlib.sha256(f'{event.task_id}/{event.number}'.encode()).hexdigest()[:32]}"


def body_of(task: TaskRecord) -> bytes:
    """The message, as it is sent: the task as it stood when it ended, so that every try has the same body."""
    data = task.model_dump(mode="json", include=FIELDS)
    body = {"type": TYPE, "timestamp": data["finished_at"], "data": data}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
