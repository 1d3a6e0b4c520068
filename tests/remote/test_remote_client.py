"""The verbs of clients against a platform that knows none of our additions, and the way requests are repeated."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tests.remote.stories import KEY, SECONDS, OpenRemote
from tests.support import wait_until
from worker.remote.http.refusals import KeyRefused
from worker.remote.remote import Remote
from worker.remote.timings import RemoteTimings
from worker.testing import StandIn
from worker.testing.http import Answer, Request, Server
from worker.words.agents import AgentRecord
from worker.words.errors import (
    AgentNotFound,
    Conflict,
    ModuleException,
    TaskNotFound,
    TooLarge,
    Unavailable,
    Unsupported,
    ValidationError,
)
from worker.words.events import NewEvent
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.statuses import TaskUpdateEventType as Type
from worker.words.task_lists import TaskQuery
from worker.words.tasks import AgentExecutionInput, NewTask

WISH = NewTask(agent_id="agent", input=AgentExecutionInput(text="a question"))


class Scripted:
    """A server that answers what it is told to, in order, the last one for ever; it notes what came."""

    def __init__(self) -> None:
        self.answers: list[Callable[[Request], Answer]] = []
        self.requests: list[Request] = []
        self.server = Server(self._handle, lambda _request, _stream: None)

    async def _handle(self, request: Request) -> Answer:
        self.requests.append(request)
        return (self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])(request)

    def will_answer(self, *answers: tuple[int, Any]) -> None:
        self.answers = [lambda _, status=status, body=body: Answer(body, status) for status, body in answers]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"


@pytest.fixture
async def scripted() -> AsyncIterator[Scripted]:
    scripted = Scripted()
    await scripted.server.start()
    yield scripted
    await scripted.server.stop()


TASK = {
    "id": "t",
    "agent_id": "agent",
    "organization_id": "o",
    "input": {"text": "x"},
    "created_at": "2026-01-01T00:00:00Z",
    "status": "pending",
}


async def test_a_task_is_made_read_changed_listed_and_stopped(remote: Remote, platform: StandIn) -> None:
    task = await remote.tasks.create(WISH)
    assert task.status is Status.Pending
    await remote.tasks.update(task.id, {"internal_status": "seen", "title": "T"})
    read = await remote.tasks.get(task.id)
    assert (read.internal_status, read.title) == ("seen", "T")
    other = await remote.tasks.create(WISH)
    for query in (TaskQuery(agent_id="agent"), TaskQuery()):
        assert [item.id for item in await remote.tasks.find(query)] == [other.id, task.id]
    assert [item.id for item in await remote.tasks.find(TaskQuery(limit=1, before=other.id))] == [task.id]
    assert (await remote.tasks.stop(task.id)).status is Status.Stopped
    assert [item.id for item in await remote.tasks.find(TaskQuery(status=Status.Stopped))] == [task.id]
    assert (await remote.tasks.activity(task.id)).messages == []
    assert [agent.id for agent in await remote.tasks.list_agents()] == ["agent"]
    assert (await remote.tasks.get_agent("agent")).model_name == "gpt-5-mini"


async def test_what_a_bare_platform_cannot_do_is_refused_by_name(remote: Remote) -> None:
    task = await remote.tasks.create(WISH)
    for verb, what in (
        (lambda: remote.tasks.retry(task.id), "retry a task"),
        (lambda: remote.tasks.store_file("a.txt", "text/plain", b"x"), "store files"),
        (lambda: remote.tasks.save_agent(AgentRecord(id="a", name="a", unique_name="a")), "save agents"),
    ):
        with pytest.raises(Unsupported, match=what):
            await verb()


async def test_what_is_not_there_is_not_found(remote: Remote) -> None:
    for verb in (
        lambda: remote.tasks.get("unknown"),
        lambda: remote.tasks.stop("unknown"),
        lambda: remote.tasks.retry("unknown"),
        lambda: remote.tasks.update("unknown", {"title": "x"}),
        lambda: remote.tasks.get(""),
        lambda: remote.tasks.get("../agents"),
        lambda: remote.tasks.push("unknown", [NewEvent(type=Type.Chunk)]),
        lambda: anext(aiter(remote.tasks.events("unknown"))),
    ):
        with pytest.raises(TaskNotFound):
            await verb()
    with pytest.raises(AgentNotFound):
        await remote.tasks.get_agent("unknown")


async def test_what_does_not_fit_is_refused_before_it_is_sent(remote: Remote, platform: StandIn) -> None:
    task = await remote.tasks.create(WISH)
    for changes in ({"internal_status": "x" * 256}, {"status": "done"}, {"duration": float("nan")}):
        with pytest.raises(ValidationError) as caught:
            await remote.tasks.update(task.id, changes)
        assert [caught.value.field] == list(changes)
    with pytest.raises(TooLarge):
        await remote.tasks.store_file("big", "text/plain", b"x" * (50 * 1024 * 1024 + 1))
    assert platform.tasks[task.id]["updated_at"] is None


@pytest.mark.parametrize("remote_timings", [RemoteTimings(so_far=0.1)], ids=["quick"])
async def test_events_of_a_finished_task_end_where_the_platform_repeats_nothing(
    remote: Remote, platform: StandIn
) -> None:
    task = platform.create()
    assert [event async for event in remote.tasks.events(task, follow=False)] == []
    platform._set(task, status="completed", result="R")
    (end,) = [event async for event in remote.tasks.events(task)]
    assert (end.type, end.data.result, end.number) == (Type.TaskFinished, "R", None)


async def test_a_create_is_not_repeated_where_the_platform_may_have_acted_and_knows_no_keys(
    scripted: Scripted, open_remote: OpenRemote
) -> None:
    remote = await open_remote(scripted.url)
    scripted.will_answer((404, {"detail": "no such route"}))
    assert not (await remote.survey()).fencing
    scripted.requests.clear()
    scripted.will_answer((500, {"detail": "broken"}), (200, TASK))
    with pytest.raises(ModuleException, match="broken"):
        await remote.tasks.create(WISH)
    assert len(scripted.requests) == 1
    assert scripted.requests[0].headers["idempotency-key"]


async def test_a_busy_platform_is_asked_again_after_the_seconds_it_names(
    scripted: Scripted, open_remote: OpenRemote
) -> None:
    remote = await open_remote(scripted.url)
    scripted.will_answer((503, {"detail": "away"}), (429, {"retry_after": 0.3}), (200, TASK))
    began = asyncio.get_running_loop().time()
    assert (await remote.tasks.create(WISH)).id == "t"
    assert asyncio.get_running_loop().time() - began >= 0.3
    keys = {request.headers["idempotency-key"] for request in scripted.requests}
    assert (len(scripted.requests), len(keys)) == (3, 1)


async def test_what_stays_away_is_unavailable_after_some_tries(scripted: Scripted, open_remote: OpenRemote) -> None:
    remote = await open_remote(scripted.url)
    scripted.will_answer((503, {"detail": "away", "retry_after": 0}))
    with pytest.raises(Unavailable):
        await remote.tasks.get("t")
    assert len(scripted.requests) == 5


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_key_is_final_and_never_shown(scripted: Scripted, open_remote: OpenRemote, status: int) -> None:
    remote = await open_remote(scripted.url)
    scripted.will_answer((status, {"description": f"{KEY} is no key"}))
    with pytest.raises(KeyRefused, match="XPANDER_API_KEY") as caught:
        await remote.tasks.get("t")
    assert (len(scripted.requests), caught.value.status_code) == (1, status)
    assert KEY not in str(caught.value)


async def test_a_conflict_and_a_broken_answer_are_told_with_the_platforms_words_and_without_the_key(
    scripted: Scripted, open_remote: OpenRemote
) -> None:
    remote = await open_remote(scripted.url)
    scripted.will_answer((409, {"description": f"it runs ({KEY})"}))
    with pytest.raises(Conflict, match=r"it runs \(\*\*\*\)"):
        await remote.tasks.retry("t")
    scripted.will_answer((422, {"detail": [{"loc": ["body", "title"], "msg": "no text"}]}))
    with pytest.raises(ValidationError, match="title: no text") as caught:
        await remote.tasks.update("t", {"title": "a title"})
    assert caught.value.field == "title"
    scripted.will_answer((200, "<html>"))
    with pytest.raises(ModuleException, match="cannot be parsed"):
        await remote.tasks.get("t")


async def test_a_task_with_fields_that_we_do_not_understand_is_read_all_the_same(
    scripted: Scripted, open_remote: OpenRemote
) -> None:
    remote = await open_remote(scripted.url)
    odd = {"output_format": "hologram", "agent_version": 7, "used_tools": None, "tokens": "many", "mcp_servers": None}
    scripted.will_answer((200, {**TASK, **odd, "title": "kept"}))
    task = await remote.tasks.get("t")
    assert (task.title, task.agent_version, task.output_format, task.tokens) == ("kept", "7", None, None)


async def test_a_redirect_of_an_ordinary_call_is_not_followed(scripted: Scripted, open_remote: OpenRemote) -> None:
    remote = await open_remote(scripted.url)
    scripted.will_answer((307, {}))
    with pytest.raises(ModuleException):
        await remote.tasks.get("t")
    assert len(scripted.requests) == 1


async def test_a_closed_platform_says_so(remote: Remote) -> None:
    await remote.close()
    await remote.close()
    with pytest.raises(Unavailable, match="closed"):
        await remote.tasks.get("t")


async def test_following_stops_when_whoever_follows_does(remote: Remote, platform: StandIn) -> None:
    task = platform.create()
    follower = asyncio.ensure_future(anext(aiter(remote.tasks.events(task))))
    await wait_until(lambda: platform._watchers.get(task), "it is followed")
    follower.cancel()
    await asyncio.gather(follower, return_exceptions=True)
    await wait_until(lambda: not platform._watchers[task], "the stream is closed", SECONDS)
