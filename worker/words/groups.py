"""Groups of exceptions, as task groups raise them: what is in one says what happened, its own text seldom does."""

from collections.abc import Callable, Iterator
from itertools import islice

MOST_MEMBERS = 50  # of a group that are looked at; more say nothing new
MOST_TOLD = 5  # of a group, in a message
UNSAID = frozenset({"", "unhandled errors in a TaskGroup", "multiple connection exceptions"})
"""Texts of groups that say no more than that they are groups: asyncio's, anyio's."""


def members(error: BaseException) -> list[BaseException]:
    """The exceptions in a group and in the groups within it, at most fifty; of any other exception itself."""
    return list(islice(_members(error), MOST_MEMBERS))


def _members(error: BaseException) -> Iterator[BaseException]:
    waiting, looked = [error], 0
    while waiting and looked < 2 * MOST_MEMBERS:
        each, looked = waiting.pop(0), looked + 1
        if isinstance(each, BaseExceptionGroup):
            waiting[:0] = exceptions_of(each)[:MOST_MEMBERS]
        else:
            yield each


def exceptions_of(group: "BaseExceptionGroup[BaseException]") -> tuple[BaseException, ...]:
    """What a group holds, whatever a class of somebody's makes of the attribute."""
    return BaseExceptionGroup.exceptions.__get__(group)


def told(error: BaseException, say: Callable[[BaseException], str]) -> str:
    """What a group says: its own text, where that says something, and each different message in it.

    Args:
        error: A group; anything else is said by itself.
        say: The message of one exception.
    """
    if not isinstance(error, BaseExceptionGroup):
        return say(error)
    messages = list(dict.fromkeys(say(each) for each in members(error)))
    said = "; ".join(messages[:MOST_TOLD])
    if len(messages) > MOST_TOLD:
        said += f"; and {len(messages) - MOST_TOLD} more"
    own = str(BaseExceptionGroup.message.__get__(error))
    return said if own in UNSAID else f"{own}: {said}"
