"""Recording of errors of user code within an agent: Agno keeps only their text, or continues without the code."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from worker.agents.errors import give_words
from worker.agents.instrumentation import bare_notes
from worker.agents.instrumentation.frames import frame_in_hand
from worker.threads import own_process


def watched(function: Any, *, is_passed_over: bool = False) -> Any:
    """Wrap an async function so that its errors are recorded; anything else is returned unchanged.

    Args:
        function: The user's function: a hook, a factory, instructions, a step.
        is_passed_over: Whether Agno continues if the function fails. Then another attempt follows if it may help;
            otherwise the failure is noted.
    """
    if not inspect.iscoroutinefunction(function):
        return function

    @functools.wraps(function)
    async def call(*arguments: Any, **options: Any) -> Any:
        try:
            with own_process():
                return await function(*arguments, **options)
        except Exception as error:
            _tell(function, error, is_passed_over=is_passed_over)
            raise

    return call


def _tell(function: Callable[..., Any], error: Exception, *, is_passed_over: bool) -> None:
    """Record an error on the run.

    Raises:
        CancelledError: Another attempt repeats the call.
    """
    frame = frame_in_hand.get()
    if frame is None:
        give_words(error)
        bare_notes.failed(error)
        if is_passed_over and not _decides(error):
            bare_notes.go_without(_name(function), error)
        return
    give_words(error)
    run = frame.run
    run.failures.append(error)
    if not is_passed_over or _decides(error):
        return
    run.go_without(_name(function), error, is_covered=frame.is_covered())


def _name(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


def _decides(error: Exception) -> bool:
    """Return whether Agno acts on a hook's error: a failed check ends the run."""
    from agno.exceptions import AgnoError

    return isinstance(error, AgnoError) or type(error).__module__.startswith("agno.")
