"""The wrapper around an agent's model: every model call and every tool call of a run passes through here.

Agno answers a model error with a run whose content is the error's text, and drops the exception with its status and
headers; the wrapper keeps it. It is also the place where a run is told to end before it pays for another call.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, TypeVar

from worker.current import Run

if TYPE_CHECKING:
    from agno.models.base import Model

AnyModel = TypeVar("AnyModel", bound="Model")

KEPT_FAILURES = 20  # of a run that fails over and over; the last ones explain its end

_wrapped_classes: dict[type, type] = {}


class Calls:
    """What one run's model and tool calls leave behind.

    Args:
        run: The attempt in whose name the calls are made, if it is one.
    """

    def __init__(self, run: Run | None = None) -> None:
        self._run = run
        self.failures: deque[BaseException] = deque(maxlen=KEPT_FAILURES)
        self.results: dict[str, Any] = {}

    def check(self) -> None:
        """Raise ``CancelledError`` if the run should end."""
        if self._run is not None and self._run.stopping:
            raise asyncio.CancelledError(self._run.stopping.reason)

    def failure(self, text: str) -> BaseException | None:
        """The exception whose text Agno reports, the latest first."""
        for each in reversed(self.failures):
            if str(each) == text:
                return each
        return next((each for each in reversed(self.failures) if str(each) and str(each) in text), None)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Calls":
        return self  # Agno copies models for its own helpers; their calls are this run's too


class WatchedCalls:
    """The part of a wrapped model that is ours; the provider's class stands behind it."""

    _worker_calls: Calls

    async def ainvoke(self, *args: Any, **kwargs: Any) -> Any:
        """One answer of the model."""
        calls = self._worker_calls
        calls.check()
        try:
            return await super().ainvoke(*args, **kwargs)  # type: ignore[misc] - the provider's class is mixed in
        except Exception as error:
            calls.failures.append(error)
            raise

    async def ainvoke_stream(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        """One answer of the model, piece by piece."""
        calls = self._worker_calls
        calls.check()
        stream = super().ainvoke_stream(*args, **kwargs)  # type: ignore[misc] - the provider's class is mixed in
        try:
            async for delta in stream:
                yield delta
        except Exception as error:
            calls.failures.append(error)
            raise
        finally:
            close = getattr(stream, "aclose", None)
            if close is not None:
                await close()  # a cancelled run must let go of the connection now, not when it is collected

    async def arun_function_call(self, function_call: Any) -> Any:
        """One tool call. Agno turns its result into text; the event about it carries the value itself."""
        done = await super().arun_function_call(function_call)  # type: ignore[misc] - the provider's class is mixed in
        result = done[2].result
        if not hasattr(result, "__next__") and not hasattr(result, "__anext__"):
            self._worker_calls.results[function_call.call_id] = result
        return done


def wrapped(model: AnyModel, calls: Calls) -> AnyModel:
    """A copy of a model, for one run, whose calls leave their traces in ``calls``; the model itself is unchanged."""
    open_client(model)
    own = object.__new__(_wrapped_class(type(model)))
    own.__dict__.update(model.__dict__)
    own.__dict__["_worker_calls"] = calls
    return own


def _wrapped_class(provider: type) -> type:
    known = _wrapped_classes.get(provider)
    if known is None:
        # a subclass, not an assignment to __class__: providers' classes differ in layout
        known = type(provider.__name__, (WatchedCalls, provider), {"__module__": provider.__module__})
        _wrapped_classes[provider] = known
    return known


def open_client(model: Any) -> None:
    """Have a model open its client where Agno keeps it, on the model: else every run's copy opens one of its own.

    What goes wrong here (a missing key) goes wrong again, and is reported, where the model is called.
    """
    for attribute, getter in (("async_client", "get_async_client"), ("client", "get_client")):
        if attribute in model.__dict__ and hasattr(model, getter):
            if model.__dict__[attribute] is None:
                try:
                    getattr(model, getter)()
                except Exception:  # noqa: BLE001 - whatever it is, the call itself reports it
                    return
            return
