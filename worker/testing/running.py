"""One handler, run on one task as a worker would: with inputs, time limit, verdict, and all its events."""

import asyncio
import contextvars
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from worker import registry, threads
from worker.current import run_in_hand, running_loop
from worker.engine.engine import Engine
from worker.face import bridge
from worker.face.options import new_task
from worker.face.task import Task
from worker.face.uploads import FileSource, upload
from worker.registry import Handler, Registry
from worker.supervisor.calls import Caller
from worker.supervisor.executor import Executor
from worker.supervisor.shutdown import run_on
from worker.testing.local import current, local_platform, opened_engine
from worker.words.errors import ConfigurationError
from worker.words.events import Note, TaskUpdateEvent, ToolCallResult
from worker.words.ids import new_id
from worker.words.notices import Notice, TaskEnded, TaskRetried, subscribe
from worker.words.outcomes import HandBack
from worker.words.statuses import AgentExecutionStatus, TaskUpdateEventType
from worker.words.work import Assignment, Demand, WorkerCard

if TYPE_CHECKING:
    from agno.models.base import Model

    from worker.testing.models import Script

AGENT = "agent"  # for a handler that names none
TURN_SECONDS = 0.01  # between checks whether the previous run has ended
CLAIM_SECONDS = 30.0  # a claim takes milliseconds; a machine may be busy

Files = Sequence[FileSource] | Mapping[str, bytes | str]
"""Paths and URLs, or contents by file name."""

_alone = threading.Lock()  # the process has one platform at a time, whichever loops and threads its tests use


@dataclass(frozen=True, slots=True)
class HandlerRun:
    """The result of one run of a handler.

    Args:
        task: The task afterwards, as any client would read it.
        events: All events of the task, in order.
        error: The exception that the handler raised, if any; ``task`` shows how the worker treated it.
        retry_in: Seconds until the worker would try again; None means that this was the last try, and the task is
            finished.
    """

    task: Task
    events: list[TaskUpdateEvent]
    error: BaseException | None
    retry_in: float | None

    @property
    def status(self) -> AgentExecutionStatus:
        """The task's status: completed, error, failed, paused, stopped; or pending, if it would be retried."""
        return self.task.status

    @property
    def result(self) -> str | None:
        """The task's result, as text."""
        return self.task.result

    @property
    def internal_status(self) -> str | None:
        """The internal status that the handler set."""
        return self.task.internal_status

    @property
    def tool_calls(self) -> list[ToolCallResult]:
        """The tool calls of the handler's agents, with arguments and results, in the order of their ends."""
        return [event.data for event in self.events if isinstance(event.data, ToolCallResult)]

    @property
    def notes(self) -> list[str]:
        """The worker's notes, such as one about a file that could not be read."""
        return [event.data.text for event in self.events if isinstance(event.data, Note)]

    @property
    def text(self) -> str:
        """The streamed text, if ``events_streaming`` was requested."""
        chunks = [event.data for event in self.events if event.type is TaskUpdateEventType.Chunk]
        return "".join(str(each) for each in chunks)


async def run_handler(
    function: Callable[..., Any],
    *,
    text: str | None = None,
    files: Files | None = None,
    model: "Model | Script | None" = None,
    agent_id: str | None = None,
    timeout: float | None = None,  # noqa: ASYNC109 - the name of the handler's option
    **options: Any,
) -> HandlerRun:
    """Run a handler once on a task of its own, as a worker would; nothing remains afterwards.

    The task is created, claimed and finished on a real platform: that of the fixture ``worker_platform`` if the test
    uses it, else a temporary one. The handler runs on this loop, a sync one in a thread. Concurrent calls wait for each
    other.

    Args:
        function: The handler, decorated or not. The options of a decorator apply: agent, timeout, retries.
        text: The task's text.
        files: The task's files: paths and URLs, or contents by name, as in ``{"sales.csv": "a,b"}``.
        model: Replaces every model that ``run_agent`` uses: a model, or the turns of a script.
        agent_id: The agent; None means the handler's own, else ``agent``.
        timeout: The time limit in seconds; None means the handler's own.
        options: Any other option with which a task can be created, such as ``output_format="json"``.

    Returns:
        The result. An exception of the handler is not raised here, but part of the result, as a worker reports it.

    Raises:
        ValidationError: The task is invalid: it has neither text nor a file, or an option is unknown.
        ConfigurationError: The function is not a handler of tasks.
    """
    handler = _handler(function, agent_id, timeout)
    with ExitStack() as stack:
        async with _in_turn():
            platform = current() or await asyncio.to_thread(stack.enter_context, local_platform())
            async with opened_engine(platform.url) as engine:
                return await _Stage(engine, handler).run(text, files or (), model, options)


def run_handler_sync(
    function: Callable[..., Any],
    *,
    text: str | None = None,
    files: Files | None = None,
    model: "Model | Script | None" = None,
    agent_id: str | None = None,
    timeout: float | None = None,
    **options: Any,
) -> HandlerRun:
    """Sync version of ``run_handler``, which also works while a loop is running."""

    def run() -> HandlerRun:
        called = run_handler(
            function, text=text, files=files, model=model, agent_id=agent_id, timeout=timeout, **options
        )
        return _run(called)

    if running_loop() is None:
        return run()
    with ThreadPoolExecutor(1, thread_name_prefix="run_handler") as thread:
        return thread.submit(contextvars.copy_context().run, run).result()


def _run(called: Coroutine[Any, Any, HandlerRun]) -> HandlerRun:
    """Run a coroutine on a loop of its own, whose end does not wait for threads that a handler has left running."""
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        executor = threads.serve(loop, 1)
        try:
            return run_on(loop, called)
        finally:
            loop.set_default_executor(ThreadPoolExecutor(1))
            executor.shutdown(wait=False, cancel_futures=True)


@asynccontextmanager
async def _in_turn() -> AsyncGenerator[None]:
    """Wait for the other runs of this process to end."""
    if run_in_hand.get() is not None:
        raise ConfigurationError("run_handler is for tests and cannot be called by a running handler")
    while not _alone.acquire(blocking=False):  # noqa: ASYNC110 - its holder may be on another loop
        await asyncio.sleep(TURN_SECONDS)
    try:
        yield
    finally:
        _alone.release()


class _Stage:
    """A worker for one run."""

    def __init__(self, engine: Engine, handler: Handler) -> None:
        self._engine = engine
        self._handler = handler
        self._agent = handler.agent_id or AGENT

    async def run(self, text: str | None, files: Files, model: Any, options: dict[str, Any]) -> HandlerRun:
        """Create the task, run it, and read the result."""
        engine = self._engine
        card = WorkerCard(id=new_id(), name="run_handler", agents=(self._agent,), concurrency=1)
        bridge.adopt(asyncio.get_running_loop(), engine)
        try:
            references = await self._files(files)
            new = await new_task(engine, self._agent, text, references, options)
            task_id = (await engine.tasks.create(new)).id
            await engine.work.register(card)
            last = await self._execute(await self._claimed(card, task_id), model)
            await engine.work.leave(card.id)
            events = [event async for event in engine.tasks.events(task_id, follow=False)]
            task = Task.of(await engine.tasks.get(task_id))
        finally:
            await bridge.release()
        retry_in = last.delay if isinstance(last, TaskRetried) else None
        return HandlerRun(task, events, last.error if last else None, retry_in)

    async def _files(self, files: Files) -> list[FileSource]:
        if not isinstance(files, Mapping):
            return [_source(each) for each in files]
        contents = {name: each.encode() if isinstance(each, str) else each for name, each in files.items()}
        return [await upload(self._engine, content, name) for name, content in contents.items()]

    async def _claimed(self, card: WorkerCard, task_id: str) -> Assignment:
        """Claim the task; other tasks of its agent, left by an earlier run, are handed back."""
        demand, others = Demand(1, {self._agent: 1}), list[Assignment]()
        while True:
            (assignment,) = await self._engine.work.assignments(card.id, lambda: demand, CLAIM_SECONDS)
            if assignment.task.id == task_id:
                break
            others.append(assignment)
        for each in others:
            await self._engine.work.hand_back(each.task.id, each.attempt, HandBack())
        return assignment

    async def _execute(self, assignment: Assignment, model: Any) -> TaskEnded | TaskRetried | None:
        """Run the task's handler, and return the notice of its end."""
        caller = Caller(1)
        executor = Executor(self._engine, caller, lambda: False, lambda _: None)
        ends: list[TaskEnded | TaskRetried] = []

        def on_notice(notice: Notice) -> None:
            if isinstance(notice, TaskEnded | TaskRetried) and notice.task_id == assignment.task.id:
                ends.append(notice)

        unsubscribe = subscribe(on_notice)
        try:
            with nullcontext() if model is None else _standing_in(model):
                await executor.execute(executor.prepare(assignment, self._handler))
        finally:
            unsubscribe()
            caller.close()
        return ends[-1] if ends else None


@contextmanager
def _standing_in(model: Any) -> Generator[None]:
    """Replace every model within the block."""
    from agno.models.base import Model

    from worker.agents.models.models import stand_in
    from worker.testing.models import ScriptedModel

    token = stand_in.set(model if isinstance(model, Model) else ScriptedModel(model))
    try:
        yield
    finally:
        stand_in.reset(token)


def _source(named: FileSource) -> FileSource:
    """Return a path for a text that names a file; a name of neither a file nor a URL is refused on creation."""
    return Path(named) if isinstance(named, str) and Path(named).is_file() else named


def _handler(function: Callable[..., Any], agent_id: str | None, timeout: float | None) -> Handler:
    """Return the registered handler of a function, or one made for it."""
    bound = [each for each in registry.default.handlers if each.function is function]
    tasks = [each for each in bound if each.event_type is TaskUpdateEventType.TaskCreated]
    if bound and not tasks:
        raise ConfigurationError(
            f"{bound[0].name} handles {bound[0].event_type}, but run_handler only runs handlers of new tasks. Call"
            " the function, or use worker_platform.worker(...)"
        )
    if not tasks:
        made = Registry()
        made.add(function, TaskUpdateEventType.TaskCreated, agent_id, timeout=timeout)
        if made.problems:
            raise ConfigurationError(made.problems[0])
        tasks = made.handlers
    handler = next((each for each in tasks if each.agent_id == agent_id), tasks[0])
    changes: dict[str, Any] = {"agent_id": agent_id or handler.agent_id, "timeout": timeout or handler.timeout}
    return replace(handler, **changes)
