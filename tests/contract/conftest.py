"""The behavioural suite's ground: platforms to run its sentences against, on PostgreSQL 18 and 16.

Another platform joins by one entry in OPENERS. Where it cannot do what a sentence asks, its ``capabilities`` say so,
and the marker ``needs`` skips the sentence, visibly and with the reason.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import psycopg
import pytest

from worker.contracts import Platform
from worker.engine import pulse
from worker.engine.engine import Engine

BEAT = 0.05  # seconds; the pulse's own quarter of a second would be paid at the end of every test

OpenPlatform = Callable[..., Awaitable[Platform]]
Sql = Callable[..., Awaitable[list[tuple[object, ...]]]]


def _engine(url: str, organization_id: str) -> Platform:
    return Engine(url, organization_id=organization_id)


OPENERS: dict[str, Callable[[str, str], Platform]] = {"engine": _engine}
"""Every platform of the suite: its name, and how it is made for a database and an organization."""


@pytest.fixture(scope="session", params=[18, 16], ids=["postgresql18", "postgresql16"])
def postgres_version(request: pytest.FixtureRequest) -> int:
    return request.param


@pytest.fixture(params=sorted(OPENERS))
async def open_platform(
    request: pytest.FixtureRequest, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[OpenPlatform]:
    """Open one more platform on this test's database, as another process would; all are closed in the end."""
    monkeypatch.setattr(pulse, "BEAT", BEAT)
    async with AsyncExitStack() as stack:

        async def open_one(organization_id: str = "default") -> Platform:
            platform = OPENERS[request.param](database_url, organization_id)
            stack.push_async_callback(platform.close)
            await platform.open()
            return platform

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
