"""Models by name: Agno's ``provider:name``, with errors that say what is missing, and their reasoning effort."""

import os
from contextvars import ContextVar
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from worker.settings import Settings
from worker.words.agents import AgentRecord
from worker.words.errors import ConfigurationError
from worker.words.statuses import LLMReasoningEffort
from worker.words.tasks import TaskRecord

if TYPE_CHECKING:
    from agno.models.base import Model

DEFAULT_OPENAI_MODEL = "openai:gpt-5.4-mini"  # what Agno 3.1's own OpenAI class defaults to
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

_SHARED_MODELS = 64  # by name and effort; a worker's tasks name a handful


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


def default_model(settings: Settings | None = None) -> "Model":
    """Make the model of agents that name none: ``WORKER_MODEL``, else that of the API key that is set.

    Raises:
        ConfigurationError: Nothing says which, or what says it does not work.
    """
    return model_by_name(default_model_name(settings))


def default_model_name(settings: Settings | None = None) -> str:
    """The name of the model of agents that name none.

    Raises:
        ConfigurationError: Nothing says which.
    """
    named = (settings or Settings()).model
    if named:
        return named
    if os.environ.get("OPENAI_API_KEY"):
        return DEFAULT_OPENAI_MODEL
    if os.environ.get("ANTHROPIC_API_KEY"):
        return DEFAULT_ANTHROPIC_MODEL
    raise ConfigurationError(
        "The agent names no model. Set OPENAI_API_KEY or ANTHROPIC_API_KEY, or WORKER_MODEL as `provider:name`."
    )


@lru_cache(maxsize=_SHARED_MODELS)
def shared_model(name: str, effort: LLMReasoningEffort | None = None) -> "Model":
    """One model for all runs that name it: they share its client and that client's connections.

    Raises:
        ConfigurationError: As ``model_by_name``.
    """
    model = model_by_name(name)
    if effort is not None:
        set_effort(model, effort)
    return model


def named_model(task: TaskRecord | None, record: AgentRecord | None = None) -> str | None:
    """The name of the model that a task asks for, else its agent; none: neither names one.

    A provider without a name says nothing; a name without a provider is looked for where such names come from.
    """
    if task is not None and task.llm_model_name:
        return _full_name(task.llm_model_provider, task.llm_model_name)
    if record is not None and record.model_name:
        return _full_name(record.model_provider, record.model_name)
    return None


def set_effort(model: Any, effort: LLMReasoningEffort) -> bool:
    """Set how long a model may think, in its provider's words.

    Returns:
        Whether the model's class knows such a thing; it is unchanged otherwise.
    """
    families = {each.__name__ for each in type(model).__mro__}
    if "Claude" in families:
        model.thinking = {"type": "adaptive"}
        model.output_config = {**(model.output_config or {}), "effort": effort.value}
        return True
    if hasattr(model, "reasoning_effort"):
        model.reasoning_effort = effort.value
        return True
    if hasattr(model, "thinking_level"):  # Gemini knows no more than high
        model.thinking_level = "high" if effort is LLMReasoningEffort.XHigh else effort.value
        return True
    return False


def _full_name(provider: str | None, name: str) -> str:
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
