"""Steps of a handler: what one has done is kept, and not done again when the task is taken up again."""

import asyncio
import inspect
import json
from collections.abc import Callable
from functools import partial
from typing import Any, get_type_hints

import pydantic
from pydantic import PydanticUserError, TypeAdapter

from worker.current import Run, call_in_hand
from worker.face import bridge
from worker.face.changes import as_json
from worker.face.journaling import load, note, noted
from worker.threads import in_thread, own_process
from worker.words.errors import ValidationError

PLAIN = (Any, None, type(None), str, int, float, bool, dict, list)
"""Annotations of what JSON gives back by itself."""


async def step(run: Run, name: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Do a step, or answer what an earlier attempt has of it."""
    _check(run)
    form = _Form(name, function)
    if run.journal is None:
        return form.read(json.loads(form.write(await _called(function, arguments, None))))
    at = run.journal.step(name)
    await bridge.across(partial(load, run))
    known = noted(run, at)
    if known is not None:
        return form.read(known.value)
    text = form.write(await _called(function, arguments, partial(_key, run, at)))
    await bridge.across(partial(note, run, {at: json.loads(text)}))
    return form.read(json.loads(text))


def step_sync(run: Run, name: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Do a step in this thread, or answer what an earlier attempt has of it."""
    _check(run)
    form = _Form(name, function)
    if run.journal is None:
        with own_process():
            value = function(*arguments)
        return form.read(json.loads(form.write(value)))
    at = run.journal.step(name)
    bridge.block(partial(load, run))
    known = noted(run, at)
    if known is not None:
        return form.read(known.value)
    token = call_in_hand.set(partial(_key, run, at))
    try:
        with own_process():
            value = function(*arguments)
        text = form.write(value)
    finally:
        call_in_hand.reset(token)
    bridge.block(partial(note, run, {at: json.loads(text)}))
    return form.read(json.loads(text))


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
            with own_process():
                return await function(*arguments)
        answer = await in_thread(function, *arguments)
        return await answer if inspect.isawaitable(answer) else answer
    finally:
        call_in_hand.reset(token)


class _Form:
    """How a step's result is kept and answered: as JSON, in the form that its function's annotation says.

    It is answered as JSON gives it back, the first time too.

    Args:
        name: The step's name.
        function: What it calls.

    Raises:
        ValidationError: It says that it answers what JSON has no form for; nothing has been done.
    """

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self._name = name
        hint = _answers(function)
        try:
            self._adapter = None if hint in PLAIN else TypeAdapter[Any](hint)
        except PydanticUserError as error:
            what = f"Step {name!r} answers {hint!r}, which cannot be put into JSON: {error.message.splitlines()[0]}"
            raise ValidationError(what, field="step") from None

    def write(self, value: Any) -> str:
        """The result as JSON. Raises: ValidationError."""
        return as_json(value, f"The result of step {self._name!r}")

    def read(self, value: Any) -> Any:
        """The result as it is answered: what does not fit the annotation comes as JSON has it."""
        if self._adapter is None:
            return value
        try:
            return self._adapter.validate_python(value)
        except pydantic.ValidationError:
            return value


def _answers(function: Callable[..., Any]) -> Any:
    """What a function says that it answers; Any where it does not say, or cannot be asked."""
    while isinstance(function, partial):
        function = function.func
    try:
        return get_type_hints(function).get("return", Any)
    except Exception:  # noqa: BLE001 - annotations may name what exists for type checkers alone
        return Any
