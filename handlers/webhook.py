"""Tell another service of every finished task: WORKER_WEBHOOK_SECRET switches it on, see docs/guides/webhooks.md."""

from worker import TaskUpdateEvent
from worker.webhooks import Webhooks

webhooks = Webhooks.of_environment()


@webhooks.listener
async def post_finished_task(event: TaskUpdateEvent) -> None:
    """Post the end of a task; what is raised has the delivery tried again later."""
    await webhooks.post(event)
