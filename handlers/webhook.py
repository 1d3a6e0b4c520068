"""Notify another service of finished tasks and of requests to people; see docs/guides/webhooks.md.

Set WORKER_WEBHOOK_SECRET to enable this.
"""

from worker import Task, TaskUpdateEvent
from worker.webhooks import Webhooks

webhooks = Webhooks.of_environment()


@webhooks.listener
async def post_finished_task(event: TaskUpdateEvent, task: Task) -> None:
    """Post the end of a task, or its request to a person. If this raises, the delivery is retried later."""
    await webhooks.post(event, task)
