"""Signatures, names and source locations of functions, even behind decorators that do not preserve them."""

import dis
import inspect
import re
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from inspect import Parameter
from pathlib import Path
from typing import Any

from worker.words.errors import ConfigurationError

PARAMETERS = ("task", "event", "context")
"""The arguments that a handler can take, by name or by annotation (Task, TaskUpdateEvent, Context)."""

_BY_ANNOTATION = {"Task": "task", "TaskRecord": "task", "TaskUpdateEvent": "event", "Context": "context"}
_BY_POSITION = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_VARIABLE = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
_MAX_WRAPPERS = 20  # maximum number of nested wrappers that are unwrapped
_STEPPING = (
    "GET_ITER",
    "GET_YIELD_FROM_ITER",
    "FOR_ITER",
    "GET_AITER",
    "GET_ANEXT",
)  # instructions that iterate over a generator
_STEPPING_NAMES = {"next", "anext", "list", "tuple", "set", "send", "asend", "run", "enter_context", "__next__"}
_ANYTHING = [Parameter("arguments", Parameter.VAR_POSITIONAL)]  # for a function without a readable signature


@dataclass(frozen=True, slots=True)
class ArgumentBinding:
    """How a function's parameters are filled.

    Args:
        by_position: For the first parameters, the argument (task, event or context) or, without one, the default.
        by_name: For other parameters, their names and arguments.
    """

    by_position: tuple[tuple[str | None, Any], ...] = ()
    by_name: tuple[tuple[str, str], ...] = ()

    def call(self, function: Callable[..., Any], available: Mapping[str, Any]) -> Any:
        """Call the function.

        Args:
            function: The function.
            available: The task, the event and the context, by name.
        """
        positional = [default if what is None else available[what] for what, default in self.by_position]
        return function(*positional, **{name: available[what] for name, what in self.by_name})


def filling_of(function: Callable[..., Any]) -> ArgumentBinding:
    """Find the argument for each parameter, by its name or else its annotation.

    A wrapper that passes on ``*args`` and ``**kwargs`` is called with what the function inside it takes. If that
    function cannot be found, the wrapper is called with the task or, if it takes only keywords, with all three by name.

    Raises:
        ConfigurationError: The object is not a function, or nothing fills one of its parameters.
    """
    if not callable(function):
        raise ConfigurationError(f"@on must decorate a function, not {type(function).__name__}")
    own, inside = _parameters(function), _parameters_inside(function)
    _check(function, inside if hasattr(function, "__wrapped__") else own, inside)
    filling = _Filling()
    kinds = {each.kind for each in own}
    taken = {each.name for each in own}
    for parameter, same in _paired(own, inside):
        filling.add(parameter, argument_for(parameter) or argument_for(same))
        taken.add(same.name)
    for parameter in inside:
        if parameter.name not in taken and parameter.kind not in _VARIABLE:
            filling.pass_on(parameter, argument_for(parameter), kinds)
    if not filling.fills_anything and Parameter.VAR_POSITIONAL in kinds:
        filling.by_position.append(("task", None))
    elif not filling.fills_anything and Parameter.VAR_KEYWORD in kinds:
        filling.by_name = {name: name for name in PARAMETERS}
    return ArgumentBinding(tuple(filling.by_position), tuple(filling.by_name.items()))


class _Filling:
    """An ``ArgumentBinding`` under construction."""

    def __init__(self) -> None:
        self.by_position: list[tuple[str | None, Any]] = []
        self.by_name: dict[str, str] = {}
        self._is_contiguous = True  # whether no named parameter has been left to its default so far

    @property
    def fills_anything(self) -> bool:
        return bool(self.by_name) or any(what is not None for what, _ in self.by_position)

    def add(self, parameter: Parameter, what: str | None) -> None:
        """Fill a parameter of the function itself; None leaves it to its default."""
        if parameter.kind is Parameter.POSITIONAL_ONLY:
            self.by_position.append((what, parameter.default))
        elif what is None:
            self._is_contiguous = False
        elif parameter.kind is Parameter.POSITIONAL_OR_KEYWORD and self._is_contiguous:
            self.by_position.append((what, None))
        else:
            self.by_name[parameter.name] = what

    def pass_on(self, parameter: Parameter, what: str | None, kinds: "set[Any]") -> None:
        """Fill a parameter of the wrapped function, in a way that the wrapper accepts."""
        if what is None:
            self._is_contiguous = False
        elif parameter.kind in _BY_POSITION and Parameter.VAR_POSITIONAL in kinds and self._is_contiguous:
            self.by_position.append((what, None))
        elif parameter.kind is not Parameter.POSITIONAL_ONLY and Parameter.VAR_KEYWORD in kinds:
            self.by_name[parameter.name] = what
        else:
            self._is_contiguous = False


def _paired(own: list[Parameter], inside: list[Parameter]) -> Iterator[tuple[Parameter, Parameter]]:
    """Pair each parameter with the one at its position in the wrapped function, or else with itself."""
    places = iter([each for each in inside if each.kind in _BY_POSITION])
    for parameter in own:
        if parameter.kind in _BY_POSITION:
            yield parameter, next(places, parameter)
        elif parameter.kind not in _VARIABLE:
            yield parameter, parameter


def _check(function: Callable[..., Any], declared: list[Parameter], inside: list[Parameter]) -> None:
    """Raise ConfigurationError unless something fills each required parameter."""
    for parameter, same in _paired(declared, inside):
        if parameter.default is parameter.empty and argument_for(parameter) is None and argument_for(same) is None:
            near = get_close_matches(parameter.name, PARAMETERS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "; a handler can take task, event and context"
            name = named(function).__qualname__
            raise ConfigurationError(f"parameter {parameter.name!r} of {name} is unknown and has no default{hint}")


def argument_for(parameter: Parameter) -> str | None:
    """Return the argument for a parameter: task, event, context, or None."""
    if parameter.kind in _VARIABLE:
        return None
    return parameter.name if parameter.name in PARAMETERS else _by_annotation(parameter.annotation)


def _by_annotation(annotation: Any) -> str | None:
    if isinstance(annotation, str):
        words = re.findall(r"\w+", annotation)
    else:
        options = typing.get_args(annotation) or (annotation,)
        words = [getattr(option, "__name__", "") for option in options]
    return next((_BY_ANNOTATION[word] for word in words if word in _BY_ANNOTATION), None)


def _parameters(function: Callable[..., Any], *, follow: bool = False) -> list[Parameter]:
    """Return a function's parameters, or any number of arguments if its signature cannot be read."""
    try:
        return list(inspect.signature(function, follow_wrapped=follow).parameters.values())
    except (TypeError, ValueError):
        return _ANYTHING


def _parameters_inside(function: Callable[..., Any]) -> list[Parameter]:
    """Return the parameters of the wrapped function, if it can be found, else the function's own."""
    if isinstance(function, partial):
        whole = partial(unwrapped(function), *function.args, **function.keywords)
        return _parameters(whole, follow=True)
    return _parameters(unwrapped(function), follow=True)


def unwrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function inside wrappers that pass on their arguments, and inside partial functions."""
    for _ in range(_MAX_WRAPPERS):
        if isinstance(function, partial):
            function = function.func
        elif hasattr(function, "__wrapped__") or not _passes_on(function):
            return function
        elif (inner := _inside(function)) is not None:
            function = inner
        else:
            return function
    return function


def _passes_on(function: Callable[..., Any]) -> bool:
    """Return whether a function takes arguments that it does not name, or that nothing fills."""
    return any(argument_for(each) is None and each.default is each.empty for each in _parameters(function))


def _inside(wrapper: Callable[..., Any], seen: frozenset[int] = frozenset()) -> Callable[..., Any] | None:
    """Return the function that a wrapper calls: a function it refers to that takes an argument of handlers."""
    seen = seen | {id(wrapper)}  # closures may refer to each other
    held = [each for each in _made_with(wrapper) if id(each) not in seen]
    found = [each for each in held if _takes_something(each) or _inside(each, seen) is not None]
    return min(found, key=lambda each: "<locals>" in getattr(each, "__qualname__", "<locals>"), default=None)


def _made_with(wrapper: Callable[..., Any]) -> list[Callable[..., Any]]:
    """Return the functions in a wrapper's closure, or in the attributes of a wrapper object."""
    held: list[Any] = []
    for cell in getattr(wrapper, "__closure__", None) or ():
        try:
            held.append(cell.cell_contents)
        except ValueError:  # the cell is still empty
            continue
    if not inspect.isroutine(wrapper) and not isinstance(wrapper, type):
        held += getattr(wrapper, "__dict__", {}).values()
    return [each for each in held if inspect.isroutine(each) or isinstance(each, partial)]


def _takes_something(function: Callable[..., Any]) -> bool:
    return any(argument_for(each) is not None for each in _parameters(function, follow=True))


def named(function: Callable[..., Any]) -> Any:
    """Return the object that names a callable: the function inside partials and wrappers, or an object's class."""
    inner = unwrapped(function)
    return inner if hasattr(inner, "__qualname__") else type(inner)


def name_of(function: Callable[..., Any]) -> str:
    """Return a function's module and qualified name."""
    known = named(function)
    return f"{known.__module__}.{known.__qualname__}"


def takes_no_arguments(function: Callable[..., Any]) -> bool:
    """Return whether a function can be called without arguments."""
    own = _parameters(function)
    return all(each.kind in _VARIABLE or each.default is not each.empty for each in own)


def place(function: Callable[..., Any]) -> str:
    """Return a function's file, relative to the current directory, and line."""
    code = getattr(inspect.unwrap(named(function)), "__code__", None)
    if code is None:
        return repr(function)
    path = Path(code.co_filename)
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return f"{shown}:{code.co_firstlineno}"


def is_async(function: Callable[..., Any]) -> bool:
    """Return whether calling a function returns a coroutine or async generator, as far as can be known before."""
    called = _called(function)
    return any(inspect.iscoroutinefunction(each) or inspect.isasyncgenfunction(each) for each in called)


def is_generator(function: Callable[..., Any]) -> bool:
    """Return whether calling a function returns a generator, async or not, as far as can be known before."""
    inner = unwrapped(function)
    called = {*_called(function), *_called(inspect.unwrap(inner) if inspect.isroutine(inner) else inner)}
    called |= set(_handed_on(function))
    return any(inspect.isgeneratorfunction(each) or inspect.isasyncgenfunction(each) for each in called)


def _handed_on(function: Callable[..., Any]) -> list[Callable[..., Any]]:
    """Return the functions that a wrapper without ``__wrapped__`` may call, unless it iterates over generators."""
    code = getattr(function, "__code__", None)
    if code is None or hasattr(function, "__wrapped__"):
        return []
    steps = any(each.opname in _STEPPING for each in dis.get_instructions(code))
    return [] if steps or _STEPPING_NAMES & set(code.co_names) else _made_with(function)


def _called(function: Callable[..., Any]) -> tuple[Any, ...]:
    """Return what a call runs: the function itself, or the ``__call__`` method of an object."""
    return (function, None if inspect.isroutine(function) else getattr(function, "__call__", None))  # noqa: B004 - the method is wanted, not whether there is one
