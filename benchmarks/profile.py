"""The processor time of a worker per task, by package or library."""

import asyncio
import cProfile
import pstats
from collections import Counter
from pathlib import Path
from typing import Any, cast

from benchmarks.processes import create_many
from benchmarks.scenarios import LINES, fresh, serving, until_finished
from worker.engine.engine import Engine
from worker.registry import Registry
from worker.words.statuses import TaskUpdateEventType

ROOMS = ("engine", "supervisor", "face", "inputs", "agents", "words")
LIBRARIES = ("psycopg_pool", "psycopg", "pydantic_core", "pydantic", "structlog", "asyncio", "agno")

Profiled = dict[tuple[str, int, str], tuple[int, int, float, float, Any]]


async def profile(engine: Engine, count: int) -> LINES:
    """Profile a backlog of no-op tasks in this process; Python's profiler about doubles the time."""

    async def handler(task: Any) -> str:  # noqa: ARG001 - the usual signature of a handler
        return "done"

    registry = Registry()
    registry.add(handler, TaskUpdateEventType.TaskCreated, "profiled")
    await fresh(engine)
    await create_many(engine, "profiled", count)
    profiler = cProfile.Profile()
    profiler.enable()
    async with serving(engine, registry):
        await until_finished(engine, count)
    profiler.disable()
    await asyncio.sleep(0)
    shares = by_place(cast("Profiled", pstats.Stats(profiler).stats))  # pyright: ignore[reportAttributeAccessIssue] # untyped
    total = sum(shares.values())
    told = ", ".join(f"{place} {100 * spent / total:.0f} %" for place, spent in shares.most_common(9))
    return [(f"where a no-op task's time in the worker goes ({count} tasks)", told)]


def by_place(profiled: Profiled) -> "Counter[str]":
    """Return the own time of all functions in microseconds by package or library, without waits for the database."""
    shares: Counter[str] = Counter()
    for (file, _, name), (_, _, own, _, _) in profiled.items():
        if "poll" not in name:
            shares[place(file, name)] += round(own * 1e6)
    return shares


def place(file: str, name: str) -> str:
    """Return our package, or the library, that a function belongs to."""
    parts = Path(file).parts
    if "worker" in parts:
        return next((f"worker.{organization}" for organization in ROOMS if organization in parts), "worker")
    return next((library for library in LIBRARIES if library in parts or library in name), "Python itself")
