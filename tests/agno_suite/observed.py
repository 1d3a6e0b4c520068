"""What really reaches a provider or a tool: counted, refused, or made to fail, beneath the worker's hooks."""

import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

from worker.agents.tools.tools import is_redone

MODEL_CALLS = ("_invoke_with_retry", "_ainvoke_with_retry", "_invoke_stream_with_retry", "_ainvoke_stream_with_retry")
TOOL_CALLS = ("execute", "aexecute")


class AskedAgainError(Exception):
    """A model was asked although the record should have the answer."""


@dataclass(slots=True, eq=False)
class Watch:
    """What one attempt at a run makes of calls.

    Args:
        refuses: Whether its models refuse to be asked.
        busy_at: Which of its model calls finds the provider busy, from 1 on; 0 for none.
    """

    refuses: bool = False
    busy_at: int = 0
    asked: list[str] = field(default_factory=list[str])
    tools: list[str] = field(default_factory=list[str])
    refused: list[str] = field(default_factory=list[str])
    was_busy: bool = False

    def ask(self, model: Any) -> None:
        """A model is about to be asked."""
        name = f"{type(model).__name__} {getattr(model, 'id', '')}"
        if self.refuses:
            self.refused.append(name)
            raise AskedAgainError(f"{name} was asked again")
        self.asked.append(name)
        if len(self.asked) == self.busy_at:
            from agno.exceptions import ModelProviderError

            self.was_busy = True
            raise ModelProviderError("The provider is busy.", 503)


@dataclass(slots=True)
class Reach:
    """What a process has done in all."""

    counts: Counter[str] = field(default_factory=Counter[str])
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, what: str) -> None:
        """Count a run, model call or tool."""
        with self.lock:
            self.counts[what] += 1


reach = Reach()
watch_in_hand: ContextVar[Watch | None] = ContextVar("watch_in_hand", default=None)


@contextmanager
def watching(watch: Watch | None) -> Generator[None]:
    """Have calls noted, for a while."""
    token = watch_in_hand.set(watch)
    try:
        yield
    finally:
        watch_in_hand.reset(token)


def observe() -> None:
    """Put the counters in; to be called before the worker puts its hooks in, which then lie above."""
    from agno.models.base import Model
    from agno.tools.function import FunctionCall

    for name in MODEL_CALLS:
        original = getattr(Model, name)
        setattr(Model, name, wraps(original)(_model_call(name, original)))
    for name in TOOL_CALLS:
        original = getattr(FunctionCall, name)
        setattr(FunctionCall, name, wraps(original)(_tool_call(name, original)))


def _asked(model: Any, arguments: dict[str, Any]) -> None:
    if arguments.get("retry_with_guidance"):  # that call is part of another
        return
    reach.add("model calls")
    watch = watch_in_hand.get()
    if watch is not None:
        watch.ask(model)


def _used(call: Any) -> None:
    reach.add("tools")
    watch = watch_in_hand.get()
    if watch is not None and not is_redone(call.function):  # such a call is to be made again, for what it leaves behind
        watch.tools.append(f"{call.function.name} {call.arguments}")


def _model_call(name: str, original: Any) -> Callable[..., Any]:
    def plain(self: Any, **arguments: Any) -> Any:
        _asked(self, arguments)
        return original(self, **arguments)

    def plain_stream(self: Any, **arguments: Any) -> Iterator[Any]:
        _asked(self, arguments)
        yield from original(self, **arguments)

    async def awaited(self: Any, **arguments: Any) -> Any:
        _asked(self, arguments)
        return await original(self, **arguments)

    async def stream(self: Any, **arguments: Any) -> AsyncIterator[Any]:
        _asked(self, arguments)
        async for each in original(self, **arguments):
            yield each

    made: dict[str, Callable[..., Any]] = dict(zip(MODEL_CALLS, (plain, awaited, plain_stream, stream), strict=True))
    return made[name]


def _tool_call(name: str, original: Any) -> Callable[..., Any]:
    def execute(self: Any, *arguments: Any, **options: Any) -> Any:
        _used(self)
        return original(self, *arguments, **options)

    async def aexecute(self: Any, *arguments: Any, **options: Any) -> Any:
        _used(self)
        return await original(self, *arguments, **options)

    return execute if name == "execute" else aexecute
