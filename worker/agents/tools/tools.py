"""How tools resume: whether a completed call is answered from the journal, or made again for what it left behind.

A result in the journal is enough for most tools. One that keeps state in the process, such as Python variables or an
open page, has none of it in the next attempt. Such a tool may be declared to be redone.
"""

import inspect
from collections.abc import Sized
from dataclasses import dataclass, fields, replace
from functools import cache
from math import inf
from typing import Any, Literal

from worker.words.errors import ValidationError
from worker.words.events import NewEvent
from worker.words.statuses import TaskUpdateEventType

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
"""Tools that Agno gives leaders of teams and workflows: they run others, whose calls are in the journal, or keep a task
list in the process."""

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
    }
)
"""Agno's toolkits that keep state in the process, or in a session that the process has opened (agno/tools/*.py)."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """What was said of a tool.

    Args:
        resume: How its completed calls are resumed; None: as others'.
        calls: How often one run of an agent may call it; None: no limit of its own.
        seconds: How long a call may take; None: no limit of its own.
    """

    resume: Resume | None = None
    calls: int | None = None
    seconds: float | None = None


NOTHING = Declaration()
"""Said of most tools."""

_declared: dict[Any, Declaration] = {}
_kept: list[Any] = []  # what was declared, so that nothing else takes its id


def declare_tool(
    tool: Any, *, resume: Resume | None = None, calls: int | None = None, seconds: float | None = None
) -> None:
    """Say how a tool's completed calls are resumed by a later attempt, and how far its calls may go.

    Of a toolkit it is said of each of its tools. What a second declaration of the same tool leaves out stays.

    Args:
        tool: A function, a method, an Agno ``Function``, a toolkit, a class of toolkits, or the name of a tool or
            toolkit.
        resume: ``journal`` (the default): the call is answered with its result. ``redo``: the call is made again, for
            the state that it leaves in the process; its result may differ, and then what followed is done again too.
        calls: How often one run of an agent may call the tool. A call beyond that is not made, and the model is told.
        seconds: How long a call may take. Then it is ended, which is an error for the model to read; plain code in a
            thread cannot be ended, and goes on unheeded.

    Raises:
        ValidationError: ``resume`` is neither, ``calls`` or ``seconds`` is not above 0, or nothing is said.
    """
    if resume not in ("journal", "redo", None):
        raise ValidationError(f"resume must be 'journal' or 'redo', not {resume!r}", field="resume")
    if calls is not None and (not isinstance(calls, int) or isinstance(calls, bool) or calls < 1):
        raise ValidationError(f"calls must be a whole number above 0, not {calls!r}", field="calls")
    if seconds is not None and not _is_duration(seconds):
        raise ValidationError(f"seconds must be a number above 0, not {seconds!r}", field="seconds")
    said = {name: value for name, value in (("resume", resume), ("calls", calls), ("seconds", seconds)) if value}
    if not said:
        raise ValidationError("declare_tool needs resume, calls or seconds")
    _kept.append(tool)
    key = _key(tool)
    _declared[key] = replace(_declared.get(key, Declaration()), **said)


def is_redone(function: Any) -> bool:
    """Whether a later attempt makes completed calls of a tool again.

    Args:
        function: Agno's ``Function``.
    """
    return _is_agnos(function) or declared(function).resume == "redo"


def declared(function: Any) -> Declaration:
    """What was said of a tool: of itself, its toolkit, or a class of that, the nearest first.

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
    """Whether a tool hands work to a team's members or to a workflow, which is told in events of its own."""
    return _is_agnos(function) and function.name.startswith(("delegate_", "execute_task", "run_workflow"))


def toolkit_of(function: Any) -> Any:
    """The toolkit that a tool belongs to, or the object whose method it is; None if there is none."""
    return function.source_toolkit or getattr(_entrypoint(function), "__self__", None)


def shape_of(function: Any) -> dict[str, Any] | None:
    """How the attributes of a toolkit stand, to see whether a call changes them.

    Returns:
        Each attribute's identity and length. None if the tool does not belong to a toolkit of the user's, or if how it
        resumes is declared.
    """
    toolkit = toolkit_of(function)
    if toolkit is None or not isinstance(toolkit, _toolkit()) or _is_declared(function):
        return None
    return {name: (id(each), len(each) if isinstance(each, Sized) else 0) for name, each in vars(toolkit).items()}


def has_state(function: Any) -> bool:
    """Whether a tool belongs to a toolkit of Agno's that keeps state in the process."""
    return type(toolkit_of(function)).__name__ in STATEFUL_TOOLKITS and not _is_declared(function)


def name_of_toolkit(function: Any) -> str:
    """What a tool's toolkit is called in a note."""
    return type(toolkit_of(function)).__name__


def lost_state(toolkit: str) -> NewEvent:
    """The event that says that a toolkit may miss what its earlier calls left in the process."""
    text = (
        f"{toolkit} may keep state in the process. Its earlier calls were answered from the journal, so that state is"
        " missing now. If it matters, declare it: declare_tool(…, resume='redo')."
    )
    return NewEvent(type=TaskUpdateEventType.Note, data={"text": text, "kind": "journal"})


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
    """All that a declaration may have named: the function, its toolkit, the toolkit's classes, the names."""
    entrypoint, toolkit = _entrypoint(function), toolkit_of(function)
    classes = type(toolkit).__mro__ if toolkit is not None else ()
    names = [function.name, getattr(toolkit, "name", None)]
    return [*names, _key(entrypoint), _key(toolkit), *map(_key, classes)]


def _key(tool: Any) -> Any:
    """By what a declared tool is known again: a name by itself, a method by its function, others by themselves."""
    if tool is None or isinstance(tool, str | type):
        return tool
    function = inspect.unwrap(tool.entrypoint) if getattr(tool, "entrypoint", None) is not None else tool
    return id(getattr(function, "__func__", function))
