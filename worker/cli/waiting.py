"""Waiting for a task that was just created, with output meanwhile."""

import asyncio
import sys
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager

from worker.cli import output
from worker.cli.failures import FAILED
from worker.cli.live import LiveView
from worker.contracts import Platform
from worker.words.events import TaskUpdateEvent
from worker.words.statuses import AgentExecutionStatus
from worker.words.tasks import TaskRecord


class TaskWait:
    """A wait for the end of a task.

    Args:
        platform: The task's platform.
        task: The task, as created.
        as_json: Whether a program reads the output.
    """

    def __init__(self, platform: Platform, task: TaskRecord, *, as_json: bool = False) -> None:
        self._platform = platform
        self._task = task
        self._as_json = as_json

    def leave(self) -> int:
        """Print the task or its id without waiting, and return the exit code."""
        if self._as_json:
            output.print_json(self._task)
        else:
            output.say(self._task.id)
        return 0

    async def wait(self) -> int:
        """Wait for the end, showing only a spinner; print the result and return the exit code."""
        with self._sign_of_life(), self._hint_on_interrupt():
            async for _ in self.events():
                pass
        task = await self._platform.tasks.get(self._task.id)
        if self._as_json:
            output.print_json(task)
        else:
            output.aside(f"{task.id} {task.status}" + (f": {task.internal_status}" if task.internal_status else ""))
            if task.result is not None:
                output.say(task.result)
        return exit_code(task)

    async def follow(self) -> int:
        """Print the events as they arrive, then the result; return the exit code."""
        if self._as_json:
            async for event in self.events():
                output.print_json(event)
            return exit_code(await self._platform.tasks.get(self._task.id))
        output.say(self._task.id)
        with LiveView() as view, self._hint_on_interrupt():
            async for event in self.events():
                view.take(event)
        task = await self._platform.tasks.get(self._task.id)
        output.print_fields(outcome_fields(task))
        return exit_code(task)

    async def events(self) -> AsyncIterator[TaskUpdateEvent]:
        """Yield the task's further events, until it is finished or waits for a person."""
        async for event in self._platform.tasks.events(self._task.id, after=self._task.last_event):
            yield event
            if getattr(event.data, "status", None) == AgentExecutionStatus.Paused:
                return

    @contextmanager
    def _hint_on_interrupt(self) -> Generator[None]:
        try:
            yield
        except asyncio.CancelledError:
            output.aside(f"task {self._task.id} is still running; see: worker task show {self._task.id}")
            raise

    @contextmanager
    def _sign_of_life(self) -> Generator[None]:
        if not sys.stderr.isatty():
            yield
            return
        with output.stderr().status(f"waiting for task {self._task.id}"):
            yield


def exit_code(task: TaskRecord) -> int:
    """Return 0 only if the task is completed."""
    return 0 if task.status is AgentExecutionStatus.Completed else FAILED


def outcome_fields(task: TaskRecord) -> list[tuple[str, str | None]]:
    """Return the fields that describe a task's outcome."""
    wanted = ("status", "internal status", "duration", "tokens", "used tools", "waits for", "result")
    return [(name, value) for name, value in output.task_fields(task) if name in wanted]
