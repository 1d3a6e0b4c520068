"""The context of a handler: its attempt, and the calls that make a handler durable."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Unpack

from worker.current import Run, Stopping
from worker.face import artifacts, bridge, children, questions, steps, waits
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
    """The attempt that a handler runs in. A handler receives it as a parameter named ``context``.

    A method ``x_sync`` is the blocking version of ``x``, for handlers that are not async.

    Args:
        run: The attempt.
        event: The event that the handler was called for; None if the handler does the task's own work.
    """

    run: Run = field(repr=False)
    event: TaskUpdateEvent | None = None

    @property
    def task_id(self) -> str:
        """The task's id."""
        return self.run.task_id

    @property
    def agent_id(self) -> str:
        """The id of the agent that the task is for."""
        return self.run.agent_id

    @property
    def attempt(self) -> int | None:
        """The number of this attempt, starting at 1; None for a handler of another event, which owns no task."""
        return self.run.attempt

    @property
    def deadline(self) -> float | None:
        """The ``time.monotonic()`` at which the time limit ends this run; None means no limit."""
        return self.run.deadline

    @property
    def remaining(self) -> float | None:
        """Seconds until the time limit, at least 0; None means no limit."""
        return None if self.run.deadline is None else max(0.0, self.run.deadline - time.monotonic())

    @property
    def stopping(self) -> Stopping:
        """True once the run should end: the task was stopped, its time limit was reached, or the worker is draining.

        A handler in a thread should check it regularly; ``context.stopping.wait(seconds)`` sleeps until it is set.
        """
        return self.run.stopping

    async def step(self, name: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run a step of the handler once: later attempts get its journaled result instead of running it again.

        Calls with the same name are different steps, counted in order. A step that raised, or that a crash interrupted,
        runs again; ``idempotency_key()`` within the function is then the same as before.

        Args:
            name: The step's name in the journal.
            function: The function to call. A function that is not async runs in a thread.
            *arguments: Its arguments. They do not affect which result is found in the journal.

        Returns:
            The function's result after a round trip through JSON, converted to its return annotation: a model is
            returned as that model, a date as a date. Without an annotation, a tuple becomes a list.

        Raises:
            ValidationError: The result cannot be converted to JSON. If the return annotation already shows that, the
                function is not called.
            LeaseLost: The attempt no longer owns its task.
        """
        return await steps.step(self.run, name, function, arguments)

    def step_sync(self, name: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Sync version of ``step``."""
        return steps.step_sync(self.run, name, function, arguments)

    async def ask(
        self,
        question: str,
        *,
        schema: dict[str, Any] | None = None,
        choices: Sequence[str] | None = None,
        timeout: timedelta | float | None = None,  # noqa: ASYNC109 - limits the person's time to answer, not this call
    ) -> Any:
        """Ask a person, and continue with the answer. Until then the task is ``paused`` and holds no worker slot.

        The handler is called again once there is an answer, and returns to this call. Code before it runs again, so
        wrap that in ``context.step``. Asking the same question twice makes two requests, counted in order.

        Args:
            question: The text that the person reads.
            schema: JSON Schema of the answer; None means yes or no.
            choices: Texts to choose from, instead of a schema.
            timeout: How long to wait, as a ``timedelta`` or in seconds; None means ``@on_task(answer_within=…)``.

        Returns:
            ``True`` or ``False``; with a schema or choices the value, or None if the person declined. No answer in time
            counts as no, unless the handler has ``unanswered="fail"``.

        Raises:
            asyncio.CancelledError: There is no answer yet. Do not catch this error.
            ValidationError: The question, schema or choices are invalid.
            Conflict: The platform does not keep journals.
        """
        return await questions.ask(self.run, questions.request_of(self.run, question, schema, choices, timeout))

    ask_sync = bridge.blocking(ask)

    async def sleep(self, seconds: timedelta | float) -> None:
        """Wait for a duration, counted from the first attempt that reaches this call.

        A wait of up to 5 seconds happens in this attempt. For a longer one the attempt ends, and the task is
        ``pending`` meanwhile: it holds no worker slot, and survives restarts. The handler is then called again and
        returns to this call. Code before it runs again, so wrap that in ``context.step``.

        Args:
            seconds: The duration, as a ``timedelta`` or in seconds. A negative one is already over, so a handler may
                sleep until a fixed time with ``sleep(at - now)``.

        Raises:
            asyncio.CancelledError: The attempt ends for the wait. Do not catch this error.
            ValidationError: The duration is infinite or not a number.
            Conflict: The platform does not keep journals.
        """
        await waits.sleep(self.run, waits.seconds_of(seconds, "seconds"))

    sleep_sync = bridge.blocking(sleep)

    async def wait_for(
        self,
        name: str,
        *,
        timeout: timedelta | float | None = None,  # noqa: ASYNC109 - limits the wait, which may span several attempts
        match: waits.Match | None = None,
    ) -> Any:
        """Wait for a signal (see ``Tasks.asignal``). An earlier one returns immediately; each is returned only once.

        With a ``timeout`` of up to 5 seconds, the attempt itself waits; otherwise it ends meanwhile, as with ``sleep``.

        Args:
            name: The signal's name.
            timeout: How long to wait, as a ``timedelta`` or in seconds; None means without limit.
            match: Items that the signal's data must contain (``{"invoice": 17}``), or a predicate on the data; None
                accepts any data.

        Returns:
            The signal's data.

        Raises:
            TimeoutError: No matching signal arrived in time.
            asyncio.CancelledError: The attempt ends until a signal arrives. Do not catch this error.
            Conflict: The platform does not keep journals.
        """
        return await waits.wait_for(self.run, self._listening(name, timeout, match))

    wait_for_sync = bridge.blocking(wait_for)

    def run_task(
        self,
        agent_id: str,
        prompt: str | None = None,
        *,
        file_urls: Sequence[FileSource] | None = None,
        **options: Unpack[TaskOptions],
    ) -> ChildTask:
        """Create a child task and wait until it has finished: ``await context.run_task(…)``.

        The child is created once, however often the handler is called again. While it runs, this attempt ends and holds
        no worker slot; then the handler is called again and returns to this call. Code before it runs again, so wrap
        that in ``context.step``. Stopping this task stops its children, too.

        Args:
            agent_id: The child's agent.
            prompt: The prompt.
            file_urls: URLs as text; local files as ``pathlib.Path``, which are uploaded.
            options: See ``TaskOptions``.

        Returns:
            An awaitable for the finished ``Task``, which can also be passed to ``gather``.

        Raises:
            ChildFailed: When awaited: the child did not end as completed.
            asyncio.CancelledError: When awaited: the child has not finished. Do not catch this error.
            ValidationError: An option is invalid, or the task has too many children.
            Conflict: The platform does not keep journals.
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
        """Sync version of ``run_task``, which waits for the child and returns the finished task."""
        return children.wait_sync([ChildTask(self.run, agent_id, prompt, file_urls, options)])[0]

    async def gather(self, *tasks: ChildTask, return_exceptions: bool = False) -> list[Task]:
        """Create several child tasks, and wait for all: ``await context.gather(context.run_task(…), …)``.

        Args:
            tasks: Results of ``run_task``, at most 1,000.
            return_exceptions: Wait for all tasks and return those that did not complete like the others. By default,
                the first one that does not complete ends the wait, while the others continue.

        Returns:
            The finished tasks, in the order of the arguments.

        Raises:
            ChildFailed: A child did not end as completed.
            asyncio.CancelledError: Not all children have finished. Do not catch this error.
            ValidationError: An argument does not come from ``run_task`` of this context, or there are too many.
        """
        return await children.wait(children.of_run(self.run, tasks), is_patient=return_exceptions)

    gather_sync = bridge.blocking(gather)

    async def save_file(self, name: str, data: Content, media_type: str | None = None) -> Artifact:
        """Save a file as one of the task's ``artifacts``, shown on the task's page and deleted with the task.

        A file of the same name is replaced, so a handler that is called again may simply save it again.

        Args:
            name: The file's name. Folders in it are dropped.
            data: The content as bytes or text, or a local file as ``pathlib.Path``.
            media_type: The media type, such as ``image/png``; None means that it is guessed from the name.

        Returns:
            The artifact, with ``name``, ``media_type``, ``size``, ``sha256`` and ``url``.

        Raises:
            Conflict: The handler is not running a task.
            ValidationError: The name or media type is invalid, or there is no such file.
            TooLarge: The file is larger than ``WORKER_FILE_BYTES``.
            LeaseLost: The attempt no longer owns its task.
            Unsupported: The platform does not store artifacts.
        """
        return await bridge.across(artifacts.Saving(self.run, name, data, media_type).store)

    save_file_sync = bridge.blocking(save_file)

    def _listening(self, name: str, timeout: timedelta | float | None, match: waits.Match | None) -> waits.SignalWait:
        seconds = None if timeout is None else waits.seconds_of(timeout, "timeout")
        return waits.SignalWait(self.run, name, seconds, match)

    @cached_property
    def logger(self) -> "structlog.stdlib.BoundLogger":
        """A structlog logger that adds the task, agent and attempt to every line."""
        import structlog

        bound: dict[str, Any] = {"task": self.task_id, "agent": self.agent_id, "attempt": self.attempt}
        return structlog.stdlib.get_logger("worker.handler").bind(**bound)
