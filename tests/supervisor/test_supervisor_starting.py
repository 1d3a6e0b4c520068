"""A worker that starts while its database is away waits for it, and can be stopped meanwhile."""

import asyncio

import pytest

from tests.engine.proxy import Proxy, way
from tests.supervisor.stories import Handlers, create, finished
from tests.support import wait_until
from worker.engine.engine import Engine
from worker.settings import Settings
from worker.supervisor import Supervisor
from worker.words.notices import Notice, PlatformTrouble
from worker.words.statuses import AgentExecutionStatus as Status

__all__ = ["way"]

pytestmark = pytest.mark.usefixtures("environment")


def waits(notices: list[Notice]) -> bool:
    return any(isinstance(each, PlatformTrouble) and each.doing == "opening the platform" for each in notices)


async def test_it_begins_once_the_database_is_there(
    way: Proxy, engine: Engine, handlers: Handlers, notices: list[Notice]
) -> None:
    handlers.bind(lambda: "done")
    await way.take()
    platform = Engine(way.url)
    supervisor = Supervisor(platform, handlers, Settings.model_validate({"database_url": way.url, "drain_seconds": 1}))
    running = asyncio.create_task(supervisor.run())
    try:
        await wait_until(lambda: waits(notices), "the worker waits for its database")
        await way.give()
        task = await finished(engine, await create(engine))
        assert (task.status, task.result) == (Status.Completed, "done")
    finally:
        supervisor.stop()
        await running
        await platform.close()


async def test_it_can_be_stopped_while_the_database_is_away(
    way: Proxy, handlers: Handlers, notices: list[Notice]
) -> None:
    await way.take()
    platform = Engine(way.url)
    supervisor = Supervisor(platform, handlers, Settings.model_validate({"database_url": way.url}))
    running = asyncio.create_task(supervisor.run())
    await wait_until(lambda: waits(notices), "the worker waits for its database")
    supervisor.stop()
    await asyncio.wait_for(running, 30)
    await platform.close()
