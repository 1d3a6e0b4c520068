"""Steps of a handler. Their results are journaled, so that a later attempt does not repeat them."""

import asyncio
import inspect
import json
from collections.abc import Callable
from functools import partial
from typing import Any, get_type_hints

import pydantic
from pydantic import PydanticUserError, TypeAdapter

from worker.current import Run, current_call_key
from worker.face import bridge
from worker.face.changes import as_json
from worker.face.journaling import load, note, noted
from worker.threads import in_thread, own_process
from worker.words.errors import ValidationError

PLAIN = (Any, None, type(None), str, int, float, bool, dict, list)
"""Annotations of values that JSON returns without conversion."""


async def step(run: Run, name: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Run a step, or return its journaled result."""
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
    """Sync version of ``step``, which runs the step in this thread."""
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
    token = current_call_key.set(partial(_key, run, at))
    try:
        with own_process():
            value = function(*arguments)
        text = form.write(value)
    finally:
        current_call_key.reset(token)
    bridge.block(partial(note, run, {at: json.loads(text)}))
    return form.read(json.loads(text))


def _check(run: Run) -> None:
    """Raise CancelledError if the run should end, so that it begins nothing more."""
    if run.stopping:
        raise asyncio.CancelledError(run.stopping.reason)


def _key(run: Run, at: str) -> str:
    return f"{run.task_id}:step:{at}"


async def _called(function: Callable[..., Any], arguments: tuple[Any, ...], key: Callable[[], str] | None) -> Any:
    """Call a function. A sync function is called in a thread, since it may block."""
    token = current_call_key.set(key)
    try:
        if inspect.iscoroutinefunction(function):
            with own_process():
                return await function(*arguments)
        answer = await in_thread(function, *arguments)
        return await answer if inspect.isawaitable(answer) else answer
    finally:
        current_call_key.reset(token)


class _Form:
    """Conversion of a step's result to JSON and back, guided by its function's return annotation.

    The first attempt's result is converted, too, so that all attempts get equal values.

    Args:
        name: The step's name.
        function: The function that the step calls.

    Raises:
        ValidationError: The annotation names a type that cannot be put into JSON. The function was not called.
    """

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self._name = name
        hint = _answers(function)
        try:
            self._adapter = None if hint in PLAIN else TypeAdapter[Any](hint)
        except PydanticUserError as error:
            what = f"Step {name!r} returns {hint!r}, which cannot be converted to JSON: {error.message.splitlines()[0]}"
            raise ValidationError(what, field="step") from None

    def write(self, value: Any) -> str:
        """Return a result as JSON.

        Raises:
            ValidationError: It cannot be put into JSON.
        """
        return as_json(value, f"The result of step {self._name!r}")

    def read(self, value: Any) -> Any:
        """Convert a JSON value to the annotation; return it unchanged if it does not fit."""
        if self._adapter is None:
            return value
        try:
            return self._adapter.validate_python(value)
        except pydantic.ValidationError:
            return value


def _answers(function: Callable[..., Any]) -> Any:
    """Return a function's return annotation, or Any if it has none or it cannot be resolved."""
    while isinstance(function, partial):
        function = function.func
    try:
        return get_type_hints(function).get("return", Any)
    except Exception:  # noqa: BLE001 - annotations may use names that exist only for type checkers
        return Any
