"""Tell another service of finished tasks, and of what tasks ask of people; see docs/guides/webhooks.md.

WORKER_WEBHOOK_SECRET switches it on.
"""

from worker import Task, TaskUpdateEvent
from worker.webhooks import Webhooks

webhooks = Webhooks.of_environment()


@webhooks.listener
async def post_finished_task(event: TaskUpdateEvent, task: Task) -> None:
    """Post the end of a task, or its question; what is raised has the delivery tried again later."""
    await webhooks.post(event, task)
