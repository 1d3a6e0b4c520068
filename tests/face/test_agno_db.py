"""Agno's storage on the platform's own database."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from agno.agent import Agent

import worker
from tests.conftest import execute
from tests.contract.steps import AGENT, create, until
from tests.supervisor.stories import Handlers
from tests.workers import handlers, no_spare_platform, working
from worker.agents.agno_storage import SCHEMA, migrate, schema_of
from worker.engine.database.library_connections import connector
from worker.engine.engine import Engine
from worker.face import agno_db as storages
from worker.face.running import run_agent
from worker.face.task import Task
from worker.testing import ScriptedModel
from worker.words.errors import Unsupported
from worker.words.statuses import AgentExecutionStatus as Status

__all__ = ["handlers", "no_spare_platform"]


@pytest.fixture
async def engine(empty_database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Engine]:
    """An engine on a database of its own, which is the environment's, too."""
    monkeypatch.setenv("DATABASE_URL", empty_database_url)
    monkeypatch.setattr(storages, "_made", {})
    engine = Engine(empty_database_url, poll=0.05)
    await engine.migrate()
    await engine.open()
    yield engine
    for each in storages._made.values():
        each.db_engine.dispose()
    await engine.close()


async def test_agents_keep_their_sessions_in_the_platforms_database_and_old_ones_are_cleaned_up(
    engine: Engine, handlers: Handlers, empty_database_url: str
) -> None:
    async def work(task: Task) -> Task:
        model = ScriptedModel(lambda messages: f"{sum(each.role == 'user' for each in messages)} questions")
        agent = Agent(name="a", db=worker.agno_db(), model=model, add_history_to_context=True)
        return await run_agent(agent, task)

    handlers.bind(work, AGENT)
    async with working(engine, handlers):
        for number in range(1, 3):
            task = await create(engine, conversation_id="talk")
            done = await until(engine, task.id, Status.Completed, Status.Error)
            assert done.result == f"{number} questions"
    assert worker.agno_db() is worker.agno_db()

    def count(table: str) -> int:
        return execute(empty_database_url, f"select count(*) from {SCHEMA}.{table}")[0][0]  # noqa: S608 - a constant

    assert (count("agno_sessions"), count("agno_runs")) == (1, 2)
    assert await migrate(connector(empty_database_url, Path())) == [SCHEMA]
    assert [each async for each in engine.clean(30)]
    assert count("agno_sessions") == 1
    execute(empty_database_url, f"update {SCHEMA}.agno_sessions set created_at = 0, updated_at = 0")  # noqa: S608 - a constant
    assert [each async for each in engine.clean(30)]
    assert (count("agno_sessions"), count("agno_runs")) == (0, 0)


def test_each_organization_has_its_own() -> None:
    assert len({schema_of("default"), schema_of("a"), schema_of("b")}) == 3


def test_a_platform_over_http_has_no_database_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XPANDER_BASE_URL", "http://127.0.0.1:1/default")
    monkeypatch.delenv("DATABASE_URL", raising=False)
    with pytest.raises(Unsupported, match="set DATABASE_URL to use your own"):
        worker.agno_db()


def test_a_worker_over_http_may_name_the_database(monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    monkeypatch.setenv("XPANDER_BASE_URL", "http://127.0.0.1:1/default")
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setattr(storages, "_made", {})
    made = worker.agno_db()
    made.db_engine.dispose()
    assert made.db_schema == "worker_agno"
