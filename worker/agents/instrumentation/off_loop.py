"""What of an agent is plain code runs in threads: on the event loop it would stop every other task of the worker.

Agno calls most of it where it stands: hooks, instructions, retrievers, factories, dependencies, functions and
conditions of workflows, tools behind an async hook, databases. Each has an async form that Agno awaits; it is given
that, of a copy where the owner is the user's. Context variables come along, so calls within are made in the same frame.
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

from worker.agents.instrumentation.in_time import ENDING
from worker.agents.instrumentation.own_code import watched
from worker.current import run_in_hand
from worker.threads import ThreadCall, in_thread, own_process

Original = Callable[..., Any]
Make = Callable[[Original], Original]


_turns: "WeakKeyDictionary[Any, threading.Lock]" = WeakKeyDictionary()  # of databases that are no servers


def threaded(function: Any) -> Any:
    """A function that may be awaited, in place of a plain one, which it calls in a thread."""
    called = function if inspect.isroutine(function) else getattr(function, "__call__", None)  # noqa: B004 - the method is wanted, not whether there is one
    if not callable(function) or any(_is_async(each) for each in (function, called)):
        return function
    if any(inspect.isgeneratorfunction(each) for each in (function, called)):
        return _stepping(function)

    @functools.wraps(function)
    async def call(*arguments: Any, **options: Any) -> Any:
        value = await in_thread(functools.partial(function, *arguments, **options))
        return await value if inspect.isawaitable(value) else value

    return call


async def stepped(items: Iterator[Any]) -> AsyncIterator[Any]:
    """The items of a plain iterator, each made in a thread; it has the same context variables throughout."""
    context = copy_context()
    loop = asyncio.get_running_loop()
    step = functools.partial(context.run, next, items, ENDING)
    is_within = False  # whether a thread is: what is cancelled then cannot be closed
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


def options(*names: str, is_passed_over: bool = False) -> Make:
    """Give Agno's function the async form of what it is given under these names, or as its first argument.

    Args:
        names: Which.
        is_passed_over: Whether Agno goes on where they fail.
    """
    form = functools.partial(_forms, is_passed_over=is_passed_over)

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


def attributes(*names: str, is_passed_over: bool = False) -> Make:
    """Give Agno's method or function a copy of its owner, with the async form of what it holds under these names."""

    def make(original: Original) -> Original:
        def hook(owner: Any, *arguments: Any, **given: Any) -> Any:
            if run_in_hand.get() is None:
                return original(owner, *arguments, **given)
            return original(with_forms(owner, *names, is_passed_over=is_passed_over), *arguments, **given)

        return hook

    return make


def dependencies(original: Original) -> Original:
    """Agno resolves what a run depends on."""

    async def hook(owner: Any, run_context: Any, **given: Any) -> None:
        found = run_context.dependencies
        if run_in_hand.get() is not None and isinstance(found, dict):
            for name, value in found.items():  # the same dictionary: Agno puts the answers there
                found[name] = watched(threaded(value), is_passed_over=True)
        await original(owner, run_context, **given)

    return hook


def tool_execution(original: Original) -> Original:
    """Agno makes a tool call on the loop: the tool is async, or one of its hooks is."""

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
    """Agno asks its database."""

    async def hook(owner: Any, *arguments: Any, **given: Any) -> Any:
        return await stored(original, owner, arguments, given)

    return hook


async def stored(original: Original, owner: Any, arguments: tuple[Any, ...], given: dict[str, Any]) -> Any:
    """Have Agno read or store a session, or a run: with a plain database by its plain twin, in a thread."""
    db = getattr(owner, "db", None)
    if run_in_hand.get() is None or not _blocks(db):
        return await original(owner, *arguments, **given)
    name = original.__name__.replace("aread", "read").replace("asave", "save")
    place = type(owner) if "." in original.__qualname__ else sys.modules[original.__module__]
    call = functools.partial(getattr(place, name), owner, *arguments, **given)
    if hasattr(db, "db_engine"):  # a server, or SQLite, which keep their own order
        return await in_thread(call)
    return await in_thread(_in_turn, _turns.setdefault(db, threading.Lock()), call)


def _in_turn(turn: threading.Lock, call: Callable[[], Any]) -> Any:
    """Until now the loop had it done one at a time; files and memory need that."""
    with turn:
        return call()


def has_plain_database(owner: Any) -> bool:
    """Whether what ``stored`` answers comes from the plain twin, whose own hook has been there."""
    return run_in_hand.get() is not None and _blocks(getattr(owner, "db", None))


def _blocks(db: Any) -> bool:
    if db is None:
        return False
    from agno.db.base import BaseDb
    from agno.db.in_memory import InMemoryDb

    if not isinstance(db, BaseDb) or type(db) is InMemoryDb:
        return False
    url = getattr(getattr(db, "db_engine", None), "url", None)  # SQLite in memory: each thread would have its own
    return url is None or not str(url.drivername).startswith("sqlite") or url.database not in (None, "", ":memory:")


def _forms(value: Any, *, is_passed_over: bool = False) -> Any:
    if isinstance(value, list):
        return [watched(threaded(each), is_passed_over=is_passed_over) for each in value]
    return watched(threaded(value), is_passed_over=is_passed_over)


def with_forms(owner: Any, *names: str, is_passed_over: bool = False) -> Any:
    """An owner, or a copy of it with the async form of the plain functions that it holds under these names."""
    own = owner
    for name in names:
        value = getattr(owner, name, None)
        form = watched(threaded(value), is_passed_over=is_passed_over)
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
    """What a tool raises is for its model to read, so nobody else is told."""
    return [threaded(each) for each in value] if isinstance(value, list) else threaded(value)


def _stepping(function: Any) -> Any:
    @functools.wraps(function)
    async def step(*arguments: Any, **given: Any) -> AsyncIterator[Any]:
        async for item in stepped(function(*arguments, **given)):
            yield item

    return step


def _is_async(function: Any) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
