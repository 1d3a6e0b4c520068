"""Steps of a handler: what one has done is kept, and not done again when the task is taken up again."""

import asyncio
import contextvars
import inspect
import json
from collections.abc import Callable
from functools import partial
from typing import Any

from worker.agents.journal import Journal, too_large
from worker.contracts import Platform
from worker.current import Run, call_in_hand
from worker.face import bridge
from worker.words.errors import ValidationError


async def step(run: Run, name: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Do a step, or answer what an earlier attempt has of it."""
    _check(run)
    if run.journal is None:
        return json.loads(_text(name, await _called(function, arguments, None)))
    at = run.journal.step(name)
    await bridge.across(lambda platform: _load(run, platform))
    known = run.journal.take(run.journal.root, "step", at)
    if known is not None:
        return known.value
    text = _text(name, await _called(function, arguments, partial(_key, run, at)))
    await bridge.across(lambda platform: _note(run, platform, at, json.loads(text)))
    return json.loads(text)


def step_sync(run: Run, name: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Do a step in this thread, or answer what an earlier attempt has of it."""
    _check(run)
    if run.journal is None:
        return json.loads(_text(name, function(*arguments)))
    at = run.journal.step(name)
    bridge.block(lambda platform: _load(run, platform))
    known = run.journal.take(run.journal.root, "step", at)
    if known is not None:
        return known.value
    token = call_in_hand.set(partial(_key, run, at))
    try:
        text = _text(name, function(*arguments))
    finally:
        call_in_hand.reset(token)
    bridge.block(lambda platform: _note(run, platform, at, json.loads(text)))
    return json.loads(text)


def _check(run: Run) -> None:
    """A run that should end begins nothing more. Raises: CancelledError."""
    if run.stopping:
        raise asyncio.CancelledError(run.stopping.reason)


def _key(run: Run, at: str) -> str:
    return f"{run.task_id}:step:{at}"


async def _called(function: Callable[..., Any], arguments: tuple[Any, ...], key: Callable[[], str] | None) -> Any:
    """Call a function; one that is not async in a thread, since it may block."""
    token = call_in_hand.set(key)
    try:
        if inspect.iscoroutinefunction(function):
            return await function(*arguments)
        context = contextvars.copy_context()
        answer = await asyncio.to_thread(context.run, function, *arguments)
        return await answer if inspect.isawaitable(answer) else answer
    finally:
        call_in_hand.reset(token)


def _text(name: str, value: Any) -> str:
    """A step's result as JSON: it is answered as JSON gives it back, the first time too. Raises: ValidationError."""
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        what = f"Step {name!r} answered a {type(value).__name__} that JSON cannot say: {error}"
        raise ValidationError(what, field="step") from error


async def _load(run: Run, platform: Platform) -> None:
    journal = _journal(run)
    await journal.load(platform.work if bridge.is_spare() else run.work)
    await journal.deferred.store()  # what a step does may depend on the answer of a run before it


async def _note(run: Run, platform: Platform, at: str, value: Any) -> None:
    journal = _journal(run)
    row = journal.row(journal.root, "step", at, value)
    work = platform.work if bridge.is_spare() else run.work
    events = [] if row else [too_large(f"The result of step {at}")]
    await work.emit(run.task_id, run.attempt or 0, events, [row] if row else [])


def _journal(run: Run) -> Journal:
    if run.journal is None:
        raise RuntimeError("the run keeps no journal")  # callers have looked
    return run.journal
