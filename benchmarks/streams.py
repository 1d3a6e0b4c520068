"""The cost of a streamed answer: processor time per chunk, through ``run_agent`` and with Agno alone."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from agno.agent import Agent

from benchmarks.processes import cpu_seconds
from benchmarks.scenarios import LINES
from worker import Task, run_agent
from worker.engine.engine import Engine
from worker.testing import Pieces, ScriptedModel
from worker.words.tasks import AgentExecutionInput

CHUNKS = 500
AT_ONCE = 20
TURNS = 5
QUESTION = "a question of a few words"


async def streams(engine: Engine, count: int) -> LINES:  # noqa: ARG001 - all scenarios share one signature
    """Measure both ways by turns; the least of the turns counts, since anything else that runs only adds to it."""
    await _cost(bare, AT_ONCE)  # warm-up
    turns = [(await _cost(bare, count), await _cost(ours, count)) for _ in range(TURNS)]
    alone, whole = (min(each[way] for each in turns) for way in (0, 1))
    return [
        (
            f"agent: processor time per streamed chunk, bare and ours ({count} answers)",
            f"{alone:.1f} µs, {whole:.1f} µs",
        )
    ]


async def _cost(answer: Callable[[], Awaitable[None]], count: int) -> float:
    """Return the microseconds of processor time per chunk."""
    before = cpu_seconds()
    for begin in range(0, count, AT_ONCE):
        await asyncio.gather(*(answer() for _ in range(min(AT_ONCE, count - begin))))
    return (cpu_seconds() - before) / count / CHUNKS * 1e6


def _agent() -> Any:
    return Agent(id="agent", name="agent", model=ScriptedModel([Pieces(["word "] * CHUNKS)]), telemetry=False)


async def bare() -> None:
    """Stream an answer with Agno alone."""
    async for _ in _agent().arun(QUESTION, stream=True, stream_events=True):
        pass


async def ours() -> None:
    """Stream an answer through ``run_agent``."""
    task = Task(id="task", agent_id="agent", input=AgentExecutionInput(text=QUESTION), created_at=datetime.now(UTC))
    await run_agent(_agent(), task)
