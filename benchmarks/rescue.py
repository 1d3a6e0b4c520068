"""The time from ``kill -9`` of a worker to the restart of its tasks with default settings; the promise is about 2 s."""

import asyncio
import random
import signal
import statistics
import time
from contextlib import ExitStack
from datetime import datetime

from benchmarks.processes import create_many, started
from benchmarks.scenarios import LINES, fresh
from worker.engine.engine import Engine
from worker.engine.timings import DEFAULT

HELD = "select worker_id, array_agg(id) as ids from worker.tasks where status = 'executing' group by worker_id"
HERE = "select id from worker.workers where gone_at is null order by started_at"
BEGUN = """
    select min(time) as time from worker.events
    where task_id = any(%s) and (data->>'execution_attempts')::int = 2
"""
ROUNDS_SECONDS = 30.0


async def rescue(engine: Engine, count: int) -> LINES:
    """Repeatedly kill one of two workers, each time at a different point of the other one's scan interval."""
    await fresh(engine)
    with ExitStack() as stack:
        stack.enter_context(started("work"))
        await asyncio.sleep(DEFAULT.trust)  # until the worker counts as established
        seconds = [await _once(engine, stack) for _ in range(count)]
    ordered = sorted(seconds)
    return [
        (f"kill -9 to the re-run's start, {count} kills: median", f"{statistics.median(ordered):.2f} s"),
        ("kill -9 to the re-run's start: fastest", f"{ordered[0]:.2f} s"),
        ("kill -9 to the re-run's start: slowest", f"{ordered[-1]:.2f} s"),
    ]


async def _once(engine: Engine, stack: ExitStack) -> float:
    victim = stack.enter_context(started("work"))
    ids = await _held_by_newest(engine)
    await asyncio.sleep(random.uniform(0, DEFAULT.scan))  # noqa: S311 - a random point between two scans
    killed = time.time()
    victim.send_signal(signal.SIGKILL)
    begun: datetime | None = None
    while begun is None:
        if time.time() - killed > ROUNDS_SECONDS:
            raise RuntimeError("the tasks of a killed worker were not begun again")
        await asyncio.sleep(0.02)
        begun = (await engine.core.rows(BEGUN, (ids,)))[0]["time"]
    await _stop_all(engine, await _held(engine))
    return begun.timestamp() - killed


async def _held_by_newest(engine: Engine) -> list[str]:
    """Create endless tasks until the newest worker holds some, stop those of the other worker, and return the ids."""
    newest = (await engine.core.rows(HERE))[-1]["id"]
    while True:
        await create_many(engine, "slow", 4)
        await asyncio.sleep(0.2)
        held = await _held(engine)
        if newest in held:
            ids = held.pop(newest)
            await _stop_all(engine, held)
            return ids


async def _held(engine: Engine) -> dict[str, list[str]]:
    return {row["worker_id"]: row["ids"] for row in await engine.core.rows(HELD)}


async def _stop_all(engine: Engine, held: dict[str, list[str]]) -> None:
    await asyncio.gather(*(engine.tasks.stop(task_id) for ids in held.values() for task_id in ids))
