"""What the tests of the remote platform have in common."""

from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager

from tests.support import wait_until
from worker.remote.remote import Remote
from worker.supervisor import Supervisor
from worker.testing import StandIn

KEY = "a-key-that-nobody-may-see"
SECONDS = 30

OpenRemote = Callable[..., Awaitable[Remote]]
ServeRemote = Callable[..., AbstractAsyncContextManager[Supervisor]]


async def all_end(platform: StandIn, tasks: Iterable[str], status: str = "completed") -> None:
    """Wait until every task has ended so; what a lost task looks like is that this never happens."""
    expected = dict.fromkeys(tasks, status)
    await wait_until(
        lambda: {each: platform.status(each) for each in expected} == expected,
        f"{len(expected)} tasks {status}",
        SECONDS,
    )


def none_twice(platform: StandIn, tasks: Iterable[str]) -> None:
    """None was run twice to its end."""
    assert {each: platform.ends[each] for each in tasks} == dict.fromkeys(tasks, 1)
