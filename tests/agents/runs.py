"""What the tests of this room share."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from agno.workflow import Workflow

from worker.agents.running import run
from worker.agents.runs.material import Material, RunResult
from worker.words.events import NewEvent
from worker.words.tasks import AgentExecutionInput, TaskRecord


class Log:
    """A task's log: what was emitted, and in how many batches."""

    def __init__(self) -> None:
        self.batches: list[list[NewEvent]] = []

    async def emit(self, events: Sequence[NewEvent]) -> None:
        self.batches.append(list(events))

    @property
    def events(self) -> list[NewEvent]:
        return [event for batch in self.batches for event in batch]

    @property
    def types(self) -> list[str]:
        return [str(event.type) for event in self.events]

    def data(self, kind: str) -> list[Any]:
        return [event.data for event in self.events if event.type == kind]


def task(**wishes: Any) -> TaskRecord:
    return TaskRecord(
        id=wishes.pop("id", "task-1"),
        agent_id="agent-1",
        input=AgentExecutionInput(text="the question"),
        created_at=dt.datetime.now(dt.UTC),
        **wishes,
    )


def flow(*steps: Any, name: str = "flow", **options: Any) -> Workflow:
    """A workflow; what Agno takes as steps is wider than its annotations say."""
    return Workflow(name=name, steps=list(steps), **options)


class Runner:
    """Runs agents on tasks with one log."""

    def __init__(self, log: Log) -> None:
        self.log = log

    async def __call__(self, agent: Any, material: Material | None = None, **wishes: Any) -> RunResult:
        return await run(agent, task(**wishes), material or Material("the question"), self.log.emit)
