"""Which handler serves which event of which agent's tasks.

from worker import Task, TaskUpdateEventType, on

@on(TaskUpdateEventType.TaskCreated, agent_id="analyst")
async def analyse(task: Task) -> Task: ...
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, overload

from worker import scripts
from worker.signatures import Filling, filling_of, is_async, is_generator, name_of, place, takes_nothing
from worker.toolbox import Toolbox
from worker.words.conversations import MODES, Mode
from worker.words.errors import ConfigurationError, ValidationError
from worker.words.ids import check_id
from worker.words.requests import Unanswered
from worker.words.retry import DELIVERY_RETRIES, RetryPolicy
from worker.words.statuses import BINDABLE, TaskUpdateEventType

Function = TypeVar("Function", bound=Callable[..., Any])

Incomplete = Literal["accept", "retry", "error"]
INCOMPLETE: tuple[Incomplete, ...] = get_args(Incomplete)
UNANSWERED: tuple[Unanswered, ...] = get_args(Unanswered)


@dataclass(frozen=True, eq=False)
class Handler:
    """A function bound to an event.

    Args:
        needs: Of a listener: the setting that a task must have for its events to be wanted.
        filling: How it is called with the task, the event and the context.
        timeout: Seconds that one attempt may take; None means no limit.
        concurrency: Runs at once in one worker process; None means the worker's own limit.
        incomplete: What becomes of an answer that is not whole; None means see ``on``.
        required: Whether all that its agents use must be there; see ``on``.
        model_silence: Seconds for which a model may say nothing; None means ``WORKER_MODEL_SILENCE_SECONDS``.
        answer_within: Seconds in which a person must answer what a task asks; None means it waits for ever.
        unanswered: What becomes of the task otherwise; see ``on``.
        conversation: What becomes of a second task of a conversation; see ``on``.
    """

    function: Callable[..., Any]
    event_type: TaskUpdateEventType
    agent_id: str | None
    filling: Filling
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
        """Module and qualified name: what subscriptions and log lines call it."""
        return name_of(self.function)

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
        return is_async(self.function)


class Registry:
    """Handlers and hooks; ``on`` and its siblings write into the process's own, ``default``."""

    def __init__(self) -> None:
        self.handlers: list[Handler] = []
        self.boot_hooks: list[Callable[..., Any]] = []
        self.shutdown_hooks: list[Callable[..., Any]] = []
        self.problems: list[str] = []
        self.tools = Toolbox()
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
        required: bool = False,
        model_silence: float | None = None,
        answer_within: timedelta | float | None = None,
        unanswered: Unanswered | None = None,
        conversation: Mode | None = None,
    ) -> None:
        """Bind a function; what does not fit is kept as a problem, so that a start can name all of them at once."""
        try:
            self.handlers.append(
                Handler(
                    function=function,
                    event_type=_event_type(event_type),
                    agent_id=None if agent_id is None else check_id(agent_id, "agent_id"),
                    filling=filling_of(function),
                    timeout=_positive(timeout, "timeout"),
                    retries=_policy(retries, event_type),
                    concurrency=_whole(concurrency, "concurrency"),
                    needs=needs,
                    incomplete=_one_of(incomplete, INCOMPLETE, "incomplete"),
                    required=_yes_or_no(required, "required"),
                    model_silence=_positive(model_silence, "model_silence"),
                    answer_within=_positive(_seconds(answer_within), "answer_within"),
                    unanswered=_one_of(unanswered, UNANSWERED, "unanswered"),
                    conversation=_one_of(conversation, MODES, "conversation"),
                )
            )
        except (ValidationError, ConfigurationError) as error:
            self.problems.append(f"{place(function)}: {error.description}")

    def check(self) -> None:
        """See whether a worker could start with what is registered; a script that asks starts none by itself.

        Raises:
            ConfigurationError: It could not; the description has one line a problem, with file and line.
        """
        scripts.leave()
        problems = [*self.problems, *self._twice(), *self._unfit_hooks(), *self.tools.check()]
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
            if other is not handler and other.function is not handler.function:
                yield (
                    f"{handler.place}: two handlers of {handler.event_type} are called {handler.name}; the other is at"
                    f" {other.place}; a decorator keeps the names of functions with functools.wraps"
                )
            elif other is not handler:
                yield f"{handler.place}: {handler.name} is bound twice to {handler.event_type}; see {other.place}"

    def _unfit_hooks(self) -> Iterator[str]:
        for hook in (*self.boot_hooks, *self.shutdown_hooks):
            if not takes_nothing(hook):
                yield f"{place(hook)}: a hook is called without arguments, and {name_of(hook)} takes some"
            elif is_generator(hook):
                yield f"{place(hook)}: {name_of(hook)} is a generator: a hook is a function, or a coroutine function"

    def tasks(self) -> list[Handler]:
        """The handlers that do the work of tasks."""
        return [handler for handler in self.handlers if handler.event_type is TaskUpdateEventType.TaskCreated]

    def listeners(self) -> list[Handler]:
        """The handlers of other events."""
        return [handler for handler in self.handlers if handler.event_type is not TaskUpdateEventType.TaskCreated]

    def handler_for(self, agent_id: str) -> Handler | None:
        """The handler of an agent's tasks: the one that names it, else the one for any agent."""
        by_agent = {handler.agent_id: handler for handler in self.tasks()}
        return by_agent.get(agent_id) or by_agent.get(None)


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
    required: bool = False,
    model_silence: float | None = None,
    answer_within: timedelta | float | None = None,
    unanswered: Unanswered | None = None,
    conversation: Mode | None = None,
) -> Callable[[Function], Function]: ...
def on(
    event_type: TaskUpdateEventType | str,
    *,
    agent_id: str | Sequence[str] | None = None,
    timeout: float | None = None,
    retries: int | RetryPolicy | None = None,
    concurrency: int | None = None,
    incomplete: Incomplete | None = None,
    required: bool = False,
    model_silence: float | None = None,
    answer_within: timedelta | float | None = None,
    unanswered: Unanswered | None = None,
    conversation: Mode | None = None,
) -> Callable[[Function], Function]:
    """Bind a function, async or not, to an event of an agent's tasks; it is returned unchanged.

    Args:
        event_type: ``TaskCreated`` is the work itself; the others hear of what happened.
        agent_id: The agent or agents; None means any that no other handler names.
        timeout: Seconds that one attempt may take.
        retries: Tries in all, or a whole policy; default three, and ten for what hears of events.
        concurrency: Runs at once in one worker process.
        incomplete: What becomes of a model's answer that is not whole: ``accept``: it is the result, and the task's
            ``finish_reason`` says why it ended; ``retry``: it is an error, and another try is made; ``error``: it is
            one, without another try. By default an answer that was cut (``length``) or filtered is accepted as far as
            it goes; where a filter or a refusal left no text at all, that is an error.
        required: Whether all that its agents use must be there. By default a run goes on, with a note, without a
            member whose model fails for good, and without knowledge, memories or hooks of its agents that do; with
            ``True`` that ends the task as an error.
        model_silence: Seconds for which a model may say nothing before that is an error, and another try is made;
            default ``WORKER_MODEL_SILENCE_SECONDS``.
        answer_within: How long a task waits for a person's answer (a ``timedelta``, or seconds); default: for ever.
        unanswered: What becomes of it then: ``reject`` (default): the answer is no, and the run goes on with that;
            ``fail``: the task fails.
        conversation: What becomes of a task while an earlier one of its conversation is not finished: ``queue``
            (default): they are done one at a time, in order of creation; ``parallel``: each at once; ``reject``: it is
            refused (409); ``replace``: the earlier one is stopped; ``steer``: its text is sent to the earlier one.

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
                required=required,
                model_silence=model_silence,
                answer_within=answer_within,
                unanswered=unanswered,
                conversation=conversation,
            )
        return function

    return bind


@overload
def on_task(function: Function, /) -> Function: ...
@overload
def on_task(
    configuration: Any = None,
    /,
    *,
    agent_id: str | Sequence[str] | None = None,
    timeout: float | None = None,
    retries: int | RetryPolicy | None = None,
    concurrency: int | None = None,
    incomplete: Incomplete | None = None,
    required: bool = False,
    model_silence: float | None = None,
    answer_within: timedelta | float | None = None,
    unanswered: Unanswered | None = None,
    conversation: Mode | None = None,
    test_task: Any = None,
) -> Callable[[Function], Function]: ...
@overload
def on_task(
    *,
    configuration: Any = None,
    agent_id: str | Sequence[str] | None = None,
    timeout: float | None = None,
    retries: int | RetryPolicy | None = None,
    concurrency: int | None = None,
    incomplete: Incomplete | None = None,
    required: bool = False,
    model_silence: float | None = None,
    answer_within: timedelta | float | None = None,
    unanswered: Unanswered | None = None,
    conversation: Mode | None = None,
    test_task: Any = None,
) -> Callable[[Function], Function]: ...
def on_task(function: Any = None, /, *, configuration: Any = None, test_task: Any = None, **options: Any) -> Any:
    """Bind a function to new tasks: ``@on(TaskUpdateEventType.TaskCreated)``, with or without options.

    A script that binds one becomes a worker at its end: ``python handler.py``; see ``worker.scripts``.

    Args:
        function: The function, where the decorator is used without options.
        configuration: Taken, and without meaning: where a worker works is said by its environment.
        test_task: A ``LocalTaskTest``: the script does this one task instead of becoming a worker.
        options: Those of ``on``.
    """
    del configuration
    binding = on(TaskUpdateEventType.TaskCreated, **options)

    def bind(function: Function) -> Function:
        scripts.note(function, test_task)
        return binding(function)

    return bind(function) if callable(function) else bind


@overload
def on_boot(function: Function, /) -> Function: ...
@overload
def on_boot(*, configuration: Any = None) -> Callable[[Function], Function]: ...
def on_boot(function: Any = None, /, *, configuration: Any = None) -> Any:
    """Have a function, async or not, called once before the worker claims anything.

    A task that workers died of runs alone in a child process, where the boot and shutdown hooks are called too: what
    they set up is not inherited. ``configuration`` is taken, and without meaning.
    """
    del configuration
    return _hook(default.boot_hooks, function)


@overload
def on_shutdown(function: Function, /) -> Function: ...
@overload
def on_shutdown(*, configuration: Any = None) -> Callable[[Function], Function]: ...
def on_shutdown(function: Any = None, /, *, configuration: Any = None) -> Any:
    """Have a function, async or not, called once when the worker leaves, before its last write.

    It is called whatever happened before, also where a boot hook or another shutdown hook raised.
    """
    del configuration
    return _hook(default.shutdown_hooks, function)


def _hook(hooks: list[Callable[..., Any]], function: Any) -> Any:
    def put(function: Function) -> Function:
        hooks.append(function)
        return function

    return put if function is None else put(function)


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


def _seconds(value: Any) -> Any:
    return value.total_seconds() if isinstance(value, timedelta) else value


def _one_of(value: Any, known: Sequence[str], name: str) -> Any:
    if value is None or value in known:
        return value
    raise ConfigurationError(f"{name} must be one of {', '.join(known)}, not {value!r}")


def _yes_or_no(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return value
    raise ConfigurationError(f"{name} must be True or False, not {value!r}")


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
