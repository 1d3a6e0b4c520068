"""What tells Agno's runs and steps apart: names that the user gave, configurations, inputs."""

from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from worker.agents.conversation import Contents, digest_of_medium
from worker.agents.event_buffer import plain
from worker.agents.instrumentation.stable_ids import is_made_up
from worker.words.digests import digest

PROMPTS = ("description", "instructions", "system_message", "expected_output", "additional_context", "role")
"""Settings that say what an agent or team is to do."""

MEDIA = ("images", "files", "audio", "videos")

_forms: "WeakKeyDictionary[type, str]" = WeakKeyDictionary()  # digests of output schemas, by their class


def name_of(owner: Any) -> str | None:
    """What the user called an agent, team, workflow or step: its name, else its id; None if Agno made the id up."""
    name = getattr(owner, "name", None)
    if name:
        return str(name)
    own_id = getattr(owner, "id", None)
    return None if own_id is None or is_made_up(owner) else str(own_id)


def config_of(owner: Any) -> Callable[[], str]:
    """Take down what an agent, team or workflow is set to do now; returns what makes a digest of it.

    Its model is left out: Agno sets it on agents that name none, so that the same agent has one only later.
    """
    if hasattr(owner, "steps"):
        return partial(_outline_digest, owner.steps)
    prompts = [_as_it_stands(getattr(owner, name, None)) for name in PROMPTS]
    tools, members = (_as_it_stands(getattr(owner, name, None)) for name in ("tools", "members"))
    return partial(_config_digest, type(owner).__name__, prompts, tools, members, getattr(owner, "output_schema", None))


def model_of(owner: Any) -> str:
    """The model that an agent or team names; empty if it names none."""
    model = getattr(owner, "model", None)
    return str(getattr(model, "id", None) or model or "")


def step_config_of(step: Any) -> Callable[[], str]:
    """Take down what a workflow's step runs."""
    executor = getattr(step, "active_executor", None)
    if hasattr(executor, "arun"):
        return lambda: digest([name_of(executor), config_of(executor)()])
    return partial(digest, _name_of_code(executor))


def input_of(given: Any, arguments: dict[str, Any], contents: Contents) -> Callable[[], str]:
    """Take down what a run is given; returns what makes a digest of it."""
    media = [each for name in MEDIA for each in arguments.get(name) or ()]
    return partial(_input_digest, given, media, contents)


def _config_digest(kind: str, prompts: list[Any], tools: Any, members: Any, form: Any) -> str:
    said = [_name_of_code(each) if callable(each) else plain(each) for each in prompts]
    return digest([kind, said, _tools(tools), _members(members), _form(form)])


def _members(members: Any) -> Any:
    if not isinstance(members, list):
        return _name_of_code(members)
    return [[name_of(each), getattr(each, "role", None)] for each in members]


def _outline_digest(steps: Any) -> str:
    return digest(["workflow", _outline(steps)])


def _input_digest(given: Any, media: list[Any], contents: Contents) -> str:
    return digest([_said(given), [digest_of_medium(each, contents) for each in media]])


def _said(given: Any) -> Any:
    """An input without what is made up for each message anew: its id, its time."""
    if isinstance(given, list | tuple):
        return [_said(each) for each in given]
    if hasattr(given, "role") and hasattr(given, "content"):
        return [given.role, plain(given.content)]
    return plain(given)


def _tools(tools: Any) -> Any:
    return sorted(map(_tool, tools)) if isinstance(tools, list) else _name_of_code(tools)


def _tool(tool: Any) -> str:
    functions, name = getattr(tool, "functions", None), getattr(tool, "name", None)
    if isinstance(functions, dict) and "MCP" not in type(tool).__name__:  # those know their functions once connected
        return ",".join([str(name), *sorted(functions)])
    if isinstance(tool, dict):
        return digest(plain(tool))
    return str(name or _name_of_code(tool))


def _form(form: Any) -> Any:
    if not isinstance(form, type):
        return plain(form)
    known = _forms.get(form)
    if known is None:
        known = _forms[form] = digest([form.__qualname__, _schema_of(form)])
    return known


def _schema_of(form: type) -> Any:
    try:
        return getattr(form, "model_json_schema", dict)()
    except Exception:  # noqa: BLE001 - a model with types of its own may have no schema
        return None


def _outline(steps: Any) -> Any:
    """The names of a workflow's steps, as they are nested; Agno makes steps of agents and functions when it runs."""
    if not isinstance(steps, list | tuple):
        return _name_of_code(steps)
    return [[_step_name(each, number), _outline(getattr(each, "steps", None))] for number, each in enumerate(steps)]


def _step_name(step: Any, number: int) -> str:
    name = getattr(step, "name", None) or getattr(step, "__name__", None)
    return str(name or f"step_{number + 1}")


def _name_of_code(code: Any) -> str | None:
    """The name of a function; what it does may change with a deploy, what it answers with every call."""
    if code is None:
        return None
    return str(getattr(code, "__qualname__", None) or type(code).__qualname__)


def _as_it_stands(value: Any) -> Any:
    return value.copy() if isinstance(value, list) else value
