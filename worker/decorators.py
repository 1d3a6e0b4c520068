"""Decorators for tools: they write into the toolbox of the process's own registry."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, overload

from worker import registry
from worker.toolbox import Resume

Function = TypeVar("Function", bound=Callable[..., Any])


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
