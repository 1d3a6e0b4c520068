"""An agent's sync code, run in threads: on the event loop it would block every other task of the worker.

Agno calls most sync code directly: hooks, instructions, retrievers, factories, dependencies, functions and conditions
of workflows, tools behind an async hook, databases. All of these may also be async, in which case Agno awaits them; so
it receives an async form instead, on a copy if the owner is the user's. Context variables are inherited, so that nested
calls are made in the same frame.
"""

import asyncio
import copy
import functools
import inspect
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import copy_context
from typing import Any
from weakref import WeakKeyDictionary

from worker.agents.instrumentation.time_limits import ENDING
from worker.agents.instrumentation.user_code import watched
from worker.current import run_in_hand
from worker.threads import ThreadCall, in_thread, own_process

Original = Callable[..., Any]
Make = Callable[[Original], Original]

STEP = "active_executor"
"""The attribute of a step's function, which has the step's idempotency key."""


_turns: "WeakKeyDictionary[Any, threading.Lock]" = WeakKeyDictionary()  # of databases without a server


def threaded(function: Any) -> Any:
    """Return an async function that calls a sync one in a thread; async functions and other objects are unchanged."""
    called = function if inspect.isroutine(function) else getattr(function, "__call__", None)  # noqa: B004 - not a test
    if not callable(function) or any(_is_async(each) for each in (function, called)):
        return function
    if any(inspect.isgeneratorfunction(each) for each in (function, called)):
        return _stepping(function)

    @functools.wraps(function)
    async def call(*arguments: Any, **options: Any) -> Any:
        value = await in_thread(functools.partial(function, *arguments, **options))
        return await value if inspect.isawaitable(value) else value

    return call


async def iterate_in_thread(items: Iterator[Any]) -> AsyncIterator[Any]:
    """Yield the items of a sync iterator, each computed in a thread, with the same context variables throughout."""
    context = copy_context()
    loop = asyncio.get_running_loop()
    step = functools.partial(context.run, next, items, ENDING)
    is_within = False  # whether a thread is inside the iterator, which then cannot be closed
    try:
        while True:
            is_within = True
            item = await loop.run_in_executor(None, ThreadCall(step))
            is_within = False
            if item is ENDING:
                return
            yield item
    finally:
        close = getattr(items, "close", None)
        if close is not None and not is_within:
            close()


def options(*names: str, agno_ignores_failure: bool = False) -> Make:
    """Make a hook that converts arguments of Agno's function to async forms: those with these names, or else the first.

    Args:
        names: The arguments' names.
        agno_ignores_failure: Whether Agno continues if they fail.
    """
    form = functools.partial(_forms, agno_ignores_failure=agno_ignores_failure)

    def make(original: Original) -> Original:
        def hook(*arguments: Any, **given: Any) -> Any:
            if run_in_hand.get() is None:
                return original(*arguments, **given)
            if arguments and not given.keys() & set(names):
                arguments = (form(arguments[0]), *arguments[1:])
            for name in given.keys() & set(names):
                given[name] = form(given[name])
            return original(*arguments, **given)

        return hook

    return make


def attributes(*names: str, agno_ignores_failure: bool = False) -> Make:
    """Make a hook that passes a copy of the owner to Agno, with async forms of the functions under these attributes."""

    def make(original: Original) -> Original:
        def hook(owner: Any, *arguments: Any, **given: Any) -> Any:
            if run_in_hand.get() is None:
                return original(owner, *arguments, **given)
            return original(
                with_async_attributes(owner, *names, agno_ignores_failure=agno_ignores_failure), *arguments, **given
            )

        return hook

    return make


def dependencies(original: Original) -> Original:
    """Make the hook for resolving a run's dependencies."""

    async def hook(owner: Any, run_context: Any, **given: Any) -> None:
        found = run_context.dependencies
        if run_in_hand.get() is not None and isinstance(found, dict):
            for name, value in found.items():  # changed in place, since Agno puts the results there
                found[name] = watched(threaded(value), agno_ignores_failure=True)
        await original(owner, run_context, **given)

    return hook


def tool_execution(original: Original) -> Original:
    """Make the hook for a tool call that Agno makes on the loop because the tool or one of its hooks is async."""

    async def hook(self: Any) -> Any:
        own = self.function
        if run_in_hand.get() is None:
            return await original(self)
        self.function = _function_with_forms(own)
        try:
            with own_process():
                return await original(self)
        finally:
            self.function = own

    return hook


def database(original: Original) -> Original:
    """Make the hook for an access to Agno's database."""

    async def hook(owner: Any, *arguments: Any, **given: Any) -> Any:
        return await stored(original, owner, arguments, given)

    return hook


async def stored(original: Original, owner: Any, arguments: tuple[Any, ...], given: dict[str, Any]) -> Any:
    """Read or store a session or run; with a sync database, by Agno's sync function in a thread."""
    db = getattr(owner, "db", None)
    if run_in_hand.get() is None or not _blocks(db):
        return await original(owner, *arguments, **given)
    name = original.__name__.replace("aread", "read").replace("asave", "save")
    place = type(owner) if "." in original.__qualname__ else sys.modules[original.__module__]
    call = functools.partial(getattr(place, name), owner, *arguments, **given)
    if hasattr(db, "db_engine"):  # a server or SQLite, which serialize accesses themselves
        return await in_thread(call)
    return await in_thread(_in_turn, _turns.setdefault(db, threading.Lock()), call)


def _in_turn(turn: threading.Lock, call: Callable[[], Any]) -> Any:
    """Serialize accesses as the event loop would have done: databases in files or memory need that."""
    with turn:
        return call()


def has_plain_database(owner: Any) -> bool:
    """Return whether ``stored`` uses Agno's sync function, whose own hook then applies."""
    return run_in_hand.get() is not None and _blocks(getattr(owner, "db", None))


def _blocks(db: Any) -> bool:
    if db is None:
        return False
    from agno.db.base import BaseDb
    from agno.db.in_memory import InMemoryDb

    if not isinstance(db, BaseDb) or type(db) is InMemoryDb:
        return False
    url = getattr(getattr(db, "db_engine", None), "url", None)  # in-memory SQLite would differ in each thread
    return url is None or not str(url.drivername).startswith("sqlite") or url.database not in (None, "", ":memory:")


def _forms(value: Any, *, agno_ignores_failure: bool = False) -> Any:
    if isinstance(value, list):
        return [watched(threaded(each), agno_ignores_failure=agno_ignores_failure) for each in value]
    return watched(threaded(value), agno_ignores_failure=agno_ignores_failure)


def with_async_attributes(owner: Any, *names: str, agno_ignores_failure: bool = False) -> Any:
    """Return the owner, or a copy with async forms of the sync functions under these attributes."""
    own = owner
    for name in names:
        value = getattr(owner, name, None)
        key = "" if name == STEP else f"{owner.name}.{name}"
        form = watched(threaded(value), agno_ignores_failure=agno_ignores_failure, key=key)
        if form is not value:
            own = copy.copy(owner) if own is owner else own
            setattr(own, name, form)
    return own


def _function_with_forms(function: Any) -> Any:
    plain = {name: getattr(function, name, None) for name in ("entrypoint", "pre_hook", "post_hook", "tool_hooks")}
    forms = {name: _of_tool(value) for name, value in plain.items() if not inspect.isgeneratorfunction(value)}
    changed = {name: form for name, form in forms.items() if form != plain[name]}
    own = function.model_copy() if changed else function
    for name, form in changed.items():
        setattr(own, name, form)
    return own


def _of_tool(value: Any) -> Any:
    """Return a tool's async form. Its errors are not recorded, since they go to the model."""
    return [threaded(each) for each in value] if isinstance(value, list) else threaded(value)


def _stepping(function: Any) -> Any:
    @functools.wraps(function)
    async def step(*arguments: Any, **given: Any) -> AsyncIterator[Any]:
        async for item in iterate_in_thread(function(*arguments, **given)):
            yield item

    return step


def _is_async(function: Any) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
