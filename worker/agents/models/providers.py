"""Unavailable providers: only the probing task calls one; other tasks wait without using up a retry."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from worker.current import REASON_OUTAGE, Run
from worker.redaction import message_to_show
from worker.settings import Settings
from worker.words.classification import Classified, classify
from worker.words.digests import digest
from worker.words.error_codes import ErrorCode
from worker.words.errors import ModuleException
from worker.words.providers import ProviderFailure, ProviderState

if TYPE_CHECKING:
    from worker.contracts import Work

MESSAGE_CHARACTERS = 4_000  # of a provider's message, which everyone who uses the provider may read
FRESH_SECONDS = 1.0  # how long known states of providers are reused without asking again
ASKED_WITH = (
    *("api_key", "base_url", "api_base", "host", "endpoint", "azure_endpoint", "url", "client_params"),
    *("aws_access_key_id", "aws_region", "project_id", "location"),
)
"""Attributes of models that determine the key and the address of their provider."""


@dataclass(slots=True)
class Known:
    """This process's knowledge of providers whose calls fail."""

    until: float = 0.0
    states: dict[str, ProviderState] = field(default_factory=dict[str, ProviderState])


_known: "WeakKeyDictionary[Work, Known]" = WeakKeyDictionary()


def provider_of(model: Any) -> str:
    """Return the id under which the state of a model's provider is kept; it includes a digest of the key and address.

    A gateway such as LiteLLM or OpenRouter passes requests on to the provider that its models' names begin with; when
    one of these fails, the others are still there.

    Args:
        model: Agno's model.
    """
    name = str(getattr(model, "provider", None) or getattr(model, "name", None) or type(model).__name__)
    asked_with = tuple(str(getattr(model, each, None) or "") for each in ASKED_WITH)
    behind, _, model_name = str(getattr(model, "id", None) or "").partition("/")
    return _id_of(name, (*asked_with, behind) if model_name else asked_with)


@lru_cache(maxsize=64)
def _id_of(name: str, asked_with: tuple[str, ...]) -> str:
    plain = "".join(each if each.isalnum() else "-" for each in name.lower())[:60].strip("-")
    return f"{plain}-{digest(asked_with)[:8]}"


def concerns_provider(known: Classified) -> bool:
    """Return whether an error affects all users of the provider, rather than this task alone."""
    return known.is_outage or known.code is ErrorCode.Quota or known.is_key_refused


async def away(run: Run, provider_id: str) -> ProviderState | None:
    """Return the provider's state if this task has to wait for the provider; otherwise None."""
    state = (await _states(run.work)).get(provider_id)
    return state if state is not None and state.is_away and state.probe_task != run.task_id else None


async def failed(run: Run, provider_id: str, error: BaseException) -> ProviderState | None:
    """Report a failed call to the platform.

    Returns:
        The provider's state if its tasks now have to wait; otherwise None.
    """
    known = classify(error)
    minutes = Settings().outage_minutes
    if not concerns_provider(known) or not minutes:
        return None
    blocked = known.is_blocked
    failure = ProviderFailure(
        provider_id,
        str(known.code),
        message_to_show(error, MESSAGE_CHARACTERS),
        known.provider_code,
        opens=blocked,
        wait_seconds=None if blocked else minutes * 60,
    )
    with suppress(ModuleException):
        state = await run.work.provider_failed(failure)
        if state is not None:
            _of(run.work).states[provider_id] = state
            return state if state.is_away else None
    return None


async def answered(run: Run, provider_id: str) -> None:
    """Report a successful call to the platform if earlier calls to the provider have failed."""
    if provider_id in _of(run.work).states:
        del _of(run.work).states[provider_id]
        with suppress(ModuleException):
            await run.work.provider_answered(provider_id)


def wait_for(run: Run, state: ProviderState) -> asyncio.CancelledError:
    """End an attempt so that its task waits for a provider, and return the exception to raise."""
    run.stopping.set(REASON_OUTAGE, state)
    return asyncio.CancelledError(REASON_OUTAGE)


async def _states(work: "Work") -> dict[str, ProviderState]:
    known = _of(work)
    if time.monotonic() >= known.until:
        known.until = time.monotonic() + FRESH_SECONDS  # concurrent callers use the old states meanwhile
        with suppress(ModuleException):
            known.states = {each.id: each for each in await work.providers()}
    return known.states


def _of(work: "Work") -> Known:
    return _known.setdefault(work, Known())
