"""How long Remote waits, and where it goes on after what was cut."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from httpx_sse import ServerSentEvent

from tests.remote.stories import KEY, OpenRemote
from tests.server.serving import Serving
from tests.supervisor.stories import create
from worker.contracts.waiting import Backoff
from worker.remote.http import transport
from worker.remote.http.transport import Failed, Transport
from worker.remote.timings import RemoteTimings
from worker.words.errors import Unavailable
from worker.words.events import NewEvent
from worker.words.statuses import TaskUpdateEventType as Type


@pytest.mark.parametrize(("asked", "waited"), [(0.0, 0.0), (7.5, 7.5), (60.0, 60.0), (3600.0, 60.0)])
def test_what_a_server_asks_to_be_waited_is_obeyed_up_to_a_minute(asked: float, waited: float) -> None:
    failed = Failed(Unavailable("busy", retry_after=asked), 503, acted=False)
    outcome = SimpleNamespace(exception=lambda: failed)
    assert transport._wait(SimpleNamespace(outcome=outcome)) == waited  # type: ignore[arg-type] - what it reads of it


async def test_an_event_stream_is_given_up_after_45_silent_seconds_and_an_answer_after_15(
    open_remote: OpenRemote, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    async def refuse(self: Transport, request: httpx.Request, *arguments: Any, **options: Any) -> Any:
        asked.append(request.extensions["timeout"])
        raise Failed(Unavailable("no"), 404, acted=False)

    monkeypatch.setattr(Transport, "_try", refuse)
    remote = await open_remote("http://127.0.0.1:1")
    with pytest.raises(Unavailable):
        async with remote._transport.stream("/x"):
            pass
    with pytest.raises(Unavailable):
        await remote._transport.call("GET", "/x")
    assert [each["read"] for each in asked] == [45.0, 15.0]


@pytest.fixture
async def serving(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Serving]:
    serving = Serving(database_url, key=KEY).start()
    await serving.started()
    yield serving
    serving.stop()


@pytest.mark.parametrize("remote_timings", [RemoteTimings(reconnect=Backoff(0.01, 0.01))], ids=["quick"])
async def test_whoever_follows_a_task_goes_on_after_the_last_number_however_often_it_is_cut(
    serving: Serving, open_remote: OpenRemote, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = await open_remote(serving.base)
    task = await create(remote)  # type: ignore[arg-type] - a platform of the same contract
    await remote.tasks.push(task.id, [NewEvent(type=Type.Chunk, data=str(number)) for number in range(10)])
    await remote.tasks.stop(task.id)
    real = Transport.stream
    resumed: list[str | None] = []

    @asynccontextmanager
    async def cut(self: Transport, path: str, **options: Any) -> AsyncGenerator[Any]:
        resumed.append(options["headers"].get("last-event-id"))

        async def some(sent: AsyncGenerator[ServerSentEvent]) -> AsyncGenerator[ServerSentEvent]:
            left = 4  # the first of them is `connected`
            async for each in sent:
                if not left:
                    raise Unavailable("the stream broke")
                left -= 1
                yield each

        async with real(self, path, **options) as sent:
            yield some(sent)

    monkeypatch.setattr(Transport, "stream", cut)
    numbers = [event.number async for event in remote.tasks.events(task.id)]
    assert numbers == list(range(1, 13))
    assert resumed == [None, "3", "6", "9"]
