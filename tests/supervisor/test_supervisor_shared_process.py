"""What a handler takes from the process, such as limits that it lowers, does not keep others from their work."""

import resource
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module

import pytest

from tests.supervisor.stories import Handlers, Serve, create, done, finished
from worker import Task
from worker.engine.engine import Engine
from worker.supervisor import shared_process
from worker.words.statuses import AgentExecutionStatus as Status

pytestmark = pytest.mark.usefixtures("environment")


MODULES = ("asyncio", "json", "socket", "threading")


def lower(number: int, soft: int) -> None:
    resource.setrlimit(number, (soft, resource.getrlimit(number)[1]))


WAYS: dict[str, Callable[[], object]] = {
    "recursion": lambda: sys.setrecursionlimit(150),
    "files": lambda: lower(resource.RLIMIT_NOFILE, 5),
    "memory": lambda: lower(resource.RLIMIT_AS, 1024),
    "modules": lambda: [sys.modules.pop(name) for name in MODULES],
    "pools": lambda: setattr(ThreadPoolExecutor, "submit", None),
    "seconds": lambda: lower(resource.RLIMIT_CPU, 100_000),
}


@pytest.fixture(autouse=True)
def parts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The process has its parts again, whatever a test does."""
    monkeypatch.setattr(ThreadPoolExecutor, "submit", ThreadPoolExecutor.submit)
    for name in MODULES:
        monkeypatch.setitem(sys.modules, name, sys.modules[name])
    recursion = sys.getrecursionlimit()
    numbers = (resource.RLIMIT_NOFILE, resource.RLIMIT_AS, resource.RLIMIT_CPU)
    former = {number: resource.getrlimit(number) for number in numbers}
    yield
    sys.setrecursionlimit(recursion)
    for number, limit in former.items():
        resource.setrlimit(number, limit)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("in_thread", [True, False])
async def test_what_a_handler_takes_from_the_process_is_there_for_everything_after_it(
    engine: Engine, handlers: Handlers, serve: Serve, way: str, *, in_thread: bool
) -> None:
    def sync(task: Task) -> str:
        WAYS[way]()
        raise ValueError("afterwards")

    async def coroutine(task: Task) -> str:
        return sync(task)

    def neighbour(task: Task) -> str:
        return import_module("asyncio").__name__

    handlers.bind(sync if in_thread else coroutine, "takes")
    handlers.bind(neighbour, "neighbour")
    async with serve():
        assert (await finished(engine, await create(engine, "takes"))).status is Status.Error
        assert (await done(engine, "neighbour")).result == "asyncio"


def test_a_limit_that_was_raised_or_is_that_of_the_operator_stays() -> None:
    shared_process.remember()
    sys.setrecursionlimit(sys.getrecursionlimit() + 500)
    raised = sys.getrecursionlimit()
    shared_process.restore()
    assert sys.getrecursionlimit() == raised
