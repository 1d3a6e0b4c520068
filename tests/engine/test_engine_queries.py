"""A page of tasks, and their counts, cost the same however many tasks there are: shown by the plans."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from worker.engine.engine import Engine
from worker.engine.timings import EngineTimings
from worker.engine.verbs import queries
from worker.words.errors import Unavailable, ValidationError
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.task_lists import TaskQuery

ROWS = 20_000
FILL: Any = f"""
    insert into worker.tasks (
        id, organization_id, agent_id, user_id, status, internal_status, created_at, settings, state, result
    )
    select 't' || i, 'default', 'agent' || (i %% 20), 'u' || (i %% 1000),
           case when i %% 1000 = 0 then 'error' when i %% 5000 = 1 then 'failed' when i %% 50 = 3 then 'stopped'
                else 'completed' end,
           case when i %% 10000 = 7 then 'rare' end, now() - ({ROWS} - i) * interval '1 second',
           json_build_object('input', json_build_object('text', repeat('word ', 40) || i)), '{{}}', 'a result'
    from generate_series(1, {ROWS}) i
"""  # noqa: S608 - a number
PAGE = 50
AN_HOUR_AGO = datetime.now(UTC) - timedelta(hours=1)

QUERIES = {
    "all": TaskQuery(),
    "a later page": TaskQuery(before=f"t{ROWS // 2}"),
    "a status": TaskQuery(status=Status.Error),
    "dead letters": TaskQuery(statuses=(Status.Error, Status.Failed)),
    "an agent": TaskQuery(agent_id="agent3"),
    "some agents": TaskQuery(agents=("agent1", "agent2", "agent3")),
    "an agent's errors": TaskQuery(agent_id="agent0", status=Status.Error),
    "a user": TaskQuery(user_id="u7"),
    "an internal status": TaskQuery(internal_status="rare"),
    "a time": TaskQuery(created_before=AN_HOUR_AGO),
}


class Explaining:
    """A core that says how it would be done, having done it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.plan: list[str] = []

    async def search(self, sql: str, values: dict[str, Any]) -> list[dict[str, Any]]:
        return await self.rows(sql, values)

    async def read(self, sql: str, values: dict[str, Any]) -> list[dict[str, Any]]:
        return await self.rows(sql, values)

    async def rows(self, sql: str, values: dict[str, Any]) -> list[dict[str, Any]]:
        explain: Any = f"explain (analyze, timing off, summary off, costs off) {sql}"
        self.plan = [row["QUERY PLAN"] for row in await self._engine.core.rows(explain, values)]
        return []


@pytest.fixture
async def filled(engine: Engine) -> Engine:
    await engine.core.rows(FILL)
    await engine.core.rows("vacuum analyze worker.tasks")
    return engine


async def test_every_list_and_every_count_is_read_from_an_index(filled: Engine) -> None:
    explaining: Any = Explaining(filled)
    for name, query in QUERIES.items():
        await queries.find(explaining, "default", query.model_copy(update={"limit": PAGE}))
        print(name, *explaining.plan, sep="\n    ")  # noqa: T201 - what a failure shows
        assert not [line for line in explaining.plan if "Seq Scan on tasks" in line], name
        await queries.counts(explaining, "default", query)
        print("counts", *explaining.plan, sep="\n    ")  # noqa: T201 - the same
        assert not [line for line in explaining.plan if "Seq Scan on tasks" in line], name


@pytest.mark.parametrize("timings", [EngineTimings(search=0.001)], ids=["short"])
async def test_a_search_that_takes_too_long_is_refused_and_holds_up_nobody(filled: Engine) -> None:
    for ask in (filled.tasks.find, filled.tasks.counts):
        with pytest.raises(ValidationError, match="add a filter") as refused:
            await ask(TaskQuery(text="no such word"))
        assert refused.value.field == "text"


@pytest.mark.parametrize("timings", [EngineTimings(search=20.0)], ids=["long"])
async def test_searches_take_turns_and_leave_the_other_connections_alone(filled: Engine) -> None:
    slow = "select pg_sleep(3) as nothing, %(x)s as x"
    sleeping = [asyncio.create_task(filled.core.search(slow, {"x": number})) for number in range(3)]
    await asyncio.sleep(0)
    async with asyncio.timeout(2.5):
        await asyncio.gather(*(filled.tasks.find(TaskQuery(limit=1)) for _ in range(10)))
    done = await asyncio.gather(*sleeping, return_exceptions=True)
    assert [each for each in done if isinstance(each, Unavailable)], "who waits too long for a turn is told"
