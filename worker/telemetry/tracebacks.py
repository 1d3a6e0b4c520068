"""Tracebacks as text of limited size: an error's message may be a whole file, and a group may contain many errors."""

import traceback
from collections.abc import Iterator
from typing import Any

from worker.redaction import of_this_process
from worker.words.classification import message_of
from worker.words.exception_groups import exceptions_of

MESSAGE_CHARACTERS = 4_000  # per message or note
MAX_NOTES = 20
MAX_ERRORS = 200  # causes and members of groups per traceback; with more, only the outer error's message is shown
FRAMES = 100  # per error, the innermost ones: a recursion has a thousand


def formatted(exc_info: Any) -> str:
    """Return an error with its traceback, as Python prints it, with its messages truncated.

    Args:
        exc_info: Type, error and traceback; or the error alone.
    """
    kind, error, trace = exc_info if isinstance(exc_info, tuple) else (type(exc_info), exc_info, exc_info.__traceback__)
    if error is None or _count(error) > MAX_ERRORS:
        return f"{getattr(kind, '__name__', kind)}: {_beginning(message_of(error))}" if error is not None else "None"
    whole = traceback.TracebackException(kind, error, trace, limit=-FRAMES, compact=True)
    for each in _all(whole):
        _shorten(each)
    return "".join(whole.format()).rstrip("\n")


def _count(error: BaseException) -> int:
    """Return the number of errors that a traceback would show; members of huge groups are counted unvisited."""
    waiting, count = [error], 0
    while waiting and count <= MAX_ERRORS:
        each = waiting.pop()
        count += 1
        waiting += [below for below in (each.__cause__, each.__context__) if below is not None]
        if isinstance(each, BaseExceptionGroup):
            inside = exceptions_of(each)
            count += max(0, len(inside) - MAX_ERRORS)
            waiting += inside[:MAX_ERRORS]
    return count


def _all(whole: traceback.TracebackException) -> Iterator[traceback.TracebackException]:
    """Yield an error with its causes, contexts and group members, recursively."""
    waiting = [whole]
    while waiting:
        each = waiting.pop()
        yield each
        beneath = [each.__cause__, each.__context__, *(each.exceptions or ())]
        waiting += [below for below in beneath if below is not None]


def _shorten(each: traceback.TracebackException) -> None:
    said: Any = getattr(each, "_str", None)  # a private attribute; without it the message is not truncated
    if isinstance(said, str):
        vars(each)["_str"] = _beginning(said)
    notes: Any = getattr(each, "__notes__", None)
    if isinstance(notes, list | tuple):
        vars(each)["__notes__"] = [_beginning(note) for note in notes[:MAX_NOTES] if isinstance(note, str)]


def _beginning(text: str) -> str:
    """Return the first characters of a text, without secrets: one that is cut could not be recognized afterwards."""
    return text if len(text) <= MESSAGE_CHARACTERS else of_this_process().beginning(text, MESSAGE_CHARACTERS)
