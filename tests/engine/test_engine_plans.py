"""No statement that workers repeat reads a growing table through, though nothing has been analyzed yet.

What is shown is what a worker does on a new database: its statements are prepared while the tables are empty and run
one by one many times; then a backlog comes, and no statistics of it exist. The server's own counters tell the rest.
"""

import re
from itertools import cycle
from typing import LiteralString

import pytest

from tests.conftest import execute
from tests.contract.steps import AGENT, card, claim, deliver, finish, hand_back, log, note, wish
from worker.engine import core
from worker.engine.database.statements import claims as sql_claims
from worker.engine.database.statements import deliveries as sql_deliveries
from worker.engine.database.statements import log as sql_log
from worker.engine.database.statements import presence as sql_presence
from worker.engine.database.statements import tasks as sql_tasks
from worker.engine.database.statements import workers as sql_workers
from worker.engine.engine import Engine
from worker.engine.liveness import clock, turns
from worker.engine.verbs import claim_positions, claims
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.statuses import TaskUpdateEventType as Type
from worker.words.task_lists import TaskQuery
from worker.words.work import Assignment, JournalEntry, Subscription, WorkerCard

QUIET = (
    32  # tasks, one at a time: psycopg prepares at the sixth execution, PostgreSQL settles on a plan by the eleventh
)
BACKLOG = 50_000
GROWING = ("tasks", "events", "journal", "cursors")

STATEMENTS = (sql_tasks, sql_claims, sql_log, sql_workers, sql_deliveries)

HOT = {
    name: next(vars(module)[name] for module in STATEMENTS if name in vars(module))
    for name in (
        "INSERT_TASKS",
        "INSERT_TURNS",
        "WRITE_OWNED",
        "LOCK_TASKS",
        "INSERT_EVENTS",
        "CLAIM_NAMED",
        "CLAIM_ANY",
        "CLAIM_ANY_OTHERS_FIRST",
        "CLAIM_KNOWN",
        "CLAIM_KNOWN_OTHERS_FIRST",
        "GET_TASK",
        "LOST",
        "READ_LOG",
        "READ_CHANGES",
        "READ_EVENT",
        "READ_JOURNAL",
        "READ_EARLIER_EVENTS",
        "DROP_JOURNAL",
        "TASKS_OF_WORKER",
        "ORPHANS",
        "RELEASE_ORPHANED_CURSORS",
        "CLAIM_DELIVERIES",
        "SETTLE",
        "NOTIFY",
    )
} | {"RENEW_OF": sql_presence.RENEW_OF, "ADVANCE": turns.ADVANCE, "STUCK": turns.STUCK}

CLAIMS_OF_ANY = (
    sql_claims.CLAIM_ANY,
    sql_claims.CLAIM_ANY_OTHERS_FIRST,
    sql_claims.CLAIM_KNOWN,
    sql_claims.CLAIM_KNOWN_OTHERS_FIRST,
)

FILL = f"""
    insert into worker.tasks (
        id, organization_id, agent_id, status, settings, state, last_event, available_at, finished_at,
        conversation_id, place, queued
    )
    select 'full-' || n, 'default', '{AGENT}', case when n % 2 = 0 then 'pending' else 'completed' end,
           '{{"input": {{"text": "x"}}}}', '{{}}', 1, now() + interval '1 hour', case when n % 2 = 1 then now() end,
           case when n % 3 = 0 then 'full-' || n % 500 end, case when n % 3 = 0 then n end, n % 3 = 0 and n > 1500
    from generate_series(1, {BACKLOG}) n;
    insert into worker.events (task_id, number, type) select 'full-' || n, 1, 'task_created'
    from generate_series(1, {BACKLOG}) n;
    insert into worker.journal (task_id, key, value) select 'full-' || n, 'k', '1' from generate_series(1, {BACKLOG}) n;
    insert into worker.cursors (subscription_id, task_id, position, newest)
    select s.id, 'full-' || n, 1, 1 from generate_series(1, {BACKLOG}) n, worker.subscriptions s
"""  # noqa: S608 - constants

READ_THROUGH = f"""
    select relname::text, seq_tup_read from pg_stat_user_tables
    where schemaname = 'worker' and relname = any(array{list(GROWING)}) and seq_tup_read >= {BACKLOG}
"""  # noqa: S608 - constants


def shape(statement: str) -> str:
    """A statement without its parameters' names and its layout."""
    return " ".join(re.sub(r"%\(\w+\)s|%s|\$\d+", "?", statement).split())


async def life(engine: Engine, by: WorkerCard, held: Assignment) -> None:
    """All that is asked and written during one task's life."""
    task_id = held.task.id
    await engine.work.emit(task_id, held.attempt, [note()], [JournalEntry("k", "1")])
    await engine.tasks.push(task_id, [note("from outside")])
    await engine.tasks.update(task_id, {"internal_status": "half"}, attempt=held.attempt)
    await engine.work.journal(task_id)
    await engine.work.earlier_events(task_id, 2)
    await engine.work.lost({task_id: held.attempt})
    await hand_back(engine, held)
    (again,) = await claim(engine, by)
    await finish(engine, again)
    assert (await engine.tasks.get(task_id)).status is Status.Completed
    assert len(await log(engine, task_id, 2)) > 3
    for delivery in await deliver(engine, by, seconds=0):
        await engine.work.settle(delivery)
    await engine.tasks.retry(task_id)
    await engine.tasks.stop(task_id)


async def lives(engine: Engine, by: WorkerCard, count: int) -> None:
    """So many lives, one at a time, by each way to claim; and what is done beside them."""
    for number in range(count):
        await engine.tasks.create(wish(conversation_id="talk" if number % 2 else None))
        (held,) = await claim(engine, by, agents={"another": 1}, others=1)
        await life(engine, by, held)
        await engine.work.renew(by.id)
        await engine.core.rescue.release_orphans()
        await engine.core.rescue.rescue("", "", "orphans")  # as every second
        await engine.core.rows(sql_workers.TASKS_OF_WORKER, (by.id,))
        await engine.tasks.find(TaskQuery(limit=5))
        await engine.stats()
        await clock.repair(engine.core)
        await engine.core.turns.look()


async def prepared(engine: Engine) -> set[str]:
    """What the engine's sessions have prepared."""
    ask = "select statement from pg_prepared_statements"
    rows = await engine.core.rows(ask)
    writing = engine.core.writer._connection
    assert writing is not None
    rows += [{"statement": each[0]} for each in await (await writing.execute(ask)).fetchall()]
    return {shape(row["statement"]) for row in rows}


async def test_after_a_quiet_start_no_statement_reads_a_growing_table_through(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = cycle(CLAIMS_OF_ANY)

    def statement(*, others: bool, is_full: bool) -> LiteralString:
        del is_full
        return next(turns) if others else sql_claims.CLAIM_NAMED

    def scan(positions: claim_positions.ClaimPositions) -> claim_positions.ClaimScan:
        return claim_positions.ClaimScan(is_full=not positions.recent_agents(()), begun=0.0)

    monkeypatch.setattr(claims, "_claim_statement", statement)
    monkeypatch.setattr(claim_positions.ClaimPositions, "scan", scan)
    monkeypatch.setattr(core, "POOL_SIZE", 1)  # so that each statement is repeated by one session
    engine = Engine(empty_database_url, poll=0.05)
    await engine.migrate()
    for table in GROWING:
        execute(empty_database_url, f"alter table worker.{table} set (autovacuum_enabled = off)")
    await engine.open()
    by = card(AGENT, any_agent=True, subscriptions=[Subscription("heard", Type.TaskFinished)])
    await engine.work.register(by)
    await lives(engine, by, QUIET)
    missing = [name for name, statement in HOT.items() if shape(statement) not in await prepared(engine)]
    assert not missing, "these were not run as a worker runs them"
    execute(empty_database_url, FILL)
    await lives(engine, by, 5)
    await engine.work.leave(by.id)
    await engine.close()
    assert execute(empty_database_url, READ_THROUGH) == []
