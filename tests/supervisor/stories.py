"""What the supervisor's tests have in common: a registry with short ways to bind, tasks made and waited for."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from worker.engine.engine import Engine
from worker.registry import Registry
from worker.supervisor import Supervisor
from worker.words.statuses import TaskUpdateEventType
from worker.words.tasks import AgentExecutionInput, NewTask, TaskRecord

Serve = Callable[..., AbstractAsyncContextManager[Supervisor]]
FINISH_SECONDS = 60  # on a busy machine


class Handlers(Registry):
    """A registry with short ways to bind."""

    def bind(
        self,
        function: Callable[..., Any],
        agent: str | None = "agent",
        event: str = "task_created",
        **options: Any,
    ) -> None:
        """Bind a function."""
        self.add(function, event, agent, **options)


async def create(engine: Engine, agent: str = "agent", text: str = "a question", **fields: Any) -> TaskRecord:
    """Create a task."""
    files = fields.pop("files", [])
    new = NewTask(agent_id=agent, input=AgentExecutionInput(text=text, files=files), **fields)
    return await engine.tasks.create(new)


async def finished(engine: Engine, task: TaskRecord) -> TaskRecord:
    """Wait for a task's end, by following its events."""
    async with asyncio.timeout(FINISH_SECONDS):
        async for event in engine.tasks.events(task.id):
            if event.type is TaskUpdateEventType.TaskFinished:
                break
    return await engine.tasks.get(task.id)


async def done(engine: Engine, agent: str = "agent", **fields: Any) -> TaskRecord:
    """Create a task and wait for its end."""
    return await finished(engine, await create(engine, agent, **fields))


async def within(seconds: float, awaitable: Awaitable[Any]) -> Any:
    """Wait, at most so long."""
    async with asyncio.timeout(seconds):
        return await awaitable
