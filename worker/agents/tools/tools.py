"""How tools resume: whether a completed call is answered from the journal, or repeated for its side effects.

For most tools, the result in the journal is enough. A tool that keeps state in the process, such as Python variables or
an open page, has lost that state in the next attempt. Such a tool can be declared as redone.
"""

import inspect
from collections.abc import Sized
from dataclasses import dataclass, fields, replace
from functools import cache
from math import inf
from typing import Any, Literal

from worker.words.errors import ValidationError
from worker.words.events import NewEvent, note_event

Resume = Literal["journal", "redo"]

REDONE_BY_AGNO = frozenset(
    {
        "add_task_note",
        "create_task",
        "delegate_task_to_member",
        "delegate_task_to_members",
        "execute_task",
        "execute_tasks_parallel",
        "list_tasks",
        "mark_all_complete",
        "run_workflow",
        "update_task_status",
    }
)
"""Tools that Agno gives to leaders of teams and workflows: they run other agents, whose calls are in the journal, or
keep a task list in the process."""

AGNO_MODULES = ("agno.team.", "agno.workflow.")

STATEFUL_TOOLKITS = frozenset(
    {
        "BrowserbaseTools",
        "CodeMode",
        "DaytonaTools",
        "DuckDbTools",
        "E2BTools",
        "MCPTools",
        "MultiMCPTools",
        "PandasTools",
        "PythonTools",
        "SuperserveTools",
        "Workspace",
    }
)
"""Agno's toolkits that keep state in the process or in a session that the process has opened (agno/tools/*.py)."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """The declared properties of a tool.

    Args:
        resume: How completed calls are resumed; None for the default.
        calls: How often one run of an agent may call the tool; None for no limit of its own.
        seconds: How long a call may take; None for no limit of its own.
    """

    resume: Resume | None = None
    calls: int | None = None
    seconds: float | None = None


NOTHING = Declaration()
"""The declaration of most tools."""

_declared: dict[Any, Declaration] = {}
_kept: list[Any] = []  # declared objects, so that no other object takes their id


def declare_tool(
    tool: Any, *, resume: Resume | None = None, calls: int | None = None, seconds: float | None = None
) -> None:
    """Declare how a later attempt resumes a tool's completed calls, and the limits of its calls.

    The declaration of a toolkit applies to each of its tools. A second declaration of a tool keeps the properties that
    it leaves out.

    Args:
        tool: A function, a method, an Agno ``Function``, a toolkit, a class of toolkits, or the name of a tool or
            toolkit.
        resume: ``journal`` (the default): the call is answered with its stored result. ``redo``: the call is made
            again, for the state that it leaves in the process; if the result differs, later calls are made again too.
        calls: How often one run of an agent may call the tool. Further calls are not made, and the model is informed.
        seconds: How long a call may take. A call that exceeds the limit is ended with an error for the model; sync code
            in a thread cannot be ended, so it continues and its result is ignored.

    Raises:
        ValidationError: ``resume`` is neither, ``calls`` or ``seconds`` is not above 0, or nothing is declared.
    """
    if resume not in ("journal", "redo", None):
        raise ValidationError(f"resume must be 'journal' or 'redo', not {resume!r}", field="resume")
    if calls is not None and (not isinstance(calls, int) or isinstance(calls, bool) or calls < 1):
        raise ValidationError(f"calls must be a whole number above 0, not {calls!r}", field="calls")
    if seconds is not None and not _is_duration(seconds):
        raise ValidationError(f"seconds must be a number above 0, not {seconds!r}", field="seconds")
    said = {name: value for name, value in (("resume", resume), ("calls", calls), ("seconds", seconds)) if value}
    if not said:
        raise ValidationError("declare_tool requires resume, calls or seconds")
    _kept.append(tool)
    key = _key(tool)
    _declared[key] = replace(_declared.get(key, Declaration()), **said)


def is_redone(function: Any) -> bool:
    """Return whether a later attempt repeats the completed calls of a tool.

    Args:
        function: Agno's ``Function``.
    """
    return _is_agnos(function) or declared(function).resume == "redo"


def declared(function: Any) -> Declaration:
    """Return a tool's declaration, merged from its own, its toolkit's and its toolkit's classes', nearest first.

    Args:
        function: Agno's ``Function``.
    """
    found = [_declared[key] for key in _keys(function) if key in _declared] if _declared else []
    if len(found) <= 1:
        return found[0] if found else NOTHING
    values = {each.name: [getattr(one, each.name) for one in found] for each in fields(Declaration)}
    return Declaration(
        **{name: next((one for one in given if one is not None), None) for name, given in values.items()}
    )


def _is_duration(seconds: Any) -> bool:
    return isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 < seconds < inf


def runs_others(function: Any) -> bool:
    """Return whether a tool delegates to a team's members or a workflow, which emit events of their own."""
    return _is_agnos(function) and function.name.startswith(("delegate_", "execute_task", "run_workflow"))


def toolkit_of(function: Any) -> Any:
    """Return the toolkit that a tool belongs to, or the object whose method it is; None if there is neither."""
    return function.source_toolkit or getattr(_entrypoint(function), "__self__", None)


def shape_of(function: Any) -> dict[str, Any] | None:
    """Return a snapshot of a toolkit's attributes, to detect whether a call changes them.

    Returns:
        Each attribute's identity and length. None if the tool does not belong to a toolkit of the user's, or if how it
        resumes is declared. Most of Agno's toolkits open connections when they are first called, and keep locks.
    """
    toolkit = toolkit_of(function)
    if toolkit is None or not isinstance(toolkit, _toolkit()) or _is_declared(function):
        return None
    if type(toolkit).__module__.startswith("agno."):
        return None
    return {name: (id(each), len(each) if isinstance(each, Sized) else 0) for name, each in vars(toolkit).items()}


def has_state(function: Any) -> bool:
    """Return whether a tool belongs to one of Agno's toolkits that keep state in the process."""
    return type(toolkit_of(function)).__name__ in STATEFUL_TOOLKITS and not _is_declared(function)


def name_of_toolkit(function: Any) -> str:
    """Return the name of a tool's toolkit for use in a note."""
    return type(toolkit_of(function)).__name__


def lost_state(toolkit: str) -> NewEvent:
    """Return the note that a toolkit may lack state that its earlier calls left in the process."""
    text = (
        f"{toolkit} may keep state in the process. Its earlier calls were answered from the journal, so that"
        " state is now missing. If it is needed, use declare_tool(…, resume='redo')."
    )
    return note_event(text, "journal")


@cache
def _toolkit() -> type:
    from agno.tools import Toolkit

    return Toolkit


def _is_declared(function: Any) -> bool:
    return declared(function).resume is not None


def _is_agnos(function: Any) -> bool:
    return function.name in REDONE_BY_AGNO and _module(function).startswith(AGNO_MODULES)


def _module(function: Any) -> str:
    return getattr(_entrypoint(function), "__module__", None) or ""


def _entrypoint(function: Any) -> Any:
    return inspect.unwrap(function.entrypoint) if function.entrypoint is not None else None


def _keys(function: Any) -> list[Any]:
    """Return every key under which a tool may be declared: the function, its toolkit, the toolkit's classes, names."""
    entrypoint, toolkit = _entrypoint(function), toolkit_of(function)
    classes = type(toolkit).__mro__ if toolkit is not None else ()
    names = [function.name, getattr(toolkit, "name", None)]
    return [*names, _key(entrypoint), _key(toolkit), *map(_key, classes)]


def _key(tool: Any) -> Any:
    """Return the key of a declared tool: a name or class itself, otherwise the id of its function or object."""
    if tool is None or isinstance(tool, str | type):
        return tool
    function = inspect.unwrap(tool.entrypoint) if getattr(tool, "entrypoint", None) is not None else tool
    return id(getattr(function, "__func__", function))
