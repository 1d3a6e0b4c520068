"""What is found of functions behind decorators that keep neither names nor parameters."""

# Decorators as users write them, without types.
# pyright: reportUnknownLambdaType=false

import functools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.words.test_registry import called, problem, registry, serve
from worker.decorators import on, on_boot, on_shutdown, on_task
from worker.registry import Registry
from worker.words.statuses import TaskUpdateEventType
from worker.words.tasks import TaskRecord

__all__ = ["registry"]

Type = TaskUpdateEventType


def forwarding(function: Any) -> Any:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def by_position(function: Any) -> Any:
    return lambda *args: function(*args)  # noqa: PLW0108 - it hides what it calls


def by_name(function: Any) -> Any:
    return lambda **kwargs: function(**kwargs)  # noqa: PLW0108 - the same


def first_named(function: Any) -> Any:
    def wrapper(task: Any, *args: Any, **kwargs: Any) -> Any:
        return function(task, *args, **kwargs)

    return wrapper


def renamed(function: Any) -> Any:
    return lambda it: function(it, "C")


def claiming(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(first: Any, *rest: Any) -> Any:
        return function(first, *rest)

    return wrapper


class Decorated:
    def __init__(self, function: Any) -> None:
        self.function, self.calls = function, 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)


def injecting(function: Any) -> Any:
    return lambda *args, **kwargs: function(*args, number=9, **kwargs)


WRAPPERS = (forwarding, by_position, by_name, first_named, claiming, Decorated)


@pytest.mark.parametrize("decorate", [*WRAPPERS, lambda function: forwarding(forwarding(function))])
def test_a_wrapper_is_given_what_the_function_inside_it_takes(registry: Registry, decorate: Any) -> None:
    def inside(task: TaskRecord, context: object, number: int = 3) -> object:
        return task, context, number

    on_task(decorate(inside))
    registry.check()
    (handler,) = registry.handlers
    assert called(handler) == ("T", "C", 3)
    assert handler.name.endswith(".inside")


def test_what_a_wrapper_leaves_open_is_filled_as_well_as_can_be(registry: Registry) -> None:
    def inside(task: object, number: int, context: object = None) -> object:
        return task, number, context

    def keyword(*, context: object, task: object) -> object:
        return task, context

    on_task(agent_id="a")(injecting(inside))
    on_task(agent_id="b")(renamed(lambda task, context: (task, context)))
    on_task(agent_id="c")(lambda *args: args)
    on_task(agent_id="d")(lambda **kwargs: kwargs)
    on_task(agent_id="e")(forwarding(keyword))
    on_task(agent_id="f")(functools.partial(forwarding(lambda number, task: (number, task)), 5))
    on_task(agent_id="g")(max)  # which does not say what it takes
    registry.check()
    *seen, last = registry.handlers
    everything = {"task": "T", "event": "E", "context": "C"}
    assert [called(each) for each in seen] == [
        ("T", 9, "C"),
        ("T", "C"),
        ("T",),
        everything,
        ("T", "C"),
        (5, "T"),
    ]
    assert called(last) == "T"  # the largest letter of it


def test_listeners_that_a_wrapper_makes_alike_are_told_apart_or_refused(registry: Registry) -> None:
    def one(event: object) -> None: ...
    def two(event: object) -> None: ...

    on(Type.TaskFinished)(forwarding(one))
    on(Type.TaskFinished)(forwarding(two))
    registry.check()
    on(Type.TaskFinished)(first_named(lambda task: task))
    on(Type.TaskFinished)(first_named(lambda task: task))
    assert "two handlers of task_finished are named" in problem(registry)


def test_closures_in_circles_are_looked_through_once(registry: Registry) -> None:
    def one(*args: object) -> object:
        return two(*args)

    def two(*args: object) -> object:
        return one(*args)

    on_task(one)
    assert registry.handlers[0].filling.by_position == (("task", None),)


def test_a_hook_that_cannot_be_called_is_refused_at_start(registry: Registry) -> None:
    def generator() -> Iterator[None]:
        yield

    def needs(task: object) -> None: ...

    on_task(serve)
    on_boot(generator)
    on_shutdown(needs)
    first, second = problem(registry).splitlines()
    assert first.endswith("generator is a generator; a hook must be a function or a coroutine function")
    assert "hooks are called without arguments, but" in second
    assert Path(__file__).name in first
    assert Path(__file__).name in second


def test_a_generator_behind_a_wrapper_is_no_hook_unless_the_wrapper_does_something_with_it(registry: Registry) -> None:
    def generator() -> Iterator[None]:
        yield

    async def stream() -> AsyncIterator[None]:
        yield

    def driving(function: Any) -> Any:
        def wrapper() -> None:
            for _ in function():
                pass

        return wrapper

    def opening(function: Any) -> Any:
        def wrapper() -> None:
            next(function())

        return wrapper

    on_task(serve)
    on_boot(driving(generator))
    on_boot(opening(generator))
    registry.check()
    for hook in (forwarding(generator), by_position(stream), by_name(generator)):
        on_boot(hook)
    assert problem(registry).count("is a generator") == 3
