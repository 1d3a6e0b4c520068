"""Webhooks about finished tasks and requests: receivers, retries, signatures."""

import inspect
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from worker import decorators, registry
from worker.settings import Settings
from worker.webhooks import messages, signing
from worker.webhooks.posting import SECONDS, Post
from worker.words.errors import ConfigurationError
from worker.words.events import TaskUpdateEvent
from worker.words.requests import InputRequest
from worker.words.retry import RetryPolicy
from worker.words.statuses import TaskUpdateEventType
from worker.words.tasks import TaskRecord

DAY = RetryPolicy(attempts=23, base=5.0, cap=7200.0)
"""Retries over about a day: after 5 s, 10 s, 20 s and so on, and every two hours after the third hour."""

FINISHES = (TaskUpdateEventType.TaskFinished,)
REPORTED = (*FINISHES, TaskUpdateEventType.InputRequested)

Listener = Callable[..., Awaitable[None]]


@dataclass
class Webhooks:
    """Webhooks of finished tasks.

    Args:
        secrets: The signing secrets, newest first; an empty list disables webhooks.
        url: The receiver for all tasks without a ``webhook_url`` of their own.
        allow_private: Whether a task's own URL may refer to private addresses and use http.

    In ``handlers/``::

        from worker import Task, TaskUpdateEvent
        from worker.webhooks import Webhooks

        webhooks = Webhooks.of_environment()

        @webhooks.listener
        async def report(event: TaskUpdateEvent, task: Task) -> None:
            await webhooks.post(event, task)
    """

    secrets: list[bytes] = field(repr=False)
    url: str | None = field(default=None, repr=False)
    allow_private: bool = False

    def __post_init__(self) -> None:
        self._trusted, self._untrusted = Post(trusted=True), Post(trusted=self.allow_private)

    @classmethod
    def of_environment(cls, settings: Settings | None = None) -> "Webhooks":
        """Create webhooks from the environment's settings.

        Raises:
            ConfigurationError: WORKER_WEBHOOK_URL is set and WORKER_WEBHOOK_SECRET is not, or a secret is invalid.
        """
        settings = settings or Settings()
        url = settings.webhook_url.get_secret_value() if settings.webhook_url else None
        secrets = signing.secrets_of(settings.webhook_secret.get_secret_value()) if settings.webhook_secret else []
        if url is not None and not secrets:
            raise ConfigurationError(
                "WORKER_WEBHOOK_URL is set without WORKER_WEBHOOK_SECRET, but webhooks must be signed: generate a"
                f" secret with {signing.HOW_TO_MAKE_ONE}, and configure the receiver with it too"
            )
        return cls(secrets, url, allow_private=settings.allow_private_urls)

    def listener(self, function: Listener) -> Listener:
        """Register a function for every finished task that has a receiver; without secrets, never.

        A function with a ``task`` parameter is also called for tasks' requests to people. If only tasks name receivers,
        the events of other tasks are not delivered at all.
        """
        if self.secrets:
            needs = None if self.url else "webhook_url"
            for kind in FINISHES if "task" not in inspect.signature(function).parameters else REPORTED:
                registry.default.add(function, kind, None, needs, timeout=2 * SECONDS, retries=DAY)
            decorators.on_shutdown(self.close)
        return function

    async def post(self, event: TaskUpdateEvent, task: TaskRecord | None = None) -> None:
        """Post a signed message about the end of a task or its request to a person; the task's own URL has priority.

        The answer link, which lets any reader answer, is sent only to the operator's URL.

        Args:
            event: The event.
            task: The task of the event; not needed for the end of a task, whose event contains it.

        Raises:
            WebhookRefused: The message was not accepted; the delivery will be retried.
            GiveUp: No try can succeed.
        """
        task = event.data if isinstance(event.data, TaskRecord) else task
        if task is None:
            raise TypeError(f"an event of the type {event.type} contains no task: pass the task")
        url, post = (task.webhook_url, self._untrusted) if task.webhook_url else (self.url, self._trusted)
        if url is None:
            return
        if isinstance(event.data, InputRequest):
            body = messages.question_of(task, event, with_link=post is self._trusted)
        else:
            body = messages.body_of(task)
        signed = signing.headers(messages.message_id(event), int(time.time()), body, self.secrets)
        await post.send(url, {"content-type": "application/json", **signed}, body)

    async def close(self) -> None:
        """Close all connections."""
        await self._trusted.close()
        await self._untrusted.close()
