"""Failures that Agno only logs: memories and learnings that could not be read or stored.

Agno's agents continue without them. If another attempt may help, it follows; otherwise the failure is noted.
"""

import contextlib
import functools
import sys
from collections.abc import Callable
from typing import Any

from worker.agents.errors import ensure_message
from worker.agents.instrumentation.user_code import note_missing_or_stop

_REPORTED = "_agno_worker_reported"  # marks an error that has been reported: callers may log it again
_STORES = ("decision_log", "entity_memory", "learned_knowledge", "session_context", "user_memory", "user_profile")

MODULES = (
    "agno.agent._managers",
    "agno.learn.machine",
    *(f"agno.learn.stores.{each}" for each in _STORES),
    "agno.memory.manager",
    "agno.team._managers",
    "agno.utils.agent",
)
"""The modules in which Agno logs such failures."""


def log_warning(original: Callable[..., Any]) -> Callable[..., Any]:
    """Make the hook for a warning that Agno logs before it continues."""

    @functools.wraps(original)
    def hook(message: Any, *arguments: Any, **options: Any) -> Any:
        logged = original(message, *arguments, **options)
        error = sys.exc_info()[1]
        if isinstance(error, Exception) and not getattr(error, _REPORTED, False):
            with contextlib.suppress(Exception):
                setattr(error, _REPORTED, True)
            ensure_message(error)
            note_missing_or_stop(_what(str(message)), error)
        return logged

    return hook


def _what(message: str) -> str:
    """Extract the operation from a message such as ``Error storing memory in db: …`` or ``Store.save failed: …``."""
    what = message.partition(":")[0].removeprefix("Error ").removesuffix(" failed").strip()
    return f"Agno's {what}" if what else "Agno's memory"
