"""The cost of the journal: runs of ten tool calls on a model that takes 50 ms, with and without it."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from statistics import median
from typing import Any

from benchmarks.processes import cpu_seconds, create_many
from benchmarks.scenarios import LINES, finished, fresh, serving, until_finished
from worker import Task, run_agent
from worker.contracts import Capabilities
from worker.engine.engine import Engine
from worker.registry import Registry
from worker.words.statuses import TaskUpdateEventType

MODEL_SECONDS = 0.05
TOOL_CALLS = 10
PAIRS = 7


class WithoutJournals(Engine):
    """The engine, presented as a platform without journals."""

    def __init__(self, engine: Engine) -> None:
        vars(self).update(vars(engine))

    @property
    def capabilities(self) -> Capabilities:
        """The engine's capabilities without resuming."""
        return replace(super().capabilities, resume=False)


async def journal(engine: Engine, count: int) -> LINES:
    """Run tasks, fifty at a time, alternately with and without the journal; the cost is the median over the pairs."""
    registry = Registry()
    agent = agent_of(TOOL_CALLS)
    registry.add(handler_of(agent), TaskUpdateEventType.TaskCreated, "worker")

    async def measured(*, keeps: bool) -> tuple[float, float]:
        agent.model.requests.clear()  # real models do not store their requests
        return await measure(engine if keeps else WithoutJournals(engine), registry, count)

    await measured(keeps=True)  # warm-up
    pairs = [(await measured(keeps=False), await measured(keeps=True)) for _ in range(PAIRS)]
    costs = sorted((took / alone - 1) * 100 for (alone, _), (took, _) in pairs)
    seconds = [median(each[way][0] for each in pairs) for way in (0, 1)]
    used = [median(each[way][1] for each in pairs) / count * 1e3 for way in (0, 1)]
    cost = f"{median(costs):+.1f} %, of {PAIRS} pairs; {costs[0]:+.1f} to {costs[-1]:+.1f}"
    return [
        (f"journal: {count} runs of {TOOL_CALLS} tool calls, 50 at once, without it", f"{seconds[0]:.2f} s"),
        ("journal: the same with it", f"{seconds[1]:.2f} s ({cost})"),
        ("journal: processor time a run, without and with", f"{used[0]:.1f} ms, {used[1]:.1f} ms"),
    ]


async def measure(platform: Engine, registry: Registry, count: int) -> tuple[float, float]:
    """Run tasks, and return the seconds from the first claim to the last finish, and the processor time in seconds."""
    await fresh(platform)
    async with serving(platform, registry):
        cpu = cpu_seconds()
        await create_many(platform, "worker", count)
        await until_finished(platform, count)
        _, seconds = await finished(platform)
        return seconds, cpu_seconds() - cpu


def agent_of(calls: int) -> Any:
    """Return an agent that makes the given number of tool calls in sequence."""
    from agno.agent import Agent

    from worker.testing import Call, ScriptedModel

    def look_up(number: int) -> dict[str, str]:
        """Look something up."""
        return {"found": f"row {number} of the table, with a few words in it"}

    async def think(_: Sequence[Any]) -> None:
        await asyncio.sleep(MODEL_SECONDS)

    script: Any = [*(Call("look_up", {"number": number}) for number in range(calls)), "All is found."]
    return Agent(id="worker", model=ScriptedModel(script, before=think), tools=[look_up], telemetry=False)


def handler_of(agent: Any) -> Any:
    async def handle(task: Task) -> Task:
        return await run_agent(agent, task)

    return handle
