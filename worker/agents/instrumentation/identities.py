"""The properties that identify Agno's runs and steps: user-given names, configurations, inputs."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import CellType
from typing import Any
from weakref import WeakKeyDictionary

from pydantic_core import to_jsonable_python

from worker.agents.instrumentation.stable_ids import is_generated
from worker.agents.runs.conversation import Contents, digest_of_medium
from worker.words.digests import digest

PROMPTS = ("description", "instructions", "system_message", "expected_output", "additional_context", "role")
"""Settings that define the work of an agent or team."""

SITUATION = ("session_state", "dependencies", "additional_input", "knowledge_filters")
"""Settings that define for whom and with which data the work is done."""

PARTS = ("members", "agent", "team", "workflow", "steps", "else_steps", "choices")
"""Settings whose values are agents, teams, workflows, steps or functions, or lists of these."""

FUNCTIONS = ("executor", "evaluator", "selector", "end_condition")
"""Settings of steps whose values are functions."""

MEDIA = ("images", "files", "audio", "videos")

_forms: "WeakKeyDictionary[type, str]" = WeakKeyDictionary()  # digests of output schemas by class


def name_of(owner: Any) -> str | None:
    """Return the user's name for an agent, team, workflow or step: its name, else its id; None if Agno generated it."""
    name = getattr(owner, "name", None)
    if name:
        return str(name)
    own_id = getattr(owner, "id", None)
    return None if own_id is None or is_generated(owner) else str(own_id)


def config_of(owner: Any) -> Callable[[], str]:
    """Capture the current configuration of an agent, team, workflow or step, including its members and steps.

    Models are left out: Agno sets one on agents that name none, so that such an agent has a model only later.

    Returns:
        A function that computes a digest of the configuration.
    """
    outline = _outline(owner, SITUATION)
    return lambda: digest(outline.as_json())


def character_of(owner: Any) -> Callable[[], str]:
    """Capture the configuration without the situation, from which an agent with neither name nor id gets an id."""
    outline = _outline(owner, ())
    return lambda: digest(outline.as_json())


def model_of(owner: Any) -> str:
    """Return the name of the model that an agent or team names; empty if it names none."""
    model = getattr(owner, "model", None)
    return str(getattr(model, "id", None) or model or "")


def input_of(
    given: Any, arguments: dict[str, Any], contents: Contents, *, is_made_by_user_code: bool = True
) -> Callable[[], str]:
    """Capture the input of a run.

    Args:
        given: The run's input.
        arguments: The other arguments of the call.
        contents: Digests of attachments that are already known.
        is_made_by_user_code: Whether the user's code makes the run. Where Agno makes it, the situation is the
            enclosing run's.

    Returns:
        A function that computes a digest of the input.
    """
    media = [each for name in MEDIA for each in arguments.get(name) or ()]
    situation = [arguments.get(name) for name in SITUATION] if is_made_by_user_code else []
    return partial(_input_digest, given, media, situation, contents)


@dataclass(frozen=True, slots=True)
class _Outline:
    """A snapshot of a configuration, which is converted to JSON on demand."""

    kind: str
    name: str | None
    settings: list[Any]
    tools: Any
    form: Any
    parts: "list[_Outline]"

    def as_json(self) -> list[Any]:
        settings = [_setting(each) for each in self.settings]
        return [
            self.kind,
            self.name,
            settings,
            _tools(self.tools),
            _form(self.form),
            [each.as_json() for each in self.parts],
        ]


def _outline(owner: Any, situation: tuple[str, ...], name: str | None = None) -> _Outline:
    if inspect.isroutine(owner) or isinstance(owner, partial):
        return _Outline("function", name, [owner], None, None, [])
    executor = getattr(owner, "active_executor", None)
    if executor is not None:  # Agno also wraps each agent or function of a workflow in such a step
        return _outline(executor, situation, name)
    values = [_as_it_stands(getattr(owner, each, None)) for each in PROMPTS + FUNCTIONS]
    values += [_setting(getattr(owner, each, None)) for each in situation]  # captured now: often changed in place
    tools, form = _as_it_stands(getattr(owner, "tools", None)), getattr(owner, "output_schema", None)
    parts = [part for each in PARTS for part in _parts(getattr(owner, each, None), situation)]
    return _Outline(type(owner).__name__, name, values, tools, form, parts)


def _parts(value: Any, situation: tuple[str, ...]) -> "list[_Outline]":
    if value is None:
        return []
    if isinstance(value, list | tuple):
        return [_outline(each, situation, _part_name(each, number)) for number, each in enumerate(value)]
    return [_outline(value, situation, name_of(value))]


def _part_name(part: Any, number: int) -> str:
    name = name_of(part) or getattr(part, "__name__", None)
    return str(name or f"step_{number + 1}")


def _setting(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _setting(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_setting(each) for each in value]
    return _code(value) if callable(value) else _as_json(value)


def _input_digest(given: Any, media: list[Any], situation: list[Any], contents: Contents) -> str:
    said = [_as_json(given), [digest_of_medium(each, contents) for each in media]]
    return digest([*said, *([_setting(situation)] if any(each is not None for each in situation) else [])])


def _as_json(given: Any) -> Any:
    """Convert a value to JSON: a message without its generated fields, other objects by their class."""
    if isinstance(given, list | tuple):
        return [_as_json(each) for each in given]
    if hasattr(given, "role") and hasattr(given, "content"):
        return [given.role, _as_json(given.content)]
    if given is None or isinstance(given, str | bool | int):
        return given
    try:
        return to_jsonable_python(given, inf_nan_mode="null", fallback=lambda each: type(each).__qualname__)
    except Exception:  # noqa: BLE001 - users' objects may raise anything
        return type(given).__qualname__


def _tools(tools: Any) -> Any:
    return sorted(map(_tool, tools)) if isinstance(tools, list) else _code(tools)


def _tool(tool: Any) -> str:
    functions, name = getattr(tool, "functions", None), getattr(tool, "name", None)
    if isinstance(functions, dict):
        is_connected_later = "MCP" in type(tool).__name__  # its functions are unknown until it connects
        return digest([name, [] if is_connected_later else sorted(functions)])
    if isinstance(tool, dict):
        return digest(_as_json(tool))
    return digest([name, _code(getattr(tool, "entrypoint", None) or tool)])


def _form(form: Any) -> Any:
    if not isinstance(form, type):
        return _as_json(form)
    known = _forms.get(form)
    if known is None:
        known = _forms[form] = digest([form.__qualname__, _schema_of(form)])
    return known


def _schema_of(form: type) -> Any:
    try:
        return getattr(form, "model_json_schema", dict)()
    except Exception:  # noqa: BLE001 - a model with custom types may have no schema
        return None


def _code(code: Any) -> Any:
    """Identify a function by its name and the values it was created with, since one function may create many.

    A function's code may change with a deploy, and its results with every call; neither counts.
    """
    name = str(getattr(code, "__qualname__", None) or type(code).__qualname__)
    if isinstance(code, partial):
        return [name, _code(code.func), _setting(code.args), _setting(code.keywords)]
    cells = [_content(each) for each in getattr(code, "__closure__", None) or ()]
    return [name, [each for each in cells if isinstance(each, str | int | float)]]


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # the cell is empty
        return None


def _as_it_stands(value: Any) -> Any:
    return value.copy() if isinstance(value, list) else value
