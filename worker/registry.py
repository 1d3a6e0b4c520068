"""The registry of handlers: which function serves which event of which agent's tasks.

from worker import Task, TaskUpdateEventType, on

@on(TaskUpdateEventType.TaskCreated, agent_id="analyst")
async def analyse(task: Task) -> Task: ...
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Unpack

from worker import scripts
from worker.signatures import ArgumentBinding, filling_of, is_async, is_generator, name_of, place, takes_no_arguments
from worker.toolbox import Toolbox
from worker.words.conversations import Mode
from worker.words.errors import ConfigurationError, ValidationError
from worker.words.handler_options import HandlerOptions, Incomplete, checked, event_type_of
from worker.words.ids import check_id
from worker.words.requests import Unanswered
from worker.words.retry import RetryPolicy
from worker.words.statuses import TaskUpdateEventType


@dataclass(frozen=True, eq=False)
class Handler:
    """A function bound to an event.

    Args:
        needs: For a handler of other events: a setting that a task must have for its events to be delivered.
        filling: How the function is called with the task, the event and the context.
        timeout: Time limit of one attempt in seconds; None means no limit.
        concurrency: Maximum number of concurrent runs in one worker process; None means the worker's own limit.
        incomplete: What to do with an incomplete answer; None means the default of ``on``.
        required: Whether everything that its agents use must be available; see ``on``.
        model_silence: Seconds that a model may be silent; None means ``WORKER_MODEL_SILENCE_SECONDS``.
        answer_within: Seconds in which a person must answer a task's request; None means no limit.
        unanswered: What happens to the task if nobody answers in time; see ``on``.
        conversation: What happens to a second task of a conversation; see ``on``.
    """

    function: Callable[..., Any]
    event_type: TaskUpdateEventType
    agent_id: str | None
    filling: ArgumentBinding
    timeout: float | None = None
    retries: RetryPolicy = field(default_factory=RetryPolicy)
    concurrency: int | None = None
    needs: str | None = None
    incomplete: Incomplete | None = None
    required: bool = False
    model_silence: float | None = None
    answer_within: float | None = None
    unanswered: Unanswered | None = None
    conversation: Mode | None = None

    @cached_property
    def name(self) -> str:
        """The function's module and qualified name, as used by subscriptions and log lines."""
        return name_of(self.function)

    @cached_property
    def key(self) -> tuple[str, str | None]:
        """The handler's identity across reloads: the same function for the same agent."""
        return self.name, self.agent_id

    @property
    def place(self) -> str:
        """The function's file and line, for errors."""
        return place(self.function)

    @cached_property
    def is_async(self) -> bool:
        """Whether the function runs on the loop. Sync functions and wrappers run in a thread; the result is awaited."""
        return is_async(self.function)


class Registry:
    """Handlers, hooks and tools. ``on`` and its siblings add to the process's own registry, ``default``."""

    def __init__(self) -> None:
        self.handlers: list[Handler] = []
        self.boot_hooks: list[Callable[..., Any]] = []
        self.shutdown_hooks: list[Callable[..., Any]] = []
        self.problems: list[str] = []
        self.tools = Toolbox()
        self.folder: Path | None = None  # where handlers were discovered; child processes discover them there, too

    def add(
        self,
        function: Callable[..., Any],
        event_type: TaskUpdateEventType | str,
        agent_id: str | None,
        needs: str | None = None,
        /,
        **options: Unpack[HandlerOptions],
    ) -> None:
        """Bind a function. Errors are collected as problems, so that a starting worker can report all of them."""
        try:
            self.handlers.append(
                Handler(
                    function=function,
                    event_type=event_type_of(event_type),
                    agent_id=None if agent_id is None else check_id(agent_id, "agent_id"),
                    filling=filling_of(function),
                    needs=needs,
                    **checked(options, event_type),
                )
            )
        except (ValidationError, ConfigurationError) as error:
            self.problems.append(f"{place(function)}: {error.description}")

    def check(self) -> None:
        """Check that a worker can start with the registered handlers. A calling script does not become a worker.

        Raises:
            ConfigurationError: A worker cannot start; the message has one line for each problem, with file and line.
        """
        scripts.leave()
        problems = [*self.problems, *self._twice(), *self._unfit_hooks(), *self.tools.check()]
        if not self.handlers and not problems:
            problems = ["no handler is registered: add a module with @on(...) to handlers/"]
        if problems:
            raise ConfigurationError("\n".join(problems))

    def _twice(self) -> Iterator[str]:
        first: dict[str | None, Handler] = {}
        for handler in self.tasks():
            other = first.setdefault(handler.agent_id, handler)
            if other is not handler:
                whom = f"agent {handler.agent_id!r}" if handler.agent_id else "any agent"
                yield f"{handler.place}: a second task_created handler for {whom}; the first is at {other.place}"
        names: dict[tuple[str, str, str | None], Handler] = {}
        for handler in self.listeners():
            key = (handler.name, handler.event_type, handler.agent_id)
            other = names.setdefault(key, handler)
            if other is not handler and other.function is not handler.function:
                yield (
                    f"{handler.place}: two handlers of {handler.event_type} are named {handler.name}; the other is at"
                    f" {other.place}. Give one another name; a decorator should use functools.wraps to keep the names"
                    " of functions"
                )
            elif other is not handler:
                yield (
                    f"{handler.place}: {handler.name} is registered twice for {handler.event_type}; see {other.place}"
                )

    def _unfit_hooks(self) -> Iterator[str]:
        for hook in (*self.boot_hooks, *self.shutdown_hooks):
            if not takes_no_arguments(hook):
                yield f"{place(hook)}: hooks are called without arguments, but {name_of(hook)} requires some"
            elif is_generator(hook):
                yield (
                    f"{place(hook)}: {name_of(hook)} is a generator; a hook must be a function or a coroutine function"
                )

    def tasks(self) -> list[Handler]:
        """Return the handlers that do the work of tasks."""
        return [handler for handler in self.handlers if handler.event_type is TaskUpdateEventType.TaskCreated]

    def listeners(self) -> list[Handler]:
        """Return the handlers of other events."""
        return [handler for handler in self.handlers if handler.event_type is not TaskUpdateEventType.TaskCreated]

    def handler_for(self, agent_id: str) -> Handler | None:
        """Return the handler of an agent's tasks: the one that names the agent, else the one for any agent."""
        by_agent = {handler.agent_id: handler for handler in self.tasks()}
        return by_agent.get(agent_id) or by_agent.get(None)


default = Registry()
