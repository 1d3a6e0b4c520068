"""Limits of the process that a handler lowers for itself do not keep the worker from its other tasks."""

import resource
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.supervisor.stories import Handlers, Serve, create, done, finished
from worker import Task
from worker.engine.engine import Engine
from worker.supervisor import process_limits
from worker.words.statuses import AgentExecutionStatus as Status

pytestmark = pytest.mark.usefixtures("environment")


def lower(number: int, soft: int) -> None:
    resource.setrlimit(number, (soft, resource.getrlimit(number)[1]))


WAYS: dict[str, Callable[[], None]] = {
    "recursion": lambda: sys.setrecursionlimit(150),
    "files": lambda: lower(resource.RLIMIT_NOFILE, 5),
    "memory": lambda: lower(resource.RLIMIT_AS, 1024),
    "seconds": lambda: lower(resource.RLIMIT_CPU, 100_000),
}


@pytest.fixture(autouse=True)
def limits() -> Iterator[None]:
    """The process has its limits again, whatever a test does."""
    recursion = sys.getrecursionlimit()
    numbers = (resource.RLIMIT_NOFILE, resource.RLIMIT_AS, resource.RLIMIT_CPU)
    former = {number: resource.getrlimit(number) for number in numbers}
    yield
    sys.setrecursionlimit(recursion)
    for number, limit in former.items():
        resource.setrlimit(number, limit)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("in_thread", [True, False])
async def test_what_a_handler_lowers_is_as_before_for_everything_after_it(
    engine: Engine, handlers: Handlers, serve: Serve, way: str, *, in_thread: bool
) -> None:
    def sync(task: Task) -> str:
        WAYS[way]()
        raise ValueError("after lowering it")

    async def coroutine(task: Task) -> str:
        return sync(task)

    async def neighbour(task: Task) -> str:
        return "fine"

    handlers.bind(sync if in_thread else coroutine, "lowers")
    handlers.bind(neighbour, "neighbour")
    async with serve():
        assert (await finished(engine, await create(engine, "lowers"))).status is Status.Error
        assert (await done(engine, "neighbour")).result == "fine"


def test_a_limit_that_was_raised_or_is_that_of_the_operator_stays() -> None:
    process_limits.remember()
    sys.setrecursionlimit(sys.getrecursionlimit() + 500)
    raised = sys.getrecursionlimit()
    process_limits.restore()
    assert sys.getrecursionlimit() == raised
