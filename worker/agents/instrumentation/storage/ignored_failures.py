"""Failures that Agno only logs: memories and learnings that could not be read or stored.

Agno's agents continue without them. If another attempt may help, it follows; otherwise the failure is noted.
"""

import contextlib
import functools
import sys
from collections.abc import Callable
from typing import Any

from worker.agents.errors import ensure_message
from worker.agents.instrumentation import bare_notes
from worker.agents.instrumentation.frames import current_frame

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
        error, frame = sys.exc_info()[1], current_frame.get()
        if isinstance(error, Exception) and not getattr(error, _REPORTED, False):
            with contextlib.suppress(Exception):
                setattr(error, _REPORTED, True)
            ensure_message(error)
            if frame is None:
                bare_notes.note_missing_or_stop(_what(str(message)), error)
            else:
                frame.run.note_missing_or_stop(
                    _what(str(message)), error, has_configured_recovery=frame.has_configured_recovery()
                )
        return logged

    return hook


def _what(message: str) -> str:
    """Extract the operation from a message such as ``Error storing memory in db: …`` or ``Store.save failed: …``."""
    what = message.partition(":")[0].removeprefix("Error ").removesuffix(" failed").strip()
    return f"Agno's {what}" if what else "Agno's memory"
