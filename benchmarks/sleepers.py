"""Tasks that sleep: the memory that they cost the worker, and how fast they go on if all are due at once."""

import asyncio
import time

from benchmarks.processes import resident_bytes, started
from benchmarks.scenarios import LINES, fresh, until_finished
from worker.engine.engine import Engine
from worker.words.tasks import AgentExecutionInput, NewTask

ASLEEP = "select count(*) as n from worker.tasks where status = 'pending' and available_at > now() and attempt > 0"
LATENESS = """
    select percentile_cont(array[0.5, 0.95]) within group (order by extract(epoch from finished_at) - %s) as s
    from worker.tasks where status = 'completed'
"""
A_SECOND = 100  # tasks that are put to sleep, at least, on a slow machine
AT_ONCE = 200


async def sleepers(engine: Engine, count: int) -> LINES:
    """Have tasks sleep until the same moment, and measure before and after it."""
    await fresh(engine)
    due = time.time() + 10 + count / A_SECOND
    with started("work") as worker:
        idle = resident_bytes(worker.pid)
        new = NewTask(agent_id="sleeper", input=AgentExecutionInput(text=str(due)))
        for begin in range(0, count, AT_ONCE):
            await asyncio.gather(*(engine.tasks.create(new) for _ in range(min(AT_ONCE, count - begin))))
        asleep = 0
        while asleep < count and time.time() < due:
            await asyncio.sleep(0.1)
            asleep = (await engine.core.rows(ASLEEP))[0]["n"]
        if asleep < count:
            raise RuntimeError(f"only {asleep} of {count} tasks were asleep in time")
        busy = resident_bytes(worker.pid)
        await until_finished(engine, count)
        median, late = (await engine.core.rows(LATENESS, (due,)))[0]["s"]
        seconds = time.time() - due
    return [
        (f"sleepers: {count} asleep, memory of the worker", f"{(busy - idle) / 1e6:+.1f} MB on {idle / 1e6:.0f} MB"),
        (f"sleepers: {count} due at once, all finished after", f"{seconds:.1f} s ({count / seconds:.0f}/s)"),
        ("sleepers: finished after being due, median and p95", f"{median:.2f} s, {late:.2f} s"),
    ]
