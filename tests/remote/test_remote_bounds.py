"""No client's call over HTTP waits longer than its bound: before a server that takes everything and says nothing."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from worker.contracts import bounds
from worker.remote.clients.tasks import RemoteTasks
from worker.remote.http import transport
from worker.remote.remote import Remote
from worker.words.agents import AgentRecord
from worker.words.audit import AuditQuery
from worker.words.conversations import ConversationQuery
from worker.words.errors import Unavailable
from worker.words.events import NewEvent
from worker.words.messages import NewMessage
from worker.words.requests import InputAnswer, RequestQuery
from worker.words.signals import NewSignal
from worker.words.statuses import TaskUpdateEventType as Type
from worker.words.task_lists import TaskQuery
from worker.words.tasks import AgentExecutionInput, NewTask

BOUND = 0.3
SECONDS = 8  # many times the bound; ten processes may share two cores

CALLS: dict[str, Callable[[RemoteTasks], Awaitable[Any]]] = {
    "create": lambda tasks: tasks.create(NewTask(agent_id="agent", input=AgentExecutionInput(text="x"))),
    "get": lambda tasks: tasks.get("t"),
    "find": lambda tasks: tasks.find(TaskQuery()),
    "counts": lambda tasks: tasks.counts(TaskQuery()),
    "update": lambda tasks: tasks.update("t", {"internal_status": "x"}),
    "stop": lambda tasks: tasks.stop("t"),
    "retry": lambda tasks: tasks.retry("t"),
    "push": lambda tasks: tasks.push("t", [NewEvent(type=Type.Note, data={"text": "x"})]),
    "activity": lambda tasks: tasks.activity("t"),
    "attempts": lambda tasks: tasks.attempts("t"),
    "kept_files": lambda tasks: tasks.kept_files("t"),
    "get_agent": lambda tasks: tasks.get_agent("agent"),
    "list_agents": lambda tasks: tasks.list_agents(),
    "save_agent": lambda tasks: tasks.save_agent(AgentRecord(id="agent", name="a", unique_name="a")),
    "delete_agent": lambda tasks: tasks.delete_agent("agent"),
    "providers": lambda tasks: tasks.providers(),
    "resume_provider": lambda tasks: tasks.resume_provider("p"),
    "fail_provider": lambda tasks: tasks.fail_provider("p"),
    "answer": lambda tasks: tasks.answer("t", [InputAnswer(id="r", approve=True)]),
    "requests": lambda tasks: tasks.requests(RequestQuery()),
    "signal": lambda tasks: tasks.signal("t", NewSignal(name="x")),
    "send": lambda tasks: tasks.send("t", NewMessage(text="x")),
    "conversation": lambda tasks: tasks.conversation("talk", ConversationQuery()),
    "find_conversations": lambda tasks: tasks.find_conversations(ConversationQuery()),
    "skip": lambda tasks: tasks.skip("t"),
    "audit": lambda tasks: tasks.audit(AuditQuery()),
}


@pytest.fixture
async def silent() -> AsyncIterator[str]:
    """The address of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_every_verb_of_clients_is_tried() -> None:
    waits = {"events", "store_file", "open_file", "invoke_tool"}  # these have bounds of their own
    verbs = {name for name in dir(RemoteTasks) if not name.startswith("_")} - waits
    assert verbs <= set(CALLS)


async def test_every_call_ends(silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "CALL_SECONDS", BOUND)
    remote = Remote(f"{silent}/default")
    await remote.open()

    async def told(name: str) -> Unavailable:
        with pytest.raises(Unavailable) as error:
            await asyncio.wait_for(CALLS[name](remote.tasks), SECONDS)
        return error.value

    errors = await asyncio.gather(*(told(name) for name in CALLS))
    assert {each.status_code for each in errors} == {503}
    await remote.close()


async def test_a_stream_whose_packets_are_lost_is_noticed_by_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    watched: list[Any] = []
    watch_over = transport._watch_over

    def watching(response: Any) -> None:
        watch_over(response)
        watched.append(response.extensions["network_stream"].get_extra_info("socket"))

    monkeypatch.setattr(transport, "_watch_over", watching)
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
        await reader.read()
        writer.close()
        await writer.wait_closed()
        ended.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    remote = Remote(f"http://127.0.0.1:{port}/default")
    await remote.open()
    async with remote._transport.stream("/events"):
        (connection,) = watched
        for name, value in transport.KEEPALIVES.items():
            assert connection.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) == value
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    await remote.close()
    server.close()
    await asyncio.wait_for(ended.wait(), SECONDS)
