"""Failed knowledge searches, which Agno only logs before its agent answers without the knowledge."""

import copy
import functools
from collections.abc import Callable
from typing import Any

from worker.agents.errors import ensure_message
from worker.agents.instrumentation.frames import current_frame
from worker.agents.instrumentation.user_code import note_missing_or_stop
from worker.current import run_in_hand

Original = Callable[..., Any]


def lookup(original: Original) -> Original:
    """Make the hook for an agent's or team's lookup in its knowledge, whose failure does not stop the caller."""

    async def hook(owner: Any, *arguments: Any, **options: Any) -> Any:
        try:
            return await original(owner, *arguments, **options)
        except Exception as error:
            _go_without("the knowledge", error)
            raise

    return hook


def search(original: Original) -> Original:
    """Make the hook for the search of ``Knowledge``, which returns nothing if its vector store fails."""

    async def hook(self: Any, *arguments: Any, **options: Any) -> Any:
        if run_in_hand.get() is None or self.vector_db is None:
            return await original(self, *arguments, **options)
        own, store = _heard(self)
        found = await original(own, *arguments, **options)
        store.tell()
        return found

    return hook


def search_sync(original: Original) -> Original:
    """Sync version of ``search``."""

    def hook(self: Any, *arguments: Any, **options: Any) -> Any:
        if run_in_hand.get() is None or self.vector_db is None:
            return original(self, *arguments, **options)
        own, store = _heard(self)
        found = original(own, *arguments, **options)
        store.tell()
        return found

    return hook


def _heard(knowledge: Any) -> "tuple[Any, _Store]":
    own = copy.copy(knowledge)
    own.vector_db = store = _Store(knowledge.vector_db, knowledge.name)
    return own, store


def _go_without(what: str, error: Exception) -> None:
    """Make the run continue without the knowledge, unless it knows the error already.

    Raises:
        CancelledError: The run does not continue: the attempt ends.
    """
    ensure_message(error)
    frame = current_frame.get()
    if frame is not None:
        if any(each is error for each in frame.run.failures):
            return
        frame.run.failures.append(error)
    note_missing_or_stop(what, error)


class _Store:
    """A vector store that remembers the error of a failed search."""

    def __init__(self, store: Any, name: str | None) -> None:
        own = {"_store": store, "_name": name, "_error": None}
        self.__dict__.update(own)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._store, name)
        if name == "search":
            return self._heard_sync(value)
        return self._heard(value) if name == "async_search" else value

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._store, name, value)

    def tell(self) -> None:
        """Make the run continue without the knowledge if a search has failed."""
        if self._error is not None:
            _go_without(f"the knowledge {self._name}" if self._name else "the knowledge", self._error)

    def _heard(self, method: Original) -> Original:
        @functools.wraps(method)
        async def call(*arguments: Any, **options: Any) -> Any:
            try:
                return await method(*arguments, **options)
            except NotImplementedError:  # Agno falls back to the sync method
                raise
            except Exception as error:
                self.__dict__["_error"] = error
                raise

        return call

    def _heard_sync(self, method: Original) -> Original:
        @functools.wraps(method)
        def call(*arguments: Any, **options: Any) -> Any:
            try:
                return method(*arguments, **options)
            except Exception as error:
                self.__dict__["_error"] = error
                raise

        return call
