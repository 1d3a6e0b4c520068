"""Whose memories an agent has: the user's, and nobody's where a task names none."""

from typing import Any

import pytest
from agno.agent import Agent
from agno.db.in_memory import InMemoryDb
from agno.db.schemas import UserMemory
from agno.memory import MemoryManager
from agno.team import Team
from agno.workflow import Step

from tests.agents.runs import Log, flow, task
from worker.agents.running import run
from worker.agents.runs.material import Material
from worker.testing import Call, ScriptedModel
from worker.words.tasks import AgentExecutionInput, TaskRecord, User

SECRET = "likes tea"


def of(user: str | None, number: int) -> TaskRecord:
    asked = AgentExecutionInput(text="the question", user=User(id=user) if user else None)
    return task(id=f"task-{number}").model_copy(update={"input": asked})


def keeping(db: InMemoryDb) -> MemoryManager:
    """One that keeps something of whatever it sees."""
    turns = [Call("add_memory", {"memory": SECRET, "topics": ["drinks"]}), "kept"]
    return MemoryManager(model=ScriptedModel(lambda messages: turns[messages[-1].role == "tool"]), db=db)


def remembering(db: InMemoryDb, model: Any, **options: Any) -> Agent:
    manager = keeping(db)
    return Agent(name="ann", model=model, db=db, memory_manager=manager, update_memory_on_run=True, **options)


def alone(db: InMemoryDb, model: Any) -> Any:
    return remembering(db, model)


def with_tools(db: InMemoryDb, model: Any) -> Any:
    return remembering(db, model, enable_agentic_memory=True, search_past_sessions=True)


def member(db: InMemoryDb, model: Any) -> Any:
    def turn(messages: list[Any]) -> Any:
        return (
            "done"
            if messages[-1].role == "tool"
            else Call("delegate_task_to_member", {"member_id": "ann", "task": "?"})
        )

    return Team(name="team", model=ScriptedModel(turn), members=[remembering(db, model, id="ann")], db=InMemoryDb())


def leader(db: InMemoryDb, model: Any) -> Any:
    member = Agent(name="bob", model=ScriptedModel(["?"]))
    return Team(name="ann", model=model, members=[member], db=db, memory_manager=keeping(db), update_memory_on_run=True)


def step(db: InMemoryDb, model: Any) -> Any:
    return flow(Step(name="one", agent=remembering(db, model)))


def within_a_tool(db: InMemoryDb, model: Any) -> Any:
    async def ask() -> str:
        """Ask."""
        return str((await remembering(db, model).arun("?")).content)

    def turn(messages: list[Any]) -> Any:
        return "done" if messages[-1].role == "tool" else Call("ask")

    return Agent(name="outer", model=ScriptedModel(turn), tools=[ask])


@pytest.mark.parametrize(
    "make", [alone, with_tools, member, leader, step, within_a_tool], ids=lambda each: each.__name__
)
async def test_tasks_without_a_user_share_no_memory(make: Any) -> None:
    db, model, log = InMemoryDb(), ScriptedModel(lambda _: "hello"), Log()
    for number in (1, 2):
        await run(make(db, model), of(None, number), Material("the question"), log.emit)
    assert db.get_user_memories() == []
    assert SECRET not in str(model.requests)
    assert {tool["function"]["name"] for each in model.requests for tool in each.tools} <= {"delegate_task_to_member"}
    notes = [each["text"] for each in log.data("note")]
    assert [note.startswith("The task has no user, so ann neither reads nor stores") for note in notes] == [True, True]


async def test_a_user_has_memories_of_its_own() -> None:
    db, model, log = InMemoryDb(), ScriptedModel(lambda _: "hello"), Log()
    db.upsert_user_memory(UserMemory(memory="of all", user_id="default", memory_id="m"))
    for number, user in enumerate(("una", "una", "otto")):
        await run(alone(db, model), of(user, number), Material("the question"), log.emit)
    assert [SECRET in each.system for each in model.requests] == [False, True, False]
    assert not log.data("note")


async def test_the_user_that_an_agent_names_is_one() -> None:
    db, model, log = InMemoryDb(), ScriptedModel(lambda _: "hello"), Log()
    for number in (1, 2):
        await run(remembering(db, model, user_id="team"), of(None, number), Material("the question"), log.emit)
    assert [SECRET in each.system for each in model.requests] == [False, True]
    assert not log.data("note")
