"""Exception groups, as task groups raise them: their members are informative, their own text rarely is."""

from collections.abc import Callable, Iterator
from itertools import islice

MAX_MEMBERS = 50  # of a group that are examined; more add nothing new
MAX_MESSAGES = 5  # messages of members that a group's message quotes
UNSAID = frozenset({"", "unhandled errors in a TaskGroup", "multiple connection exceptions"})
"""Texts of groups without information: those of asyncio and anyio."""


def members(error: BaseException) -> list[BaseException]:
    """Return the leaf exceptions of a group and its nested groups, at most fifty; for any other exception, itself."""
    return list(islice(_members(error), MAX_MEMBERS))


def _members(error: BaseException) -> Iterator[BaseException]:
    waiting, looked = [error], 0
    while waiting and looked < 2 * MAX_MEMBERS:
        each, looked = waiting.pop(0), looked + 1
        if isinstance(each, BaseExceptionGroup):
            waiting[:0] = exceptions_of(each)[:MAX_MEMBERS]
        else:
            yield each


def exceptions_of(group: "BaseExceptionGroup[BaseException]") -> tuple[BaseException, ...]:
    """Return a group's direct members, even if a subclass overrides the attribute."""
    return BaseExceptionGroup.exceptions.__get__(group)


def group_message(error: BaseException, say: Callable[[BaseException], str]) -> str:
    """Return the message of a group: its own text, if informative, and each distinct message of its members.

    Args:
        error: A group; any other exception is passed to ``say``.
        say: Returns the message of a single exception.
    """
    if not isinstance(error, BaseExceptionGroup):
        return say(error)
    messages = list(dict.fromkeys(say(each) for each in members(error)))
    said = "; ".join(messages[:MAX_MESSAGES])
    if len(messages) > MAX_MESSAGES:
        said += f"; and {len(messages) - MAX_MESSAGES} more"
    own = str(BaseExceptionGroup.message.__get__(error))
    return said if own in UNSAID else f"{own}: {said}"
