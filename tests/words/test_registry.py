"""Handlers and their events: what can be bound, what is refused at start and how it is told."""

import functools
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from worker import registry as registries
from worker.decorators import on, on_boot, on_shutdown, on_task
from worker.registry import Handler, Registry
from worker.words import handler_options
from worker.words.errors import ConfigurationError
from worker.words.events import TaskUpdateEvent
from worker.words.handler_options import HandlerOptions
from worker.words.retry import RetryPolicy
from worker.words.statuses import BINDABLE, TaskUpdateEventType
from worker.words.tasks import TaskRecord

Type = TaskUpdateEventType


def serve(task: TaskRecord) -> None: ...
def other(task: TaskRecord) -> None: ...


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The process's own registry, empty."""
    fresh = Registry()
    monkeypatch.setattr(registries, "default", fresh)
    return fresh


def called(handler: Handler) -> Any:
    """What a handler was called with."""
    return handler.filling.call(handler.function, {"task": "T", "event": "E", "context": "C"})


def problem(registry: Registry) -> str:
    with pytest.raises(ConfigurationError) as caught:
        registry.check()
    return str(caught.value)


def test_the_decorated_function_is_returned_unchanged(registry: Registry) -> None:
    def function(task: TaskRecord) -> None: ...

    assert on(Type.TaskCreated)(function) is function
    assert on_task(function) is function
    assert on_task(agent_id="a")(function) is function
    assert on_boot(function) is function
    assert on_shutdown(function) is function
    assert (registry.boot_hooks, registry.shutdown_hooks) == ([function], [function])
    assert [handler.agent_id for handler in registry.handlers] == [None, None, "a"]


@pytest.mark.parametrize("kind", BINDABLE)
def test_all_six_types_can_be_bound_by_member_or_by_name(registry: Registry, kind: TaskUpdateEventType) -> None:
    on(kind)(serve)
    on(str(kind), agent_id="a")(serve)
    assert [handler.event_type for handler in registry.handlers] == [kind, kind]
    assert registry.problems == []


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("task_crated", "did you mean 'task_created'?"), ("chunk", "one of task_created, task_updated"), (5, "'5'")],
)
def test_another_type_is_a_problem_that_suggests_the_one_meant(registry: Registry, kind: Any, expected: str) -> None:
    @on(kind)
    def handler(task: TaskRecord) -> None: ...

    told = problem(registry)
    assert expected in told
    assert f"{Path(__file__).name}:" in told


def test_parameters_are_filled_by_name_or_by_annotation(registry: Registry) -> None:
    class Context: ...

    @on_task
    def handler(
        it: TaskRecord,
        what: "TaskUpdateEvent | None",
        plain: int = 4,
        rest: Context | None = None,
        /,
        task: object = None,
        *,
        extra: int = 5,
        event: object,
        **more: Any,
    ) -> tuple[Any, ...]:
        return it, what, plain, rest, task, extra, event, more

    (found,) = registry.handlers
    assert called(found) == ("T", "E", 4, "C", "T", 5, "E", {})


def test_a_handler_of_a_method_or_of_a_partial_function_can_be_bound(registry: Registry) -> None:
    class Service:
        def serve(self, task: TaskRecord) -> object:
            return task

    def greet(task: TaskRecord, greeting: str) -> object:
        return task, greeting

    on_task(agent_id="a")(Service().serve)
    on_task(agent_id="b")(functools.partial(greet, greeting="hello"))
    registry.check()
    assert [called(handler) for handler in registry.handlers] == ["T", ("T", "hello")]
    assert [handler.name.rpartition(".")[2] for handler in registry.handlers] == ["serve", "greet"]
    assert all(Path(__file__).name in handler.place for handler in registry.handlers)


def test_two_handlers_for_one_agents_tasks_are_an_error_that_names_both_places(registry: Registry) -> None:
    @on_task(agent_id="a")
    def first(task: TaskRecord) -> None: ...

    @on_task(agent_id="a")
    def second(task: TaskRecord) -> None: ...

    told = problem(registry)
    assert "a second task_created handler for agent 'a'" in told
    assert told.count(Path(__file__).name) == 2


def test_two_handlers_for_any_agents_tasks_are_an_error(registry: Registry) -> None:
    on_task(serve)
    on_task(other)
    assert "a second task_created handler for any agent" in problem(registry)


def test_a_function_bound_twice_to_the_same_event_is_an_error(registry: Registry) -> None:
    def hear(event: TaskUpdateEvent) -> None: ...

    on(Type.TaskFinished)(on(Type.TaskFinished)(hear))
    assert "is registered twice for task_finished" in problem(registry)


def test_many_may_listen_to_one_event(registry: Registry) -> None:
    def one(event: TaskUpdateEvent) -> None: ...
    def two(event: TaskUpdateEvent) -> None: ...

    on(Type.TaskFinished)(one)
    on(Type.TaskFinished)(two)
    on(Type.TaskFinished, agent_id=["a", "b"])(one)
    registry.check()
    assert len(registry.listeners()) == 4


def test_a_parameter_that_nothing_fills_is_an_error_with_its_place_and_a_suggestion(registry: Registry) -> None:
    @on_task
    def handler(taks) -> None: ...  # type: ignore[no-untyped-def] # noqa: ANN001 - the point of the test

    told = problem(registry)
    assert "parameter 'taks' of" in told
    assert "did you mean 'task'?" in told
    assert f"{Path(__file__).name}:" in told


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"timeout": 0}, "timeout must be a number above 0"),
        ({"timeout": "5"}, "timeout must be a number above 0"),
        ({"timeout": float("nan")}, "timeout must be a number above 0"),
        ({"retries": 0}, "retries must be a"),
        ({"retries": 1.5}, "retries must be a"),
        ({"concurrency": True}, "concurrency must be a"),
        ({"concurrency": 2.5}, "concurrency must be a"),
        ({"agent_id": "a b"}, "agent_id must be 1 to 128 characters"),
    ],
)
def test_an_option_that_does_not_fit_is_an_error(registry: Registry, options: dict[str, Any], expected: str) -> None:
    on_task(**options)(serve)
    assert expected in problem(registry)


def test_all_problems_are_told_at_once(registry: Registry) -> None:
    on_task(timeout=-1)(serve)
    on("no_such")(serve)
    assert len(problem(registry).splitlines()) == 2


def test_a_registry_without_handlers_is_an_error(registry: Registry) -> None:
    assert "no handler is registered" in problem(registry)


def test_options_have_their_meaning(registry: Registry) -> None:
    policy = RetryPolicy(attempts=7)
    on_task(agent_id="a", timeout=5, retries=2, concurrency=3)(serve)
    on_task(agent_id="b", retries=policy)(serve)
    on_task(serve)
    first, second, third = registry.handlers
    assert (first.timeout, first.retries.attempts, first.concurrency) == (5, 2, 3)
    assert second.retries is policy
    assert (third.timeout, third.retries, third.concurrency) == (None, RetryPolicy(), None)


def test_a_handler_that_names_the_agent_beats_the_one_for_any(registry: Registry) -> None:
    on_task(agent_id="a")(serve)
    on_task(other)
    for agent_id, function in (("a", serve), ("b", other)):
        found = registry.handler_for(agent_id)
        assert found is not None
        assert found.function is function


def test_without_a_fitting_handler_there_is_none(registry: Registry) -> None:
    on_task(agent_id="a")(serve)
    on(Type.TaskFinished)(serve)
    assert registry.handler_for("b") is None


def test_async_handlers_are_told_from_sync_ones(registry: Registry) -> None:
    async def later(task: TaskRecord) -> None: ...

    class Callable:
        async def __call__(self, task: TaskRecord) -> None: ...

    on_task(agent_id="a")(later)
    on_task(agent_id="b")(serve)
    on_task(agent_id="c")(functools.partial(later))
    on_task(agent_id="d")(Callable())
    assert [handler.is_async for handler in registry.handlers] == [True, False, True, True]


def test_every_option_is_checked_described_and_held() -> None:
    options = get_type_hints(HandlerOptions).keys()
    assert options == handler_options.CHECKS.keys()
    assert options <= {field.name for field in fields(Handler)}
    assert [name for name in options if f" {name}: " not in str(on.__doc__)] == []


@pytest.mark.parametrize("name", ["timeut", "needs"])
def test_an_option_that_does_not_exist_names_those_that_do(name: str) -> None:
    unknown: Any = {name: "3"}
    with pytest.raises(TypeError, match=rf"unknown handler option '{name}'.*timeout, retries"):
        on(Type.TaskCreated, **unknown)(serve)
