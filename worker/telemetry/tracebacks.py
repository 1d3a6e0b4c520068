"""Tracebacks as text, bounded: an error's message may be a whole file, and a group of errors hold many."""

import traceback
from collections.abc import Iterator
from typing import Any

from worker.words.classification import message_of
from worker.words.groups import exceptions_of

MESSAGE_CHARACTERS = 4_000  # of one message, or one note
MOST_NOTES = 20
MOST_ERRORS = 200  # causes and members of groups, of one traceback; with more it is told without its frames
FRAMES = 100  # of one error, the innermost: a recursion has a thousand


def formatted(exc_info: Any) -> str:
    """An error with its traceback, as Python prints it, its messages cut.

    Args:
        exc_info: Type, error and traceback; or the error.
    """
    kind, error, trace = exc_info if isinstance(exc_info, tuple) else (type(exc_info), exc_info, exc_info.__traceback__)
    if error is None or _count(error) > MOST_ERRORS:
        return f"{getattr(kind, '__name__', kind)}: {_beginning(message_of(error))}" if error is not None else "None"
    whole = traceback.TracebackException(kind, error, trace, limit=-FRAMES, compact=True)
    for each in _all(whole):
        _shorten(each)
    return "".join(whole.format()).rstrip("\n")


def _count(error: BaseException) -> int:
    """How many errors a traceback would tell of; of very many only that they are."""
    waiting, count = [error], 0
    while waiting and count <= MOST_ERRORS:
        each = waiting.pop()
        count += 1
        waiting += [below for below in (each.__cause__, each.__context__) if below is not None]
        if isinstance(each, BaseExceptionGroup):
            inside = exceptions_of(each)
            count += max(0, len(inside) - MOST_ERRORS)
            waiting += inside[:MOST_ERRORS]
    return count


def _all(whole: traceback.TracebackException) -> Iterator[traceback.TracebackException]:
    """An error, what it was raised from, and what is in it."""
    waiting = [whole]
    while waiting:
        each = waiting.pop()
        yield each
        beneath = [each.__cause__, each.__context__, *(each.exceptions or ())]
        waiting += [below for below in beneath if below is not None]


def _shorten(each: traceback.TracebackException) -> None:
    said: Any = getattr(each, "_str", None)  # it has no public name; without it all is printed
    if isinstance(said, str):
        vars(each)["_str"] = _beginning(said)
    notes: Any = getattr(each, "__notes__", None)
    if isinstance(notes, list | tuple):
        vars(each)["__notes__"] = [_beginning(note) for note in notes[:MOST_NOTES] if isinstance(note, str)]


def _beginning(text: str) -> str:
    left = len(text) - MESSAGE_CHARACTERS
    return text if left <= 0 else f"{text[:MESSAGE_CHARACTERS]}… [{left:,} characters more]"
