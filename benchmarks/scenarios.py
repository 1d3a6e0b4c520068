"""The scenarios: functions from an opened engine to lines of results."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from statistics import median
from typing import Any

from benchmarks.handlers import noop_agent
from benchmarks.machine import percentiles
from benchmarks.processes import answer, cpu_of, cpu_seconds, create_many, resident_bytes, started
from worker.contracts import Platform
from worker.engine.engine import Engine
from worker.registry import Registry
from worker.settings import Settings
from worker.supervisor import Supervisor, garbage
from worker.words.ids import new_id
from worker.words.outcomes import Outcome
from worker.words.statuses import AgentExecutionStatus, TaskUpdateEventType
from worker.words.tasks import AgentExecutionInput, NewTask
from worker.words.work import Assignment, Demand, WorkerCard

AIMED_AT = 0.27
"""Milliseconds of CPU that the bare agent took on the machine for which our goals were set, as a basis to compare other
machines. It does not account for their disks."""

QUIET = 40
"""Tasks before a burst: enough for PostgreSQL to settle on a generic plan."""

TURNS = 3

LINES = list[tuple[str, str]]


async def fresh(engine: Engine) -> None:
    """Empty the tables, so that scenarios do not affect each other."""
    await engine.core.rows("truncate worker.tasks, worker.events, worker.journal, worker.cursors")


async def until_finished(engine: Engine, count: int, seconds: float = 300) -> None:
    """Wait until ``count`` tasks are completed."""
    async with asyncio.timeout(seconds):
        while (await finished(engine))[0] < count:  # noqa: ASYNC110 - another process finishes them
            await asyncio.sleep(0.1)


async def finished(engine: Engine) -> tuple[int, float]:
    """Return the number of completed tasks, and the seconds from first claim to last finish by the database's clock."""
    row = (
        await engine.core.rows(
            "select count(*) as n, coalesce(extract(epoch from max(finished_at) - min(started_at)), 0) as s"
            " from worker.tasks where status = 'completed'"
        )
    )[0]
    return row["n"], float(row["s"])


async def backlog(engine: Engine, agent: str, count: int) -> LINES:
    """Measure whole lives from a backlog: all tasks are created before the worker starts."""
    await fresh(engine)
    await create_many(engine, agent, count)
    with started("work", "--count", str(count), *warmth(agent)) as worker:
        await until_finished(engine, count)
        _, seconds = await finished(engine)
        measured = answer(worker)
    return [(f"{agent}: lives/s from a backlog of {count}", figures(count, seconds, measured))]


async def live(engine: Engine, agent: str, count: int) -> LINES:
    """Measure whole lives while another process creates tasks."""
    await fresh(engine)
    with started("work", "--count", str(count), *warmth(agent)) as worker:
        with started("create", "--agent", agent, "--count", str(count)) as creator:
            creating = answer(creator)
        await until_finished(engine, count)
        _, seconds = await finished(engine)
        measured = answer(worker)
    line = figures(count, seconds, measured) + f"; created at {count / creating['seconds']:.0f}/s"
    return [(f"{agent}: lives/s live, {count} tasks", line)]


async def burst(engine: Engine, count: int) -> LINES:
    """Measure the first burst on new tables in three sizes, with a worker that has run a few single tasks before.

    Every new deployment starts this way: statements are prepared on empty tables without statistics. The sizes take
    turns, and the median of each counts.
    """
    sizes = (count // 50, count // 10, count)
    measured = {size: list[tuple[float, float]]() for size in sizes}
    for _ in range(TURNS):
        for size in sizes:
            measured[size].append(await _burst(engine, size))
    rates = {size: median(rate for rate, _ in turns) for size, turns in measured.items()}
    lines = [(f"first burst: lives/s of {size} tasks", _burst_line(size, turns)) for size, turns in measured.items()]
    slowest = f"{min(rates.values()) / max(rates.values()) - 1:+.1%}"
    return [*lines, ("first burst: the slowest of these beside the fastest", slowest)]


def _burst_line(size: int, turns: Sequence[tuple[float, float]]) -> str:
    rates = ", ".join(f"{rate:.0f}" for rate, _ in turns)
    cpu = median(cpu for _, cpu in turns) / size * 1000
    return f"{median(rate for rate, _ in turns):.0f}/s (of {rates}); worker's CPU {cpu:.2f} ms a task"


async def _burst(engine: Engine, size: int) -> tuple[float, float]:
    """Return tasks per second from first create to last finish by the database's clock, and the worker's CPU time."""
    await engine.core.rows("drop schema worker cascade")
    await engine.migrate()
    with started("work", "--count", str(QUIET + size)) as worker:
        await create_and_see(engine, "noop", QUIET)
        before = cpu_of(worker.pid)
        await create_many(engine, "noop", size)
        measured = await asyncio.to_thread(answer, worker)
    newest = "select created_at, finished_at from worker.tasks order by created_at desc limit %s"
    between = "select extract(epoch from max(finished_at) - min(created_at)) as s"
    row = (await engine.core.rows(f"{between} from ({newest}) as burst", (size,)))[0]
    return size / float(row["s"]), measured["cpu_at_all"] - before


def warmth(agent: str) -> list[str]:
    """Return the arguments that make a worker load Agno before the measurement, if the agent needs it."""
    return ["--warm"] if agent == "agent" else []


def figures(count: int, seconds: float, measured: dict[str, Any]) -> str:
    """Return a worker's results as one line."""
    line = f"{count / seconds:.0f}/s; worker's CPU {measured['cpu'] / count * 1000:.2f} ms a task"
    if "commits" not in measured:  # over HTTP, the server makes the commits
        return line
    return f"{line}; {(measured['commits'] + measured['claims']) / count:.2f} transactions a task"


async def bare_agent(engine: Engine, count: int) -> LINES:  # noqa: ARG001 - all scenarios share one signature
    """Measure the same agent without this framework: bare streaming ``arun``, 50 at a time."""
    agent = noop_agent()

    async def once() -> None:
        async for _ in agent.arun("a question of a few words", stream=True, stream_events=True):
            pass

    await once()
    began, cpu = time.perf_counter(), cpu_seconds()
    for begin in range(0, count, 50):
        await asyncio.gather(*(once() for _ in range(min(50, count - begin))))
    seconds, each = time.perf_counter() - began, (cpu_seconds() - cpu) / count * 1000
    beside = f"{each:.2f} ms of CPU each; {each / AIMED_AT:.1f} times that of the machine that the aims were set on"
    return [("agent: bare streaming arun()/s", f"{count / seconds:.0f}/s; {beside}")]


async def ceiling(engine: Engine, count: int) -> LINES:
    """Measure the engine without a supervisor: claim 50, finish 50."""
    await fresh(engine)
    began = time.perf_counter()
    await create_many(engine, "ceiling", count)
    creating = time.perf_counter() - began
    card = WorkerCard(id=new_id(), name="bench", agents=("ceiling",), concurrency=50)
    await engine.work.register(card)
    outcome = Outcome(AgentExecutionStatus.Completed, {"result": "done"})

    async def end(assignment: Assignment) -> None:
        await engine.work.finish(assignment.task.id, assignment.attempt, outcome)

    began, done = time.perf_counter(), 0
    while done < count:
        claimed = await engine.work.assignments(card.id, lambda: Demand(50, {"ceiling": 50}), 5)
        await asyncio.gather(*(end(each) for each in claimed))
        done += len(claimed)
    seconds = time.perf_counter() - began
    await engine.work.leave(card.id)
    return [
        ("raw engine: creates/s, 200 at once", f"{count / creating:.0f}/s"),
        ("raw engine: claim and finish/s, 50 at once", f"{count / seconds:.0f}/s"),
    ]


async def latency_floor(engine: Engine, count: int) -> LINES:
    """Measure the idle machine itself: one row inserted and committed over the engine's own connection."""
    await engine.core.rows("create table if not exists worker.floor (at timestamptz)")
    times: list[float] = []
    for _ in range(count):
        await asyncio.sleep(0.01)
        began = time.perf_counter()
        await engine.core.rows("insert into worker.floor values (now())")
        times.append(time.perf_counter() - began)
    await engine.core.rows("drop table worker.floor")
    return [
        ("idle: one row inserted and committed (a create, a claim, a finish are one commit each)", percentiles(times))
    ]


async def latency_one_process(engine: Engine, count: int) -> LINES:
    """Measure an idle worker in this process: create to handler's start, create to result seen."""
    starts: dict[str, float] = {}

    async def handler(task: Any) -> str:
        starts[task.id] = time.perf_counter()
        return "done"

    registry = Registry()
    registry.add(handler, TaskUpdateEventType.TaskCreated, "near")
    async with serving(engine, registry):
        began, seen = await create_and_see(engine, "near", count)
    return latency_lines("in one process", began, starts, seen)


async def latency_two_processes(engine: Engine, count: int) -> LINES:
    """Measure an idle worker in another process: create to result here, and create to start by the database's clock."""
    await fresh(engine)
    with started("work"):
        _, seen = await create_and_see(engine, "noop", count)
        rows = await engine.core.rows("select extract(epoch from started_at - created_at) as s from worker.tasks")
    return [
        ("idle, between two processes: create to claim, p50/p95/p99", percentiles([float(row["s"]) for row in rows])),
        ("idle, between two processes: create to result seen", percentiles(list(seen.values()))),
    ]


async def create_and_see(engine: Engine, agent: str, count: int) -> tuple[dict[str, float], dict[str, float]]:
    """Create tasks one at a time; return when each was created, and how long it took to see its end."""
    new = NewTask(agent_id=agent, input=AgentExecutionInput(text="a question of a few words"))
    began: dict[str, float] = {}
    seen: dict[str, float] = {}
    for _ in range(count):
        at = time.perf_counter()
        task = await engine.tasks.create(new)
        async for event in engine.tasks.events(task.id, after=1):
            if event.type is TaskUpdateEventType.TaskFinished:
                break
        began[task.id], seen[task.id] = at, time.perf_counter() - at
        await asyncio.sleep(0.01)  # idle in between, since this measures latency
    return began, seen


def latency_lines(where: str, began: dict[str, float], starts: dict[str, float], seen: dict[str, float]) -> LINES:
    """Return two lines of percentiles."""
    to_start = [starts[task_id] - at for task_id, at in began.items()]
    return [
        (f"idle, {where}: create to handler's start, p50/p95/p99", percentiles(to_start)),
        (f"idle, {where}: create to result seen", percentiles(list(seen.values()))),
    ]


@asynccontextmanager
async def serving(platform: Platform, registry: Registry) -> AsyncGenerator[Supervisor]:
    """Run a supervisor in this process, as a worker does."""
    garbage.tune()
    supervisor = Supervisor(platform, registry, Settings(concurrency=50, drain_seconds=1))
    running = asyncio.create_task(supervisor.run())
    await supervisor.ready()
    try:
        yield supervisor
    finally:
        supervisor.stop()
        await running


async def memory(engine: Engine, count: int) -> LINES:
    """Measure the memory of an idle worker, and of each task that waits for a slow model."""
    import os

    await fresh(engine)
    os.environ["WORKER_CONCURRENCY"] = str(count)
    try:
        with started("work") as worker:
            idle = resident_bytes(worker.pid)
            await create_many(engine, "slow", count)
            async with asyncio.timeout(60):
                while (await executing(engine)) < count:  # noqa: ASYNC110 - another process starts them
                    await asyncio.sleep(0.1)
            busy = resident_bytes(worker.pid)
            worker.kill()
    finally:
        del os.environ["WORKER_CONCURRENCY"]
        await fresh(engine)
    return [
        ("memory: idle worker, no agent loaded", f"{idle / 1e6:.1f} MB"),
        (f"memory: each of {count} tasks that wait", f"{(busy - idle) / count / 1e3:.0f} KB"),
    ]


async def executing(engine: Engine) -> int:
    """Return the number of running tasks."""
    return (await engine.core.rows("select count(*) as n from worker.tasks where status = 'executing'"))[0]["n"]


async def import_time(engine: Engine, count: int) -> LINES:  # noqa: ARG001 - all scenarios share one signature
    """Measure ``import worker``, and the import of its main names on top of pydantic's own import."""

    def median(statement: str) -> float:
        times: list[float] = []
        for _ in range(count):
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", statement], check=True)
            times.append(time.perf_counter() - began)
        return sorted(times)[count // 2] * 1000

    nothing, pydantic = median("pass"), median("import pydantic, pydantic.main")
    bare, used = median("import worker"), median("from worker import Task, on, run_agent")
    return [
        ("import worker", f"{bare - nothing:.0f} ms over the interpreter's own start"),
        ("from worker import Task, on, run_agent", f"{used - pydantic:.0f} ms over pydantic's own import"),
    ]
