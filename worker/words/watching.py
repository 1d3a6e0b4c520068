"""Stretches of work that somebody may watch from beginning to end: attempts, calls of models and of tools.

What is over is announced (``notices``); a stretch is for those who must be there while it lasts, such as traces, where
what happens within it belongs to it. Nobody watches: a stretch costs two function calls.
"""

import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar


@dataclass(slots=True)
class Stretch:
    """Something that takes time; what is known only at its end is set on it by then.

    Args:
        error: What it ended with, if it failed.
    """

    error: BaseException | None = None


@dataclass(slots=True)
class Creation(Stretch):
    """A task is being created.

    Args:
        traceparent: The trace it is to belong to, as W3C writes it; a watcher may put another in its place.
    """

    agent_id: str = ""
    task_id: str | None = None
    traceparent: str | None = None


@dataclass(slots=True)
class AttemptMade(Stretch):
    """An attempt is being made. ``outcome``: the task's status after it, or ``handed back``, ``retried``, ``lost``."""

    task_id: str = ""
    agent_id: str = ""
    attempt: int = 0
    handler: str = ""
    traceparent: str | None = None
    outcome: str = ""


@dataclass(slots=True)
class ModelCallSpan(Stretch):
    """A model is being asked.

    Args:
        streamed: Its answer comes in pieces, to whoever iterates: what happens meanwhile is not all within it.
        replayed: The journal answered; the model was not asked.
        finish_reason: Why its answer ended (``words.finish``).
    """

    model: str = ""
    provider: str = ""
    streamed: bool = False
    replayed: bool = False
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    finish_reason: str = ""


@dataclass(slots=True)
class ToolCalled(Stretch):
    """A tool is being called. ``failed``: it raised, which its agent was told as a result."""

    tool: str = ""
    call_id: str = ""
    replayed: bool = False
    failed: bool = False


End = Callable[[], None]
Watcher = Callable[[Stretch], End | None]
S = TypeVar("S", bound=Stretch)

_watchers: list[Watcher] = []


def watch(watcher: Watcher) -> Callable[[], None]:
    """Watch every stretch of this process from now on.

    Args:
        watcher: Called where a stretch begins, on whatever thread that is; answers what to call at its end, on the
            same thread unless it is streamed. It must be quick and raise nothing.

    Returns:
        A function that ends the watch.
    """
    _watchers.append(watcher)
    return lambda: _watchers.remove(watcher) if watcher in _watchers else None


class watched(Generic[S]):  # noqa: N801 - read as a verb: with watched(stretch)
    """Have a stretch watched for the length of a block; what leaves the block as an error is its error."""

    __slots__ = ("_ends", "_stretch")

    def __init__(self, stretch: S) -> None:
        self._stretch = stretch
        self._ends: list[End] = []

    def __enter__(self) -> S:
        """Tell the watchers that it begins."""
        if _watchers:
            self._ends = [end for watcher in tuple(_watchers) if (end := watcher(self._stretch)) is not None]
        return self._stretch

    def __exit__(self, _kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        """Tell them that it is over, in the opposite order."""
        if error is not None:
            self._stretch.error = error
        while self._ends:
            try:
                self._ends.pop()()
            except Exception:  # noqa: BLE001 - the error's own methods may raise; what was watched has happened
                traceback.print_exc(file=sys.__stderr__)
