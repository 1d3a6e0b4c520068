"""Models by name in Agno's form ``provider:name``, with errors that name missing parts, and their reasoning effort."""

import asyncio
import copy
import os
from collections.abc import Callable
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

from worker.agents.models.clients import open_client
from worker.current import running_loop
from worker.settings import Settings
from worker.words.agents import AgentRecord
from worker.words.errors import ConfigurationError, ValidationError
from worker.words.model_names import is_address
from worker.words.statuses import LLMReasoningEffort
from worker.words.tasks import TaskRecord

if TYPE_CHECKING:
    from agno.models.base import Model

DEFAULT_ANTHROPIC_MODEL = "anthropic:claude-sonnet-5-5"  # the default of Agno 3.1's own Claude class

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
"""Environment variables that providers require; missing ones of other providers are reported by the provider."""

EXTRAS = {"openai": "openai", "openai-chat": "openai", "openai-responses": "openai", "anthropic": "anthropic"}
"""Extras of this package that install a provider's client."""

MAKERS = {"claude": "anthropic", "gemini": "google"}
"""Providers by prefix of model names without a provider; all other names are taken for OpenAI's."""

stand_in: ContextVar["Model | None"] = ContextVar("model_stand_in", default=None)
"""Replaces every model that a run names, so that tests of handlers need no real model."""

MAX_MODELS = 64  # per event loop; a worker's tasks name a handful

_Key = tuple[str, LLMReasoningEffort | None]
_models: "WeakKeyDictionary[asyncio.AbstractEventLoop, dict[_Key, Model]]" = WeakKeyDictionary()
_without_loop: "dict[_Key, Model]" = {}


def model_by_name(name: str) -> "Model":
    """Create a model.

    Args:
        name: ``provider:name`` in Agno's form, such as ``openai:gpt-5`` or ``anthropic:claude-sonnet-5-5``.

    Raises:
        ConfigurationError: The name is invalid, the provider's client is not installed, or its key is not set.
    """
    from agno.models.utils import get_model

    provider = name.partition(":")[0].strip().lower()
    try:
        model = get_model(name)
    except ImportError as error:
        raise ConfigurationError(_install(name, provider, error)) from error
    except ValueError as error:
        raise ConfigurationError(f"{name!r} is not a valid model: {error}") from error
    if model is None:
        raise ConfigurationError(
            "A model must be given as `provider:name`, such as `openai:gpt-5`; the name is missing."
        )
    key = KEYS.get(provider)
    if key and not os.environ.get(key) and not getattr(model, "api_key", None):
        raise ConfigurationError(f"The model {name!r} requires the environment variable {key}.")
    return model


def default_model(settings: Settings | None = None, effort: LLMReasoningEffort | None = None) -> "Model":
    """Return the model of agents that name none, shared by all runs on this event loop.

    Args:
        settings: Settings that provide ``WORKER_MODEL``; read from the environment by default.
        effort: The reasoning effort; None leaves it to the model.

    Raises:
        ConfigurationError: No model is configured, or the configured one cannot be created.
    """
    return shared_model(default_model_name(settings), effort)


def default_model_name(settings: Settings | None = None) -> str:
    """Return the name of the model of agents that name none: ``WORKER_MODEL``, else Agno's own default.

    If only Anthropic's key is set, Agno's default could not answer, and the default is Claude.

    Raises:
        ConfigurationError: No model is configured.
    """
    named = (settings or Settings()).model
    if named:
        return named
    if os.environ.get("OPENAI_API_KEY"):
        return _agnos_default()
    if os.environ.get("ANTHROPIC_API_KEY"):
        return DEFAULT_ANTHROPIC_MODEL
    raise ConfigurationError(
        "The agent has no model. Set OPENAI_API_KEY or ANTHROPIC_API_KEY, or WORKER_MODEL as `provider:name`."
    )


def shared_model(name: str, effort: LLMReasoningEffort | None = None) -> "Model":
    """Return the model that all runs on this event loop share by name, together with its client and connections.

    Args:
        name: As for ``model_by_name``.
        effort: The reasoning effort; None leaves it to the model.

    Raises:
        ConfigurationError: As for ``model_by_name``.
    """
    return _shared_model((name, effort), lambda: model_by_name(name) if effort is None else _thinking(name, effort))


def _thinking(name: str, effort: LLMReasoningEffort) -> "Model":
    """Return a copy of a shared model with a reasoning effort; both share a client and its connections."""
    model = shared_model(name)
    open_client(model)
    own = copy.copy(model)
    set_effort(own, effort)
    return own


def forget_shared_models() -> None:
    """Discard the shared models, so that new ones are created with changed keys from the environment."""
    _models.clear()
    _without_loop.clear()
    _agnos_default.cache_clear()


def _shared_model(key: "_Key", make: Callable[[], "Model"]) -> "Model":
    """Return a model that is created once per event loop, since its client's connections belong to one loop."""
    loop = running_loop()
    models = _without_loop if loop is None else _models.setdefault(loop, {})
    model = models.get(key)
    if model is None:
        model = make()
        if len(models) >= MAX_MODELS:
            del models[next(iter(models))]
        models[key] = model
    return model


@cache
def _agnos_default() -> str:
    """Return the name of the model that Agno gives to an agent without one.

    Raises:
        ConfigurationError: The model's client is not installed.
    """
    from agno.agent import Agent

    agent = Agent(telemetry=False)
    try:
        agent.initialize_agent()
    except ImportError as error:
        raise ConfigurationError(_install("openai", "openai", error)) from error
    return f"openai:{cast('Model', agent.model).id}"


def named_model(task: TaskRecord | None, record: AgentRecord | None = None) -> str | None:
    """Return the name of the model that a task asks for, else its agent's; None if neither names one.

    A provider without a model name is ignored; for a model name without a provider, the provider is inferred.

    Raises:
        ValidationError: The name is an address.
    """
    if task is not None and (name := task.own_setting("llm_model_name")):
        return _full_name(task.own_setting("llm_model_provider"), name)
    if record is not None and record.model_name:
        return _full_name(record.model_provider, record.model_name)
    return None


def knows_effort(model: Any) -> bool:
    """Return whether a model's provider has a setting for reasoning effort."""
    return _is_claude(model) or hasattr(model, "reasoning_effort") or hasattr(model, "thinking_level")


def set_effort(model: Any, effort: LLMReasoningEffort) -> None:
    """Set a model's reasoning effort in its provider's terms; a model without such a setting is unchanged."""
    if _is_claude(model):
        model.thinking = {"type": "adaptive"}
        model.output_config = {**(model.output_config or {}), "effort": effort.value}
    elif hasattr(model, "reasoning_effort"):
        model.reasoning_effort = effort.value
    elif hasattr(model, "thinking_level"):  # Gemini's highest level is high
        model.thinking_level = "high" if effort is LLMReasoningEffort.XHigh else effort.value


def _is_claude(model: Any) -> bool:
    return any(each.__name__ == "Claude" for each in type(model).__mro__)


def _full_name(provider: str | None, name: str) -> str:
    if is_address(f"{provider}:{name}"):
        raise ValidationError("A model's name must not be a URL or path.", field="llm_model_name")
    if provider:
        return f"{provider}:{name}"
    if ":" in name:
        return name
    return f"{next((maker for start, maker in MAKERS.items() if name.startswith(start)), 'openai')}:{name}"


def _install(name: str, provider: str, error: ImportError) -> str:
    extra = EXTRAS.get(provider)
    if extra:
        return f"The model {name!r} requires a client that is not installed: pip install 'agno-worker[{extra}]'"
    return f"The model {name!r} requires a client that is not installed: {error}"
