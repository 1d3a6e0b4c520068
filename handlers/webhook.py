"""Tell another service of every finished task, where WORKER_WEBHOOK_URL names one.

The request is repeated until it is answered with success, so the receiver may see a task twice: `id` and `finished_at`
say which end of which task it is.
"""

from typing import Any

import httpx

from worker import Task, TaskUpdateEventType, on
from worker.settings import Settings


class WebhookRefused(Exception):  # noqa: N818 - named after what happened
    """The receiver answered, but not with success; the message names no URL, which may hold a secret."""


SECONDS = 10.0  # for one request; a receiver that takes longer should answer first and work later

_url = Settings().webhook_url


async def post_finished_task(task: Task) -> None:
    """Post a finished task; an error has the delivery repeated later."""
    if _url is None:
        return
    async with httpx.AsyncClient(timeout=SECONDS) as client:
        response = await client.post(_url.get_secret_value(), json=body_of(task))
    if not response.is_success:
        raise WebhookRefused(f"the webhook answered {response.status_code} {response.reason_phrase}")


def body_of(task: Task) -> dict[str, Any]:
    """What is posted of a task."""
    return task.model_dump(
        mode="json",
        include={
            "id",
            "agent_id",
            "organization_id",
            "title",
            "status",
            "internal_status",
            "result",
            "created_at",
            "started_at",
            "finished_at",
            "duration",
            "execution_attempts",
            "tokens",
            "used_tools",
        },
    )


if _url is not None:  # no subscription where nobody listens: it would cost a cursor for every task
    on(TaskUpdateEventType.TaskFinished)(post_finished_task)
