"""Models by name: Agno's ``provider:name``, with errors that say what is missing, and their reasoning effort."""

import asyncio
import copy
import os
from collections.abc import Callable
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

from worker.agents.models.clients import open_client
from worker.settings import Settings
from worker.words.agents import AgentRecord
from worker.words.errors import ConfigurationError, ValidationError
from worker.words.model_names import is_address
from worker.words.statuses import LLMReasoningEffort
from worker.words.tasks import TaskRecord

if TYPE_CHECKING:
    from agno.models.base import Model

DEFAULT_ANTHROPIC_MODEL = "anthropic:claude-sonnet-5-5"  # what Agno 3.1's own Claude class defaults to

KEYS = {
    "anthropic": "ANTHROPIC_API_KEY",
    "deepseek": "DEEPSEEK_API_KEY",
    "google": "GOOGLE_API_KEY",
    "groq": "GROQ_API_KEY",
    "mistral": "MISTRAL_API_KEY",
    "openai": "OPENAI_API_KEY",
    "openai-chat": "OPENAI_API_KEY",
    "openai-responses": "OPENAI_API_KEY",
    "openrouter": "OPENROUTER_API_KEY",
    "xai": "XAI_API_KEY",
}
"""Environment variables without which a provider answers nobody; others are left to the provider to miss."""

EXTRAS = {"openai": "openai", "openai-chat": "openai", "openai-responses": "openai", "anthropic": "anthropic"}
"""Extras of this package that bring a provider's client."""

MAKERS = {"claude": "anthropic", "gemini": "google"}
"""Whose models' names begin so, where no provider is named; all others are taken for OpenAI's."""

stand_in: ContextVar["Model | None"] = ContextVar("model_stand_in", default=None)
"""What answers in the place of every model that a run names: for tests of handlers, which need no model then."""

MOST_MODELS = 64  # for each event loop; a worker's tasks name a handful

_Key = tuple[str, LLMReasoningEffort | None]
_models: "WeakKeyDictionary[asyncio.AbstractEventLoop, dict[_Key, Model]]" = WeakKeyDictionary()
_without_loop: "dict[_Key, Model]" = {}


def model_by_name(name: str) -> "Model":
    """Make a model.

    Args:
        name: ``provider:name`` in Agno's words, such as ``openai:gpt-5`` or ``anthropic:claude-sonnet-5-5``.

    Raises:
        ConfigurationError: The name is none, the provider's client is not installed, or its key is not set.
    """
    from agno.models.utils import get_model

    provider = name.partition(":")[0].strip().lower()
    try:
        model = get_model(name)
    except ImportError as error:
        raise ConfigurationError(_install(name, provider, error)) from error
    except ValueError as error:
        raise ConfigurationError(f"{name!r} names no model: {error}") from error
    if model is None:
        raise ConfigurationError("A model is named as `provider:name`, such as `openai:gpt-5`; this one has no name.")
    key = KEYS.get(provider)
    if key and not os.environ.get(key) and not getattr(model, "api_key", None):
        raise ConfigurationError(f"The model {name!r} needs {key} in the environment.")
    return model


def default_model(settings: Settings | None = None, effort: LLMReasoningEffort | None = None) -> "Model":
    """The model of agents that name none, shared by all runs on this event loop.

    Args:
        settings: Where ``WORKER_MODEL`` is named; read from the environment by default.
        effort: How long it may think; None leaves that to the model.

    Raises:
        ConfigurationError: Nothing says which, or what says it does not work.
    """
    return shared_model(default_model_name(settings), effort)


def default_model_name(settings: Settings | None = None) -> str:
    """The name of the model of agents that name none: ``WORKER_MODEL``, else Agno's own default.

    Where only Anthropic's key is set, Agno's default could not answer: then it is Claude.

    Raises:
        ConfigurationError: Nothing says which.
    """
    named = (settings or Settings()).model
    if named:
        return named
    if os.environ.get("OPENAI_API_KEY"):
        return _agnos_default()
    if os.environ.get("ANTHROPIC_API_KEY"):
        return DEFAULT_ANTHROPIC_MODEL
    raise ConfigurationError(
        "The agent names no model. Set OPENAI_API_KEY or ANTHROPIC_API_KEY, or WORKER_MODEL as `provider:name`."
    )


def shared_model(name: str, effort: LLMReasoningEffort | None = None) -> "Model":
    """One model for all runs on this event loop that name it: they share its client and the client's connections.

    Args:
        name: As ``model_by_name`` takes it.
        effort: How long it may think; None leaves that to the model.

    Raises:
        ConfigurationError: As ``model_by_name``.
    """
    return _kept((name, effort), lambda: model_by_name(name) if effort is None else _thinking(name, effort))


def _thinking(name: str, effort: LLMReasoningEffort) -> "Model":
    """A copy of a shared model that thinks for so long; both share a client and its connections."""
    model = shared_model(name)
    open_client(model)
    own = copy.copy(model)
    set_effort(own, effort)
    return own


def forget_shared_models() -> None:
    """Make models anew when they are asked for again: keys in the environment have changed."""
    _models.clear()
    _without_loop.clear()
    _agnos_default.cache_clear()


def _kept(key: "_Key", make: Callable[[], "Model"]) -> "Model":
    """A model that is made once for each event loop: its client's connections belong to the loop that opened them."""
    try:
        models = _models.setdefault(asyncio.get_running_loop(), {})
    except RuntimeError:
        models = _without_loop
    model = models.get(key)
    if model is None:
        model = make()
        if len(models) >= MOST_MODELS:
            del models[next(iter(models))]
        models[key] = model
    return model


@cache
def _agnos_default() -> str:
    """The model that Agno gives an agent without one.

    Raises:
        ConfigurationError: Its client is not installed.
    """
    from agno.agent import Agent

    agent = Agent(telemetry=False)
    try:
        agent.initialize_agent()
    except ImportError as error:
        raise ConfigurationError(_install("openai", "openai", error)) from error
    return f"openai:{cast('Model', agent.model).id}"


def named_model(task: TaskRecord | None, record: AgentRecord | None = None) -> str | None:
    """The name of the model that a task asks for, else its agent; None means neither names one.

    A provider without a name says nothing; a name without a provider is looked for where such names come from.

    Raises:
        ValidationError: It is an address.
    """
    if task is not None and (name := task.asked("llm_model_name")):
        return _full_name(task.asked("llm_model_provider"), name)
    if record is not None and record.model_name:
        return _full_name(record.model_provider, record.model_name)
    return None


def knows_effort(model: Any) -> bool:
    """Whether a model's provider has a setting for how long it may think."""
    return _is_claude(model) or hasattr(model, "reasoning_effort") or hasattr(model, "thinking_level")


def set_effort(model: Any, effort: LLMReasoningEffort) -> None:
    """Set how long a model may think, in its provider's words; a model that knows no such setting is unchanged."""
    if _is_claude(model):
        model.thinking = {"type": "adaptive"}
        model.output_config = {**(model.output_config or {}), "effort": effort.value}
    elif hasattr(model, "reasoning_effort"):
        model.reasoning_effort = effort.value
    elif hasattr(model, "thinking_level"):  # Gemini knows no more than high
        model.thinking_level = "high" if effort is LLMReasoningEffort.XHigh else effort.value


def _is_claude(model: Any) -> bool:
    return any(each.__name__ == "Claude" for each in type(model).__mro__)


def _full_name(provider: str | None, name: str) -> str:
    if is_address(f"{provider}:{name}"):
        raise ValidationError("The name of a model is no address.", field="llm_model_name")
    if provider:
        return f"{provider}:{name}"
    if ":" in name:
        return name
    return f"{next((maker for start, maker in MAKERS.items() if name.startswith(start)), 'openai')}:{name}"


def _install(name: str, provider: str, error: ImportError) -> str:
    extra = EXTRAS.get(provider)
    if extra:
        return f"The model {name!r} needs a client that is not installed: pip install 'agno-worker[{extra}]'"
    return f"The model {name!r} needs a client that is not installed: {error}"
