"""Decorators for handlers, hooks and tools: they write into the process's own registry."""

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
    """Bind a function, sync or async, to an event of an agent's tasks, and return it unchanged.

    Problems are reported when a worker starts, and by ``worker check``, with file and line.

    Args:
        event_type: ``TaskCreated`` for the function that does the task; any other event for a listener.
        agent_id: The agent or agents; None for every agent that no other handler names.
        options: Any of:

            * ``timeout``: Seconds that one attempt may take. Default: no limit.
            * ``retries``: The number of tries, or a ``RetryPolicy``. Default: three, and ten for a listener.
            * ``concurrency``: The most runs at a time in one worker process. Default: the worker's own limit.
            * ``incomplete``: What to do with an incomplete model answer. ``accept`` makes it the result, and
              ``task.finish_reason`` says why it ended; ``retry`` makes it an error and tries again; ``error`` makes it
              an error that ends the task. By default an answer that was cut off (``length``) or filtered is accepted;
              one that a filter or a refusal left without any text is an error.
            * ``required``: Whether every part of its agents must work. By default a run continues, with a note,
              without a member whose model fails permanently, and without knowledge, memories or hooks that fail; with
              ``True`` such a failure ends the task as an error.
            * ``model_silence``: Seconds for which a model may send nothing before the attempt fails and is retried.
              Default: ``WORKER_MODEL_SILENCE_SECONDS``.
            * ``answer_within``: How long a task waits for a person's answer, as a ``timedelta`` or in seconds. Default:
              no limit.
            * ``unanswered``: What happens then. ``reject`` (default) continues the run with "no" as the answer;
              ``fail`` fails the task.
            * ``conversation``: What happens to a task while an earlier one of its conversation is unfinished.
              ``queue`` (default) runs them one at a time in the order of creation; ``parallel`` runs them at the same
              time; ``reject`` refuses the new one (409); ``replace`` stops the earlier one; ``steer`` sends the new
              one's text to the earlier one.

    Raises:
        TypeError: There is no such option.
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
    return _hook(registry.default.boot_hooks, function)


@overload
def on_shutdown(function: Function, /) -> Function: ...
@overload
def on_shutdown(*, configuration: Any = None) -> Callable[[Function], Function]: ...
def on_shutdown(function: Any = None, /, *, configuration: Any = None) -> Any:
    """Have a function, async or not, called once when the worker leaves, before its last write.

    It is called whatever happened before, also where a boot hook or another shutdown hook raised.
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
    """Make a function, async or not, a tool of agents; it is returned unchanged.

    Name, description and parameters come from its signature and docstring, as Agno reads them: ``agent.tools`` gives
    it to Agno, ``await tool.ainvoke(agent_id, payload)`` calls it. A method is given with its object:
    ``register_tool(shop.order)``.

    Args:
        function: The function, where the decorator is used without parentheses.
        name: What to call it; default: the function's own name.
        description: What models are told of it; default: its docstring.
        agent_ids: Whose tool it is; default: every agent's.
        timeout: Seconds that a call may take; default 120 where it is called by ``ainvoke``.
        resume: How completed calls are resumed by a later attempt; see ``declare_tool``.
        add_to_graph: Taken, and without meaning: agents here are no graphs.

    Problems are reported when a worker starts, and by ``worker check``, with file and line.
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
    """Have a function, async or not, called before each call of a tool.

    It gets ``(tool, payload, payload_extension, tool_call_id, agent_version)``. What it raises is logged, and the tool
    is called all the same. ``configuration`` is taken, and without meaning.
    """
    del configuration
    return _hook(registry.default.tools.hooks.before, function)


@overload
def on_tool_after(function: Function, /) -> Function: ...
@overload
def on_tool_after(*, configuration: Any = None) -> Callable[[Function], Function]: ...
def on_tool_after(function: Any = None, /, *, configuration: Any = None) -> Any:
    """Have a function called after each call of a tool that answered; as ``on_tool_before``, and last the result."""
    del configuration
    return _hook(registry.default.tools.hooks.after, function)


@overload
def on_tool_error(function: Function, /) -> Function: ...
@overload
def on_tool_error(*, configuration: Any = None) -> Callable[[Function], Function]: ...
def on_tool_error(function: Any = None, /, *, configuration: Any = None) -> Any:
    """Have a function called after each call of a tool that failed; as ``on_tool_before``, and last the error."""
    del configuration
    return _hook(registry.default.tools.hooks.error, function)


def _hook(hooks: list[Callable[..., Any]], function: Any) -> Any:
    def put(function: Function) -> Function:
        hooks.append(function)
        return function

    return put if function is None else put(function)
