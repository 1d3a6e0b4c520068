"""No client's call waits longer than its bound: in a black hole, under a lock, on a way that was lost."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
import pytest

from tests.contract.steps import claim, create, finish, note, run, wish
from tests.engine.proxy import Proxy, far, way
from tests.support import wait_until
from worker.contracts import bounds as calls
from worker.engine.database import session_settings
from worker.engine.engine import Engine
from worker.engine.verbs.tasks import EngineTasks
from worker.words.agents import AgentRecord
from worker.words.audit import AuditQuery
from worker.words.conversations import ConversationQuery
from worker.words.deliveries import DeliveryQuery
from worker.words.errors import Unavailable
from worker.words.messages import NewMessage
from worker.words.requests import InputAnswer, RequestQuery
from worker.words.signals import NewSignal
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.task_lists import TaskQuery

__all__ = ["far", "way"]

BOUND = 0.5
SECONDS = 8  # many times the bound; ten processes may share two cores

CALLS: dict[str, Callable[[Engine, str], Awaitable[Any]]] = {
    "create": lambda engine, _: engine.tasks.create(wish()),
    "create_large": lambda engine, _: engine.tasks.create(wish("x" * 300_000)),
    "get": lambda engine, task_id: engine.tasks.get(task_id),
    "find": lambda engine, _: engine.tasks.find(TaskQuery()),
    "counts": lambda engine, _: engine.tasks.counts(TaskQuery()),
    "update": lambda engine, task_id: engine.tasks.update(task_id, {"internal_status": "x"}),
    "stop": lambda engine, task_id: engine.tasks.stop(task_id),
    "retry": lambda engine, task_id: engine.tasks.retry(task_id),
    "push": lambda engine, task_id: engine.tasks.push(task_id, [note()]),
    "activity": lambda engine, task_id: engine.tasks.activity(task_id),
    "attempts": lambda engine, task_id: engine.tasks.attempts(task_id),
    "kept_files": lambda engine, task_id: engine.tasks.kept_files(task_id),
    "get_agent": lambda engine, _: engine.tasks.get_agent("analyst"),
    "list_agents": lambda engine, _: engine.tasks.list_agents(),
    "save_agent": lambda engine, _: engine.tasks.save_agent(AgentRecord(id="analyst", name="a", unique_name="a")),
    "delete_agent": lambda engine, _: engine.tasks.delete_agent("analyst"),
    "providers": lambda engine, _: engine.tasks.providers(),
    "resume_provider": lambda engine, _: engine.tasks.resume_provider("openai"),
    "fail_provider": lambda engine, _: engine.tasks.fail_provider("openai"),
    "answer": lambda engine, task_id: engine.tasks.answer(task_id, [InputAnswer(approve=True)]),
    "requests": lambda engine, _: engine.tasks.requests(RequestQuery()),
    "signal": lambda engine, task_id: engine.tasks.signal(task_id, NewSignal(name="x")),
    "send": lambda engine, task_id: engine.tasks.send(task_id, NewMessage(text="x")),
    "conversation": lambda engine, _: engine.tasks.conversation("talk", ConversationQuery()),
    "find_conversations": lambda engine, _: engine.tasks.find_conversations(ConversationQuery()),
    "skip": lambda engine, task_id: engine.tasks.skip(task_id),
    "deliveries": lambda engine, _: engine.deliveries.find(DeliveryQuery()),
    "keys": lambda engine, _: engine.keys.list(),
    "workers": lambda engine, _: engine.organization("default").presence.workers(),
    "standing": lambda engine, _: engine.stats(),
    "audit": lambda engine, _: engine.tasks.audit(AuditQuery()),
}
OF_TASKS = ("create", "create_large", "get", "find", "counts", "update", "stop", "retry", "push", "standing")


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds of half a second."""
    monkeypatch.setattr(calls, "CALL_SECONDS", BOUND)


async def outcome(engine: Engine, name: str, task_id: str) -> BaseException:
    """How a call ends, which it does in time."""
    with pytest.raises(Unavailable) as told:
        await asyncio.wait_for(CALLS[name](engine, task_id), SECONDS)
    assert told.value.retry_after is not None
    return told.value


def test_every_verb_of_clients_is_tried() -> None:
    waits = {"events", "event", "store_file", "open_file", "invoke_tool"}  # these have bounds of their own
    verbs = {name for name in dir(EngineTasks) if not name.startswith("_")} - waits
    assert verbs <= set(CALLS)


async def test_in_a_black_hole_every_call_ends(short: None, far: Engine, way: Proxy) -> None:
    task = await create(far)
    way.hold(new=True)
    ends = await asyncio.gather(*(outcome(far, name, task.id) for name in CALLS))
    assert len(ends) == len(CALLS)


async def test_while_somebody_holds_the_table_every_call_ends(short: None, engine: Engine, database_url: str) -> None:
    task = await create(engine)
    async with await psycopg.AsyncConnection.connect(database_url) as holder:
        await holder.execute("lock table worker.tasks in access exclusive mode")
        await asyncio.gather(*(outcome(engine, name, task.id) for name in OF_TASKS))
    await wait_until(lambda: _is_there(engine, task.id), "the lock is free again", 20)


async def _is_there(engine: Engine, task_id: str) -> bool:
    try:
        return (await engine.tasks.get(task_id)).id == task_id
    except Unavailable:
        return False


async def test_connections_whose_packets_are_lost_are_left_for_new_ones(
    far: Engine, way: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a firewall or a NAT does that has forgotten them: nothing is closed, and new ones would work."""
    monkeypatch.setattr(session_settings.AsyncSession, "answer_seconds", BOUND)
    monkeypatch.setattr(session_settings.Session, "answer_seconds", BOUND)
    by, held = await run(far)
    way.hold(new=False)
    await asyncio.wait_for(finish(far, held), 30)
    assert (await far.tasks.get(held.task.id)).status is Status.Completed
    task = await create(far)
    assert [each.task.id for each in await claim(far, by, seconds=20)] == [task.id]
    await wait_until(lambda: far.core.heartbeat.ready(0), "the heartbeat has a new connection, too", 20)
