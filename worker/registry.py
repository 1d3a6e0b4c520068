"""Which handler serves which event of which agent's tasks.

from worker import Task, TaskUpdateEventType, on

@on(TaskUpdateEventType.TaskCreated, agent_id="analyst")
async def analyse(task: Task) -> Task: ...
"""

import importlib
import inspect
import re
import sys
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, overload

from worker.words.errors import ConfigurationError, ValidationError
from worker.words.ids import check_id
from worker.words.retry import DELIVERY_RETRIES, RetryPolicy
from worker.words.statuses import BINDABLE, TaskUpdateEventType

Function = TypeVar("Function", bound=Callable[..., Any])

Incomplete = Literal["accept", "retry", "error"]
INCOMPLETE: tuple[Incomplete, ...] = get_args(Incomplete)

PARAMETERS = ("task", "event", "context")
"""What a handler can be given, by name or by annotation (Task, TaskUpdateEvent, Context)."""

_BY_ANNOTATION = {"Task": "task", "TaskRecord": "task", "TaskUpdateEvent": "event", "Context": "context"}


@dataclass(frozen=True, eq=False)
class Handler:
    """A function bound to an event.

    Args:
        needs: Of a listener: the setting that a task must have for its events to be wanted.
        arguments: Which parameter is filled with what: name of the parameter → task, event or context.
        timeout: Seconds that one attempt may take; none: no limit.
        concurrency: Runs at once in one worker process; none: the worker's own limit.
        incomplete: What becomes of an answer that is not whole; none: see ``on``.
        model_silence: Seconds for which a model may say nothing; none: ``WORKER_MODEL_SILENCE_SECONDS``.
    """

    function: Callable[..., Any]
    event_type: TaskUpdateEventType
    agent_id: str | None
    arguments: dict[str, str]
    timeout: float | None = None
    retries: RetryPolicy = field(default_factory=RetryPolicy)
    concurrency: int | None = None
    needs: str | None = None
    incomplete: Incomplete | None = None
    model_silence: float | None = None

    @cached_property
    def name(self) -> str:
        """Module and qualified name: what subscriptions and log lines call it."""
        named = _named(self.function)
        return f"{named.__module__}.{named.__qualname__}"

    @cached_property
    def key(self) -> tuple[str, str | None]:
        """What it is known by across reloads: the same function for the same agent."""
        return self.name, self.agent_id

    @property
    def place(self) -> str:
        """File and line, for errors."""
        return place(self.function)

    @cached_property
    def is_async(self) -> bool:
        """Whether it runs on the loop; else in a thread. A plain wrapper does, and what it returns is awaited."""
        called = self.function if inspect.isroutine(self.function) else getattr(self.function, "__call__", None)  # noqa: B004 - the method is wanted, not whether there is one
        return any(_is_async(each) for each in (self.function, called))


class Registry:
    """Handlers and hooks; ``on`` and its siblings write into the process's own, ``default``."""

    def __init__(self) -> None:
        self.handlers: list[Handler] = []
        self.boot_hooks: list[Callable[..., Any]] = []
        self.shutdown_hooks: list[Callable[..., Any]] = []
        self.problems: list[str] = []
        self.folder: Path | None = None  # where the handlers were discovered; a child process finds them there again

    def add(
        self,
        function: Callable[..., Any],
        event_type: TaskUpdateEventType | str,
        agent_id: str | None,
        *,
        timeout: float | None = None,
        retries: int | RetryPolicy | None = None,
        concurrency: int | None = None,
        needs: str | None = None,
        incomplete: Incomplete | None = None,
        model_silence: float | None = None,
    ) -> None:
        """Bind a function; what does not fit is kept as a problem, so that a start can name all of them at once."""
        try:
            self.handlers.append(
                Handler(
                    function=function,
                    event_type=_event_type(event_type),
                    agent_id=None if agent_id is None else check_id(agent_id, "agent_id"),
                    arguments=_arguments(function),
                    timeout=_positive(timeout, "timeout"),
                    retries=_policy(retries, event_type),
                    concurrency=_whole(concurrency, "concurrency"),
                    needs=needs,
                    incomplete=_one_of(incomplete, INCOMPLETE, "incomplete"),
                    model_silence=_positive(model_silence, "model_silence"),
                )
            )
        except (ValidationError, ConfigurationError) as error:
            self.problems.append(f"{place(function)}: {error.description}")

    def check(self) -> None:
        """See whether a worker could start with what is registered.

        Raises:
            ConfigurationError: It could not; the description has one line a problem, with file and line.
        """
        problems = [*self.problems, *self._twice()]
        if not self.handlers and not problems:
            problems = ["no handler is registered: put a module with @on(...) into handlers/"]
        if problems:
            raise ConfigurationError("\n".join(problems))

    def _twice(self) -> Iterator[str]:
        first: dict[str | None, Handler] = {}
        for handler in self.tasks():
            other = first.setdefault(handler.agent_id, handler)
            if other is not handler:
                whom = f"agent {handler.agent_id!r}" if handler.agent_id else "any agent"
                yield f"{handler.place}: a second handler for task_created of {whom}; the first is at {other.place}"
        names: dict[tuple[str, str, str | None], Handler] = {}
        for handler in self.listeners():
            key = (handler.name, handler.event_type, handler.agent_id)
            other = names.setdefault(key, handler)
            if other is not handler:
                yield f"{handler.place}: {handler.name} is bound twice to {handler.event_type}; see {other.place}"

    def tasks(self) -> list[Handler]:
        """The handlers that do the work of tasks."""
        return [handler for handler in self.handlers if handler.event_type is TaskUpdateEventType.TaskCreated]

    def listeners(self) -> list[Handler]:
        """The handlers of other events."""
        return [handler for handler in self.handlers if handler.event_type is not TaskUpdateEventType.TaskCreated]

    def handler_for(self, agent_id: str) -> Handler | None:
        """The handler of an agent's tasks: the one that names it, else the one for any agent."""
        named = {handler.agent_id: handler for handler in self.tasks()}
        return named.get(agent_id) or named.get(None)


default = Registry()


@overload
def on(event_type: TaskUpdateEventType | str) -> Callable[[Function], Function]: ...
@overload
def on(
    event_type: TaskUpdateEventType | str,
    *,
    agent_id: str | Sequence[str] | None = None,
    timeout: float | None = None,
    retries: int | RetryPolicy | None = None,
    concurrency: int | None = None,
    incomplete: Incomplete | None = None,
    model_silence: float | None = None,
) -> Callable[[Function], Function]: ...
def on(
    event_type: TaskUpdateEventType | str,
    *,
    agent_id: str | Sequence[str] | None = None,
    timeout: float | None = None,
    retries: int | RetryPolicy | None = None,
    concurrency: int | None = None,
    incomplete: Incomplete | None = None,
    model_silence: float | None = None,
) -> Callable[[Function], Function]:
    """Bind a function, async or not, to an event of an agent's tasks; it is returned unchanged.

    Args:
        event_type: ``TaskCreated`` is the work itself; the other five hear of what happened.
        agent_id: The agent or agents; none: any that no other handler names.
        timeout: Seconds that one attempt may take.
        retries: Tries in all, or a whole policy; default three, and ten for what hears of events.
        concurrency: Runs at once in one worker process.
        incomplete: What becomes of a model's answer that is not whole: ``accept``: it is the result, and the task's
            ``finish_reason`` says why it ended; ``retry``: it is an error, and another try is made; ``error``: it is
            one, without another try. By default an answer that was cut (``length``) or filtered is accepted as far as
            it goes; where a filter or a refusal left no text at all, that is an error.
        model_silence: Seconds for which a model may say nothing before that is an error, and another try is made;
            default ``WORKER_MODEL_SILENCE_SECONDS``.

    Problems are reported when a worker starts, and by ``worker check``, with file and line.
    """

    def bind(function: Function) -> Function:
        agents: Iterable[str | None] = [agent_id] if agent_id is None or isinstance(agent_id, str) else agent_id
        for each in agents:
            default.add(
                function,
                event_type,
                each,
                timeout=timeout,
                retries=retries,
                concurrency=concurrency,
                incomplete=incomplete,
                model_silence=model_silence,
            )
        return function

    return bind


@overload
def on_task(function: Function, /) -> Function: ...
@overload
def on_task(
    *,
    agent_id: str | Sequence[str] | None = None,
    timeout: float | None = None,
    retries: int | RetryPolicy | None = None,
    concurrency: int | None = None,
    incomplete: Incomplete | None = None,
    model_silence: float | None = None,
) -> Callable[[Function], Function]: ...
def on_task(function: Any = None, /, **options: Any) -> Any:
    """Bind a function to new tasks: ``@on(TaskUpdateEventType.TaskCreated)``, with or without options."""
    bind = on(TaskUpdateEventType.TaskCreated, **options)
    return bind if function is None else bind(function)


def on_boot(function: Function) -> Function:
    """Have a function, async or not, called once before the worker claims anything.

    A task that workers died of runs alone in a child process, where the boot and shutdown hooks are called too: what
    they set up is not inherited.
    """
    default.boot_hooks.append(function)
    return function


def on_shutdown(function: Function) -> Function:
    """Have a function, async or not, called once when the worker leaves, before its last write.

    It is called whatever happened before, also where a boot hook or another shutdown hook raised.
    """
    default.shutdown_hooks.append(function)
    return function


def discover(folder: Path) -> list[str]:
    """Import every module of a folder of handlers, in the order of their names.

    Args:
        folder: Usually ``handlers`` in the current directory; its parent goes on ``sys.path``.

    Returns:
        The names of the modules.

    Raises:
        ConfigurationError: The folder is missing, or modules cannot be imported: one line each.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"there is no folder {folder.name!r} here: make one, with a module that uses @on(...)")
    parent = str(folder.resolve().parent)
    if parent not in sys.path:
        sys.path.insert(0, parent)
    names = [f"{folder.name}.{path.stem}" for path in sorted(folder.glob("*.py")) if path.stem != "__init__"]
    problems: list[str] = []
    for name in names:
        try:
            importlib.import_module(name)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a module of the user's may raise anything
            problems.append(f"{_where(error, folder)}: {type(error).__name__}: {error}")
    if problems:
        raise ConfigurationError("\n".join(problems))
    default.folder = folder.resolve()
    return names


def place(function: Callable[..., Any]) -> str:
    """File (as seen from the current directory) and line of a function."""
    code = getattr(inspect.unwrap(_named(function)), "__code__", None)
    if code is None:
        return repr(function)
    path = Path(code.co_filename)
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return f"{shown}:{code.co_firstlineno}"


def _named(function: Callable[..., Any]) -> Any:
    """What gives a callable its name: the function inside a partial one, the class of an object that can be called."""
    while isinstance(function, partial):
        function = function.func
    return function if hasattr(function, "__qualname__") else type(function)


def _is_async(function: Any) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def _where(error: BaseException, folder: Path) -> str:
    traceback, found = error.__traceback__, str(folder)
    while traceback is not None:
        path = Path(traceback.tb_frame.f_code.co_filename)
        if folder.resolve() in path.parents:
            found = f"{folder.name}/{path.name}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    if isinstance(error, SyntaxError) and error.filename:
        found = f"{folder.name}/{Path(error.filename).name}:{error.lineno}"
    return found


def _event_type(value: TaskUpdateEventType | str) -> TaskUpdateEventType:
    if value in BINDABLE:
        return TaskUpdateEventType(value)
    near = get_close_matches(str(value), [str(each) for each in BINDABLE], n=1)
    hint = f"; did you mean {near[0]!r}?" if near else f": one of {', '.join(BINDABLE)}"
    raise ConfigurationError(f"no handler can be bound to {str(value)!r}{hint}")


def _positive(value: Any, name: str) -> Any:
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool) and value > 0):
        return value
    raise ConfigurationError(f"{name} must be a number above 0, not {value!r}")


def _one_of(value: Any, known: Sequence[str], name: str) -> Any:
    if value is None or value in known:
        return value
    raise ConfigurationError(f"{name} must be one of {', '.join(known)}, not {value!r}")


def _whole(value: Any, name: str) -> Any:
    if isinstance(value, float):
        raise ConfigurationError(f"{name} must be a whole number, not {value!r}")
    return _positive(value, name)


def _policy(retries: int | RetryPolicy | None, event_type: TaskUpdateEventType | str) -> RetryPolicy:
    usual = RetryPolicy() if event_type == TaskUpdateEventType.TaskCreated else DELIVERY_RETRIES
    if retries is None:
        return usual
    if isinstance(retries, RetryPolicy):
        _whole(retries.attempts, "retries.attempts")
        _positive(retries.base, "retries.base")
        _positive(retries.cap, "retries.cap")
        return retries
    return replace(usual, attempts=_whole(retries, "retries"))


def _arguments(function: Callable[..., Any]) -> dict[str, str]:
    """Find what fills each parameter: its name, else its annotation."""
    if not callable(function):
        raise ConfigurationError(f"@on decorates a function, not {type(function).__name__}")
    filled: dict[str, str] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        what = name if name in PARAMETERS else _by_annotation(parameter.annotation)
        if what is not None:
            filled[name] = what
        elif parameter.default is parameter.empty:
            near = get_close_matches(name, PARAMETERS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "; a handler can take task, event and context"
            raise ConfigurationError(f"nothing fills the parameter {name!r} of {_named(function).__qualname__}{hint}")
    return filled


def _by_annotation(annotation: Any) -> str | None:
    if isinstance(annotation, str):
        words = re.findall(r"\w+", annotation)
    else:
        options = typing.get_args(annotation) or (annotation,)
        words = [getattr(option, "__name__", "") for option in options]
    return next((_BY_ANNOTATION[word] for word in words if word in _BY_ANNOTATION), None)
