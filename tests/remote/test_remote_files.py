"""Attachments over HTTP: kept by our own server, and honestly fetched again where the platform keeps none."""

import asyncio

import pytest

from tests.inputs.servers import ok, serving
from tests.remote.stories import OpenRemote, ServeRemote, all_end
from tests.server.serving import Serving
from tests.supervisor.stories import FINISH_SECONDS, Handlers
from tests.workers import working
from worker import Task
from worker.testing import StandIn
from worker.words.retry import RetryPolicy
from worker.words.tasks import AgentExecutionInput, NewTask

CSV = b"year,total\n2020,5\n"
AT_ONCE = RetryPolicy(attempts=2, base=0.001)


@pytest.fixture(autouse=True)
def private_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKER_ALLOW_PRIVATE_URLS", "true")


def failing_once(handlers: Handlers) -> list[str]:
    """Bind a handler whose first attempt fails as a connection does; the messages that its attempts find."""
    seen: list[str] = []

    async def handler(task: Task) -> str:
        seen.append(task.to_message())
        if len(seen) == 1:
            raise ConnectionError("try again")
        return "done"

    handlers.bind(handler, retries=AT_ONCE)
    return seen


async def test_our_server_keeps_what_a_remote_worker_has_read(
    database_url: str, handlers: Handlers, open_remote: OpenRemote
) -> None:
    server = Serving(database_url).start()
    await server.started()
    seen = failing_once(handlers)
    try:
        remote = await open_remote(server.base, None)
        async with working(remote, handlers), serving() as site:
            site.routes["/a.csv"] = ok(CSV, "text/csv")
            wish = NewTask(agent_id="agent", input=AgentExecutionInput(files=[site.url("/a.csv")]))
            task = await remote.tasks.create(wish)
            async with asyncio.timeout(FINISH_SECONDS):
                async for _ in remote.tasks.events(task.id):
                    pass
            assert (len(site.heads), len(seen)) == (1, 2)
        assert seen[0] == seen[1]
        (file,) = await remote.tasks.kept_files(task.id)
        assert (await remote.tasks.open_file(file.reference)).content == CSV
    finally:
        server.stop()


async def test_a_bare_platform_keeps_nothing_and_a_retry_fetches_again(
    platform: StandIn, handlers: Handlers, serve: ServeRemote
) -> None:
    seen = failing_once(handlers)
    async with serving() as site, serve():
        site.routes["/a.csv"] = ok(CSV, "text/csv")
        task = platform.create(input={"files": [site.url("/a.csv")]})
        await all_end(platform, [task])
        assert (len(site.heads), len(seen)) == (2, 2)
    assert "2020,5" in seen[1]
