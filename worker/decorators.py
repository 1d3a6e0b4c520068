"""Decorators that add handlers, hooks and tools to the process's registry."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar, Unpack, overload

from worker import registry, scripts
from worker.toolbox import Resume
from worker.words.handler_options import HandlerOptions
from worker.words.statuses import TaskUpdateEventType

Function = TypeVar("Function", bound=Callable[..., Any])


def on(
    event_type: TaskUpdateEventType | str,
    *,
    agent_id: str | Sequence[str] | None = None,
    **options: Unpack[HandlerOptions],
) -> Callable[[Function], Function]:
    """Bind a function, async or not, to an event of an agent's tasks. The function is returned unchanged.

    Problems are reported with file and line when a worker starts, and by ``worker check``.

    Args:
        event_type: ``TaskCreated`` binds the handler that does the task's work; handlers of other events are notified
            of what has happened.
        agent_id: The agent or agents; None means all agents that no other handler names.
        timeout: Time limit of one attempt in seconds; None means no limit.
        retries: Number of tries in all, or a policy; default: 3 for tasks, 10 for other events.
        concurrency: Maximum number of concurrent runs in one worker process; None means the worker's own limit.
        incomplete: What to do with a model's incomplete answer. ``accept`` makes it the result, with the reason in the
            task's ``finish_reason``; ``retry`` makes it an error that is retried; ``error`` makes it an error that is
            not. By default, an answer that was cut (``length``) or filtered is accepted as it is, unless a filter or a
            refusal left no text at all, which is an error.
        required: Whether everything that the agents use must be available. By default, a run continues, with a note,
            without members whose model fails permanently, and without knowledge, memories or hooks that do. ``True``
            ends the task as an error instead.
        model_silence: Seconds without output after which a model call is an error that is retried; default
            ``WORKER_MODEL_SILENCE_SECONDS``.
        answer_within: How long a task waits for a person's answer, as a ``timedelta`` or in seconds; None means without
            limit.
        unanswered: What happens if nobody answers in time: ``reject`` (default) counts as no, and the run continues;
            ``fail`` fails the task.
        conversation: What happens to a task while an earlier one of its conversation is not finished: ``queue``
            (default) runs them one at a time, in order of creation; ``parallel`` runs it immediately; ``reject``
            refuses it (409); ``replace`` stops the earlier one; ``steer`` sends its text to the earlier one as a
            message.
    """

    def bind(function: Function) -> Function:
        agents: Iterable[str | None] = [agent_id] if agent_id is None or isinstance(agent_id, str) else agent_id
        for each in agents:
            registry.default.add(function, event_type, each, **options)
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
    test_task: Any = None,
    **options: Unpack[HandlerOptions],
) -> Callable[[Function], Function]: ...
@overload
def on_task(
    *,
    configuration: Any = None,
    agent_id: str | Sequence[str] | None = None,
    test_task: Any = None,
    **options: Unpack[HandlerOptions],
) -> Callable[[Function], Function]: ...
def on_task(function: Any = None, /, *, configuration: Any = None, test_task: Any = None, **options: Any) -> Any:
    """Bind a function to new tasks, as ``@on(TaskUpdateEventType.TaskCreated)`` does, with or without options.

    A script that binds a function becomes a worker at its end: ``python handler.py``; see ``worker.scripts``.

    Args:
        function: The function, if the decorator is used without options.
        configuration: Ignored; accepted for xpander-sdk. The environment names a worker's platform.
        test_task: A ``LocalTaskTest``: the script runs this one task instead of becoming a worker.
        options: The options of ``on``.
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
    """Register a function, async or not, that is called once before the worker claims anything.

    Suspects run alone in a child process, which calls the boot and shutdown hooks itself: it does not inherit what they
    set up in the worker.

    Args:
        function: The function, which is called without arguments.
        configuration: Ignored; accepted for xpander-sdk.
    """
    del configuration
    return _hook(registry.default.boot_hooks, function)


@overload
def on_shutdown(function: Function, /) -> Function: ...
@overload
def on_shutdown(*, configuration: Any = None) -> Callable[[Function], Function]: ...
def on_shutdown(function: Any = None, /, *, configuration: Any = None) -> Any:
    """Register a function, async or not, that is called once when the worker shuts down, before its last write.

    It is called in any case, even if a boot hook or another shutdown hook has raised.

    Args:
        function: The function, which is called without arguments.
        configuration: Ignored; accepted for xpander-sdk.
    """
    del configuration
    return _hook(registry.default.shutdown_hooks, function)


@overload
def tool(
    function: Function,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    agent_ids: str | Sequence[str] | None = None,
    timeout: float | None = None,
    resume: Resume | None = None,
    add_to_graph: bool | None = False,
) -> Function: ...
@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    agent_ids: str | Sequence[str] | None = None,
    timeout: float | None = None,
    resume: Resume | None = None,
    add_to_graph: bool | None = False,
) -> Callable[[Function], Function]: ...
def tool(
    function: Any = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    agent_ids: str | Sequence[str] | None = None,
    timeout: float | None = None,
    resume: Resume | None = None,
    add_to_graph: bool | None = False,
) -> Any:
    """Make a function, async or not, a tool of agents. The function is returned unchanged.

    Its name, description and parameters are read from its signature and docstring, as Agno does. ``agent.tools`` passes
    the tool to Agno, ``await tool.ainvoke(agent_id, payload)`` calls it. To register a method, pass it with its object:
    ``register_tool(shop.order)``. Problems are reported with file and line when a worker starts, and by ``worker
    check``.

    Args:
        function: The function, if the decorator is used without parentheses.
        name: The tool's name; default: the function's name.
        description: The description for models; default: the function's docstring.
        agent_ids: The agents that have the tool; default: all agents.
        timeout: Time limit of a call in seconds; default: 120, for calls with ``ainvoke``.
        resume: How a later attempt treats completed calls; see ``declare_tool``.
        add_to_graph: Ignored; accepted for xpander-sdk.
    """
    del add_to_graph

    def put(function: Function) -> Function:
        registry.default.tools.add(
            function, name=name, description=description, agent_ids=agent_ids, timeout=timeout, resume=resume
        )
        return function

    return put if function is None else put(function)


register_tool = tool


@overload
def on_tool_before(function: Function, /) -> Function: ...
@overload
def on_tool_before(*, configuration: Any = None) -> Callable[[Function], Function]: ...
def on_tool_before(function: Any = None, /, *, configuration: Any = None) -> Any:
    """Register a function, async or not, that is called before each tool call.

    Its arguments are ``(tool, payload, payload_extension, tool_call_id, agent_version)``. Its exceptions are logged,
    and do not affect the call.

    Args:
        function: The function.
        configuration: Ignored; accepted for xpander-sdk.
    """
    del configuration
    return _hook(registry.default.tools.hooks.before, function)


@overload
def on_tool_after(function: Function, /) -> Function: ...
@overload
def on_tool_after(*, configuration: Any = None) -> Callable[[Function], Function]: ...
def on_tool_after(function: Any = None, /, *, configuration: Any = None) -> Any:
    """Register a function that is called after each successful tool call.

    Its arguments are those of ``on_tool_before``, followed by the result.

    Args:
        function: The function.
        configuration: Ignored; accepted for xpander-sdk.
    """
    del configuration
    return _hook(registry.default.tools.hooks.after, function)


@overload
def on_tool_error(function: Function, /) -> Function: ...
@overload
def on_tool_error(*, configuration: Any = None) -> Callable[[Function], Function]: ...
def on_tool_error(function: Any = None, /, *, configuration: Any = None) -> Any:
    """Register a function that is called after each failed tool call.

    Its arguments are those of ``on_tool_before``, followed by the error.

    Args:
        function: The function.
        configuration: Ignored; accepted for xpander-sdk.
    """
    del configuration
    return _hook(registry.default.tools.hooks.error, function)


def _hook(hooks: list[Callable[..., Any]], function: Any) -> Any:
    def put(function: Function) -> Function:
        hooks.append(function)
        return function

    return put if function is None else put(function)
