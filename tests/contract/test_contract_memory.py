"""What an agent remembers of a conversation: each turn once, from its own database or from the log."""

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from agno.agent import Agent
from agno.db.base import SessionType
from agno.db.in_memory import InMemoryDb
from agno.models.message import Message
from agno.session import AgentSession

from tests.contract.steps import AGENT, create
from tests.supervisor.stories import Handlers
from tests.workers import handlers, no_spare_platform, working
from worker.agents.history import session_of
from worker.contracts import Platform
from worker.face.running import run_agent
from worker.face.task import Task
from worker.testing import ScriptedModel
from worker.words.errors import Unavailable
from worker.words.retry import RetryPolicy
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.statuses import TaskUpdateEventType as Type
from worker.words.tasks import AgentExecutionInput, TaskRecord

__all__ = ["handlers", "no_spare_platform"]


def seen(messages: list[Message]) -> str:
    """The model answers with what it is shown; its own answers are cut to their beginning."""
    return " | ".join(str(each.content)[:5] for each in messages if each.role in ("user", "assistant"))


async def done(platform: Platform, begun: TaskRecord) -> str:
    """The result of what a task was asked last."""
    async with asyncio.timeout(20):
        async for event in platform.tasks.events(begun.id, after=begun.last_event):
            if event.type is Type.TaskFinished:
                break
    task = await platform.tasks.get(begun.id)
    assert task.status is Status.Completed, task.result
    return task.result or ""


@pytest.mark.parametrize("memory", ["database", "log"])
@pytest.mark.parametrize("way", ["conversation", "continued"])
async def test_each_turn_is_remembered_once(platform: Platform, handlers: Handlers, memory: str, way: str) -> None:
    db = InMemoryDb() if memory == "database" else None
    tries: list[str] = []

    async def work(task: Task) -> Task:
        agent = Agent(name="a", db=db, model=ScriptedModel(seen), add_history_to_context=db is not None)
        answered = await run_agent(agent, task, **({} if db else {"history": 5}))
        tries.append(task.input.text or "")
        if tries.count("q3") == 1:
            raise Unavailable("the first try of the third turn fails")
        return answered

    handlers.bind(work, AGENT, retries=RetryPolicy(base=0.01))
    async with working(platform, handlers):
        first = await create(platform, "q1", conversation_id="talk" if way == "conversation" else None)
        assert await done(platform, first) == "q1"
        more = {"conversation_id": "talk"} if way == "conversation" else {"id": first.id}
        second = await create(platform, "q2", **more)
        assert await done(platform, second) == "q1 | q1 | q2"
        third = await create(platform, "q3", **more)
        assert await done(platform, third) == "q1 | q1 | q2 | q1 |  | q3"
        again = await platform.tasks.retry(third.id)
        assert await done(platform, again) == "q1 | q1 | q2 | q1 |  | q3"
    if db is not None:
        session = db.get_session("talk" if way == "conversation" else first.id, SessionType.AGENT)
        assert isinstance(session, AgentSession)
        assert len(session.runs or []) == 3


async def test_an_agents_own_session_is_respected(platform: Platform, handlers: Handlers) -> None:
    db = InMemoryDb()

    async def work(task: Task) -> Task:
        return await run_agent(
            Agent(name="a", db=db, session_id="mine", model=ScriptedModel(seen), add_history_to_context=True), task
        )

    handlers.bind(work, AGENT)
    async with working(platform, handlers):
        await done(platform, await create(platform, "q1"))
        assert await done(platform, await create(platform, "q2", conversation_id="talk")) == "q1 | q1 | q2"


def test_a_session_that_agno_made_up_is_nobodys_wish() -> None:
    task = TaskRecord(id="t", agent_id=AGENT, input=AgentExecutionInput(text="x"), created_at=datetime.now(UTC))
    for own, session in (("mine", "mine"), (str(uuid4()), "t"), (None, "t")):
        assert session_of(Agent(session_id=own), task) == session
    assert session_of(Agent(), task.model_copy(update={"conversation_id": "talk"})) == "talk"
