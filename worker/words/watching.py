"""Stretches of work that can be observed from start to end: attempts, model calls and tool calls.

Notices (``notices``) announce events after they happened. A stretch is for observers that must be present while the
work runs, such as traces, which attribute nested work to it. Without watchers a stretch costs two function calls.
"""

import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar


@dataclass(slots=True)
class Stretch:
    """A piece of work with a duration. Fields known only at its end are set by then.

    Args:
        error: The error that ended it, if it failed.
    """

    error: BaseException | None = None


@dataclass(slots=True)
class Creation(Stretch):
    """The creation of a task.

    Args:
        traceparent: The W3C trace context that the task is to belong to; a watcher may replace it.
    """

    agent_id: str = ""
    task_id: str | None = None
    traceparent: str | None = None


@dataclass(slots=True)
class AttemptMade(Stretch):
    """An attempt. ``outcome``: the task's status after it, or ``handed back``, ``retried``, ``lost``."""

    task_id: str = ""
    agent_id: str = ""
    attempt: int = 0
    handler: str = ""
    traceparent: str | None = None
    outcome: str = ""


@dataclass(slots=True)
class ModelCallSpan(Stretch):
    """A model call.

    Args:
        streamed: Whether the answer is streamed to a consumer: the block then spans code that is not part of the call.
        replayed: Whether the journal answered instead of the model.
        finish_reason: Why the answer ended (``words.finish``).
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
    """A tool call. ``failed``: the tool raised, which its agent received as a result."""

    tool: str = ""
    call_id: str = ""
    replayed: bool = False
    failed: bool = False


End = Callable[[], None]
Watcher = Callable[[Stretch], End | None]
S = TypeVar("S", bound=Stretch)

_watchers: list[Watcher] = []


def watch(watcher: Watcher) -> Callable[[], None]:
    """Watch all later stretches of this process.

    Args:
        watcher: Called on the thread where a stretch starts. It returns a function to call at the end, on the same
            thread unless the stretch is streamed. It must return quickly and never raise.

    Returns:
        A function that stops the watch.
    """
    _watchers.append(watcher)
    return lambda: _watchers.remove(watcher) if watcher in _watchers else None


class watched(Generic[S]):  # noqa: N801 - read as a verb: with watched(stretch)
    """Let watchers observe a stretch for the duration of a block. An error that leaves the block is set on it."""

    __slots__ = ("_ends", "_stretch")

    def __init__(self, stretch: S) -> None:
        self._stretch = stretch
        self._ends: list[End] = []

    def __enter__(self) -> S:
        """Notify the watchers of the start."""
        if _watchers:
            self._ends = [end for watcher in tuple(_watchers) if (end := watcher(self._stretch)) is not None]
        return self._stretch

    def __exit__(self, _kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        """Notify the watchers of the end, in reverse order."""
        if error is not None:
            self._stretch.error = error
        while self._ends:
            try:
                self._ends.pop()()
            except Exception:  # noqa: BLE001 - a failing watcher must not affect the work, which is done
                traceback.print_exc(file=sys.__stderr__)
