"""Decorators for handlers, hooks and tools: they write into the process's own registry."""

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any, TypeVar, overload

from worker import registry, scripts
from worker.registry import Incomplete
from worker.toolbox import Resume
from worker.words.conversations import Mode
from worker.words.requests import Unanswered
from worker.words.retry import RetryPolicy
from worker.words.statuses import TaskUpdateEventType

Function = TypeVar("Function", bound=Callable[..., Any])


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
            registry.default.add(
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
