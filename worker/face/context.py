"""What a handler may know of its attempt."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Unpack

from worker.current import Run, Stopping
from worker.face import artifacts, asking, bridge, children, steps, waits
from worker.face.artifacts import Content
from worker.face.children import ChildTask
from worker.face.options import TaskOptions
from worker.face.task import Task
from worker.face.uploads import FileSource
from worker.words.artifacts import Artifact
from worker.words.events import TaskUpdateEvent

if TYPE_CHECKING:
    import structlog


@dataclass
class Context:
    """The attempt that a handler works in; ask for it by a parameter named ``context``.

    Args:
        run: The attempt.
        event: The event that the handler was called for; none where it does the work of the task itself.
    """

    run: Run = field(repr=False)
    event: TaskUpdateEvent | None = None

    @property
    def task_id(self) -> str:
        """The task."""
        return self.run.task_id

    @property
    def agent_id(self) -> str:
        """The agent that the task is for."""
        return self.run.agent_id

    @property
    def attempt(self) -> int | None:
        """The number of this attempt, the first is 1; none for a handler of another event, which owns no task."""
        return self.run.attempt

    @property
    def deadline(self) -> float | None:
        """When the time limit ends this run, on ``time.monotonic()``; None means no limit."""
        return self.run.deadline

    @property
    def remaining(self) -> float | None:
        """Seconds until the time limit, at least 0; None means no limit."""
        return None if self.run.deadline is None else max(0.0, self.run.deadline - time.monotonic())

    @property
    def stopping(self) -> Stopping:
        """True when the run should end: the task was stopped, its time is up, or the worker leaves.

        A handler in a thread asks it now and then; ``context.stopping.wait(seconds)`` sleeps until it is so.
        """
        return self.run.stopping

    async def step(self, name: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Do a step of the handler once: a later attempt gets its result without doing it again.

        The same name again is another step, counted in the order of the calls. A step that raises is not kept, nor is
        one that a crash cut off: then ``idempotency_key()`` within the function is the same as before.

        Args:
            name: What the step is called, for the journal.
            function: Async, or not: then it runs in a thread.
            *arguments: What it is called with. They play no part in whether its result is found again.

        Returns:
            What the function answered, as JSON gives it back, in the form that its return annotation says: a model
            comes as that model, a date as a date. Without an annotation a tuple comes as a list.

        Raises:
            ValidationError: The function answered what JSON has no form for, or says that it will: then it was not
                called.
            LeaseLost: The attempt owns its task no longer.
        """
        return await steps.step(self.run, name, function, arguments)

    def step_sync(self, name: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Do a step, as ``step`` does, and block this thread until it is done."""
        return steps.step_sync(self.run, name, function, arguments)

    async def ask(
        self,
        question: str,
        *,
        schema: dict[str, Any] | None = None,
        choices: Sequence[str] | None = None,
        timeout: timedelta | float | None = None,  # noqa: ASYNC109 - of the person, in days; nothing is awaited
    ) -> Any:
        """Ask a person, and go on with the answer: the task is ``paused`` until then, and holds no place in a worker.

        The handler is called again once there is an answer, and comes back to this place: what it does before is done
        again, so it belongs into ``context.step``. The same question again is another one, counted in order.

        Args:
            question: What the person reads.
            schema: JSON Schema of the answer; None means yes or no.
            choices: What may be chosen from, instead of a schema.
            timeout: How long to wait, as a ``timedelta`` or in seconds; None: as ``@on_task(answer_within=…)`` says.

        Returns:
            ``True`` or ``False``; with a schema or choices the value, or None if the person declined. Nobody's answer
            in time counts as no, unless the handler has ``unanswered="fail"``.

        Raises:
            asyncio.CancelledError: Nobody has answered yet; let it pass.
            ValidationError: It cannot be asked like that.
            Conflict: The platform keeps no journals.
        """
        return await asking.ask(self.run, asking.request_of(self.run, question, schema, choices, timeout))

    def ask_sync(
        self,
        question: str,
        *,
        schema: dict[str, Any] | None = None,
        choices: Sequence[str] | None = None,
        timeout: timedelta | float | None = None,
    ) -> Any:
        """Ask a person, as ``ask`` does, from a handler that is not async."""
        return asking.ask_sync(self.run, asking.request_of(self.run, question, schema, choices, timeout))

    async def sleep(self, seconds: timedelta | float) -> None:
        """Wait for a time, given as a ``timedelta`` or in seconds, from the first attempt that comes here.

        Up to 5 seconds are simply awaited. For a longer time the attempt ends, and the task is ``pending`` until then:
        it holds no place, and survives every restart. The handler is called again, and comes back to this place; what
        it does before belongs into ``context.step``.
        """
        await waits.sleep(self.run, waits.seconds_of(seconds, "seconds"))

    def sleep_sync(self, seconds: timedelta | float) -> None:
        """Wait, as ``sleep`` does, in a handler that is not async."""
        waits.sleep_sync(self.run, waits.seconds_of(seconds, "seconds"))

    async def wait_for(
        self,
        name: str,
        *,
        timeout: timedelta | float | None = None,  # noqa: ASYNC109 - of the wait, over attempts
        match: waits.Match | None = None,
    ) -> Any:
        """Wait for a signal, see ``Tasks.asignal``; one that came before is taken at once, and each only once.

        As with ``sleep``, the attempt ends meanwhile, unless ``timeout`` is up to 5 seconds.

        Args:
            name: The signal's.
            timeout: How long, as a ``timedelta`` or in seconds; None means for ever.
            match: What its data must hold (``{"invoice": 17}``), or a function of it; None means any will do.

        Returns:
            The signal's data.

        Raises:
            TimeoutError: None came in time.
            asyncio.CancelledError: The attempt ends until there is one; let it pass.
        """
        return await waits.wait_for(self._listening(name, timeout, match))

    def wait_for_sync(
        self, name: str, *, timeout: timedelta | float | None = None, match: waits.Match | None = None
    ) -> Any:
        """Wait for a signal, as ``wait_for`` does, in a handler that is not async."""
        return waits.wait_for_sync(self.run, self._listening(name, timeout, match))

    def run_task(
        self,
        agent_id: str,
        prompt: str | None = None,
        *,
        file_urls: Sequence[FileSource] | None = None,
        **options: Unpack[TaskOptions],
    ) -> ChildTask:
        """Make a task for an agent, a child of this one, and wait until it has ended: ``await context.run_task(…)``.

        It is made once for each place of the handler, however often the handler is called again. While it runs, this
        attempt ends and holds no place; then the handler is called again, and comes back to this place. What it does
        before belongs into ``context.step``. Whoever stops this task stops its children, too.

        Args:
            agent_id: The agent.
            prompt: What it is asked.
            file_urls: URLs as text; local files as ``pathlib.Path``.
            options: See ``TaskOptions``.

        Returns:
            To be awaited, or given to ``gather``: the finished ``Task``.

        Raises:
            ChildFailed: It did not end as completed.
            asyncio.CancelledError: It has not ended; let it pass.
            ValidationError: An option does not fit, or the task has too many children.
            Conflict: The platform keeps no journals.
        """
        return ChildTask(self.run, agent_id, prompt, file_urls, options)

    def run_task_sync(
        self,
        agent_id: str,
        prompt: str | None = None,
        *,
        file_urls: Sequence[FileSource] | None = None,
        **options: Unpack[TaskOptions],
    ) -> Task:
        """Make a task and wait for it, as ``run_task`` does, in a handler that is not async."""
        return children.wait_sync([ChildTask(self.run, agent_id, prompt, file_urls, options)])[0]

    async def gather(self, *tasks: ChildTask, return_exceptions: bool = False) -> list[Task]:
        """Make several tasks at once, and wait for all: ``await context.gather(context.run_task(…), …)``.

        Args:
            tasks: What ``run_task`` answers, at most 1,000.
            return_exceptions: Wait for all, and answer those that did not end as completed like the others; else the
                first one that did not ends the wait, while the others go on.

        Returns:
            The finished tasks, in the order in which they were given.

        Raises:
            ChildFailed: One did not end as completed.
            asyncio.CancelledError: Not all have ended; let it pass.
        """
        return await children.wait(children.of_run(self.run, tasks), is_patient=return_exceptions)

    def gather_sync(self, *tasks: ChildTask, return_exceptions: bool = False) -> list[Task]:
        """Make several tasks and wait for all, as ``gather`` does, in a handler that is not async."""
        return children.wait_sync(children.of_run(self.run, tasks), is_patient=return_exceptions)

    async def save_file(self, name: str, data: Content, media_type: str | None = None) -> Artifact:
        """Save a file with the task: it is one of its ``artifacts``, shown on its page, and deleted with it.

        The same name again takes its place; a handler that is called again may simply save it again.

        Args:
            name: What it is called.
            data: Bytes, text, or a local file as ``pathlib.Path``.
            media_type: Such as ``image/png``; None means told from the name.

        Returns:
            The artifact: name, type, size, ``sha256`` and ``url``.

        Raises:
            Conflict: This is no run of a task.
            ValidationError: The name or the type is none, or there is no such file.
            TooLarge: It is larger than ``WORKER_FILE_BYTES``.
            LeaseLost: The attempt owns its task no longer.
            Unsupported: The platform keeps no files of runs.
        """
        return await bridge.across(artifacts.Saving(self.run, name, data, media_type).store)

    def save_file_sync(self, name: str, data: Content, media_type: str | None = None) -> Artifact:
        """Save a file, as ``save_file`` does, in a handler that is not async."""
        return bridge.block(artifacts.Saving(self.run, name, data, media_type).store)

    def _listening(self, name: str, timeout: timedelta | float | None, match: waits.Match | None) -> waits.SignalWait:
        seconds = None if timeout is None else waits.seconds_of(timeout, "timeout")
        return waits.SignalWait(self.run, name, seconds, match)

    @cached_property
    def logger(self) -> "structlog.stdlib.BoundLogger":
        """A structlog logger that names task, agent and attempt in every line."""
        import structlog

        bound: dict[str, Any] = {"task": self.task_id, "agent": self.agent_id, "attempt": self.attempt}
        return structlog.stdlib.get_logger("worker.handler").bind(**bound)
