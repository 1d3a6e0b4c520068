"""The behavioural suite's ground: platforms to run its sentences against, on PostgreSQL 18 and 16.

Another platform joins by one entry in OPENERS. Where it cannot do what a sentence asks, its ``capabilities`` say so,
and the marker ``needs`` skips the sentence, visibly and with the reason; single differences are listed by name.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import psycopg
import pytest

from tests.server.serving import Serving
from worker.contracts import Platform
from worker.engine.engine import Engine
from worker.engine.timings import EngineTimings
from worker.remote.remote import Remote

OpenPlatform = Callable[..., Awaitable[Platform]]
Sql = Callable[..., Awaitable[list[tuple[object, ...]]]]


async def _engine(url: str, organization_id: str, timings: EngineTimings, stack: AsyncExitStack) -> Platform:
    engine = Engine(url, organization_id=organization_id, timings=timings)
    stack.push_async_callback(engine.close)
    await engine.open()
    return engine


async def _remote(url: str, organization_id: str, timings: EngineTimings, stack: AsyncExitStack) -> Platform:
    """Over HTTP: a server of its own on the database, in a thread, and the remote platform in front of it."""
    serving = Serving(url, timings=timings).start()
    stack.callback(serving.stop)
    await serving.started()
    remote = Remote(f"{serving.base}/{organization_id}", organization_id=organization_id)
    stack.push_async_callback(remote.close)
    await remote.open()
    await remote.survey()
    return remote


OPENERS: dict[str, Callable[[str, str, EngineTimings, AsyncExitStack], Awaitable[Platform]]] = {
    "engine": _engine,
    "remote": _remote,
}
"""Every platform of the suite: its name, and how it is opened for a database and an organization."""


OWN_TASKS_ALONE = "a server hints its remote workers at changes of the tasks that they hold, not of all"
DIFFERENCES = {
    "remote": {
        "test_a_worker_hears_of_changed_tasks_of_every_process": OWN_TASKS_ALONE,
        "test_a_listener_that_raises_stops_nobodys_writes": OWN_TASKS_ALONE,
        "test_renewing_holds_on_to_a_workers_leases": "a remote worker's lease is 6 s, three heartbeats",
        "test_a_subscription_is_given_up_after_7_days_without_a_worker": (
            "a remote worker that goes without leaving is missed after 6 s, later than this sentence waits"
        ),
        "test_a_file_with_a_hostile_name_is_stored": "a header cannot carry a media type with NUL in it",
    }
}
"""Sentences that a platform does not fulfil, and why not."""


@pytest.fixture(scope="session", params=[18, 16], ids=["postgresql18", "postgresql16"])
def postgres_version(request: pytest.FixtureRequest) -> int:
    return request.param


@pytest.fixture(params=sorted(OPENERS))
async def open_platform(
    request: pytest.FixtureRequest, database_url: str, timings: EngineTimings
) -> AsyncIterator[OpenPlatform]:
    """Open one more platform on this test's database, as another process would; all are closed in the end."""
    difference = DIFFERENCES.get(request.param, {}).get(request.node.originalname)
    if difference is not None:
        pytest.skip(f"{request.param}: {difference}")
    async with AsyncExitStack() as stack:

        async def open_one(organization_id: str = "default") -> Platform:
            return await OPENERS[request.param](database_url, organization_id, timings, stack)

        yield open_one


@pytest.fixture
async def platform(request: pytest.FixtureRequest, open_platform: OpenPlatform) -> Platform:
    platform = await open_platform()
    needed = request.node.get_closest_marker("needs")
    for capability in needed.args if needed else ():
        if getattr(platform.capabilities, capability) not in (True, "exact"):
            pytest.skip(f"{platform.description} declares that it has no {capability}")
    return platform


@pytest.fixture
def sql(database_url: str) -> Sql:
    """Run a statement behind the platform's back: to move time, or to look."""

    async def run(statement: str, *parameters: object) -> list[tuple[object, ...]]:
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
            cursor = await connection.execute(statement.encode(), parameters)
            return await cursor.fetchall() if cursor.description else []

    return run


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Over HTTP the sentences run on PostgreSQL 18 alone: the server has no SQL of its own, and 16 is the engine's."""
    items[:] = [item for item in items if not ("postgresql16" in item.name and "remote" in item.name)]
