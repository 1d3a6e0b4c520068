"""Recording of errors of user code within an agent: Agno keeps only their text, or continues without the code."""

import functools
import inspect
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from worker.agents.errors import ensure_message
from worker.agents.instrumentation import bare_notes
from worker.agents.instrumentation.frames import current_frame
from worker.agents.runs.failures import missing
from worker.threads import own_process


def watched(function: Any, *, agno_ignores_failure: bool = False, key: str | None = None) -> Any:
    """Wrap an async function so that its errors are recorded; anything else is returned unchanged.

    Args:
        function: The user's function: a hook, a factory, instructions, a step.
        agno_ignores_failure: Whether Agno continues if the function fails. Then another attempt follows if it may help;
            otherwise the failure is noted.
        key: The name under which each of its calls gets an idempotency key; None for the function's own. Empty for a
            step, which has its key.
    """
    if not inspect.iscoroutinefunction(function):
        return function

    name = _name(function) if key is None else key

    @functools.wraps(function)
    async def call(*arguments: Any, **options: Any) -> Any:
        frame = current_frame.get()
        try:
            with own_process(), frame.calls_code(name) if frame is not None and name else nullcontext():
                return await function(*arguments, **options)
        except Exception as error:
            _tell(function, error, agno_ignores_failure=agno_ignores_failure)
            raise

    return call


def _tell(function: Callable[..., Any], error: Exception, *, agno_ignores_failure: bool) -> None:
    """Record an error on the run.

    Raises:
        CancelledError: Another attempt repeats the call.
    """
    ensure_message(error)
    frame = current_frame.get()
    if frame is None:
        bare_notes.failed(error)
    else:
        frame.run.failures.append(error)
    if agno_ignores_failure and not _decides(error):
        note_missing_or_stop(_name(function), error)


def note_missing_or_stop(who: str, error: BaseException) -> None:
    """Emit a note that the current run continues without a part that failed.

    Args:
        who: The part that failed.
        error: The error.

    Raises:
        CancelledError: The run does not continue: the attempt ends.
    """
    frame, attempt = current_frame.get(), bare_notes.current_attempt()
    if frame is not None:
        frame.run.note_missing_or_stop(who, error, has_configured_recovery=frame.has_configured_recovery())
    elif attempt is not None:
        attempt.bare.note(missing(who, error))


def _name(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


def _decides(error: Exception) -> bool:
    """Return whether Agno acts on a hook's error: a failed check ends the run."""
    from agno.exceptions import AgnoError

    return isinstance(error, AgnoError) or type(error).__module__.startswith("agno.")
