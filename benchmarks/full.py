"""The cost of a long history: the same work on empty tables, and with a million finished tasks."""

from benchmarks.processes import answer, create_many, started
from benchmarks.scenarios import LINES, fresh, until_finished
from worker.engine.engine import Engine

SHARE = 250  # finished tasks of the history per task of a turn
TURNS = 3
STEP = 100_000  # tasks per insert

TASKS = """
    insert into worker.tasks (
        id, organization_id, agent_id, status, attempt, last_event, created_at, updated_at, started_at, finished_at,
        available_at, result, settings, state
    )
    select '0180-' || lpad(n::text, 12, '0'), 'default', 'noop', 'completed', 1, 3, at, at, at, at, at, 'done',
           '{"input": {"text": "a question of a few words"}}', '{"duration": 0.001}'
    from generate_series(%s::bigint, %s::bigint) n,
         lateral (select now() - interval '30 days' + make_interval(secs => n) as at) as moment
"""

EVENTS = """
    insert into worker.events (task_id, number, type, time, attempt, data)
    select '0180-' || lpad(n::text, 12, '0'), kind.number, kind.type, now(), kind.attempt, kind.data::json
    from generate_series(%s::bigint, %s::bigint) n, (values
        (1, 'task_created', null, '{}'),
        (2, 'task_updated', 1, '{"status": "executing", "execution_attempts": 1}'),
        (3, 'task_finished', 1, '{"status": "completed", "result": "done", "duration": 0.001}')
    ) as kind(number, type, attempt, data)
"""

RATE = """
    select count(*) as n, extract(epoch from max(finished_at) - min(started_at)) as s from worker.tasks
    where organization_id = 'default' and agent_id = 'noop' and id > %s and status = 'completed'
"""


async def full(engine: Engine, count: int) -> LINES:
    """Run whole lives of no-op tasks from a backlog, without and with a history; the best of three turns each."""
    tasks = max(50, count // SHARE)
    await fresh(engine)
    empty = [await lives(engine, tasks) for _ in range(TURNS)]
    await fresh(engine)
    await fill(engine, count)
    history = [await lives(engine, tasks) for _ in range(TURNS)]
    await fresh(engine)
    best, beside = max(rate for rate, _ in empty), max(rate for rate, _ in history)
    used = min(cpu for _, cpu in empty), min(cpu for _, cpu in history)
    return [
        (f"history: lives/s from a backlog of {tasks}, tables empty", f"{best:.0f}/s"),
        (f"history: the same beside {count} finished tasks", f"{beside:.0f}/s ({(beside / best - 1) * 100:+.1f} %)"),
        ("history: worker's CPU a task, without and with", f"{used[0]:.2f} ms, {used[1]:.2f} ms"),
    ]


async def lives(engine: Engine, tasks: int) -> tuple[float, float]:
    """Return tasks per second by the database's clock, and milliseconds of the worker's processor time per task."""
    last = (await engine.core.rows("select coalesce(max(id), '') as id from worker.tasks"))[0]["id"]
    before = (await engine.core.rows(RATE, ("",)))[0]["n"]
    await create_many(engine, "noop", tasks)
    with started("work", "--count", str(tasks)) as worker:
        measured = answer(worker)
    await until_finished(engine, before + tasks)
    row = (await engine.core.rows(RATE, (last,)))[0]
    return row["n"] / float(row["s"]), measured["cpu"] / tasks * 1000


async def fill(engine: Engine, count: int) -> None:
    """Create finished tasks with their events, and analyze the tables, as autovacuum does for a grown history."""
    for begin in range(0, count, STEP):
        bounds = (begin + 1, min(begin + STEP, count))
        await engine.core.rows(TASKS, bounds)
        await engine.core.rows(EVENTS, bounds)
    await engine.core.rows("vacuum analyze worker.tasks")
    await engine.core.rows("vacuum analyze worker.events")
