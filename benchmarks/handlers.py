"""The handlers that the benchmarks serve: one that does nothing, an Agno agent with a no-op model, and a slow one."""

import asyncio
import time
from typing import TYPE_CHECKING, Any

from worker import Context, Task, on_task, run_agent

if TYPE_CHECKING:
    from agno.agent import Agent

_agents: dict[str, "Agent"] = {}


@on_task(agent_id="noop")
async def noop(task: Task) -> str:  # noqa: ARG001 - the usual signature of a handler
    return "done"


@on_task(agent_id="agent")
async def agent(task: Task) -> Task:
    return await run_agent(noop_agent(), task)


@on_task(agent_id="slow")
async def slow(task: Task) -> str:  # noqa: ARG001 - the usual signature of a handler
    """Simulate a slow model, to measure the memory of a waiting task."""
    await asyncio.sleep(3600)
    return "never"


@on_task(agent_id="sleeper")
async def sleeper(task: Task, context: Context) -> str:
    """Sleep until the time in the task's text."""
    await context.sleep(float(task.input.text or 0) - time.time())
    return "awake"


def noop_agent() -> "Agent":
    """Return an agent with an offline model that answers immediately."""
    if "noop" not in _agents:
        from agno.agent import Agent

        from worker.testing import ScriptedModel

        model: Any = ScriptedModel(["done"])
        _agents["noop"] = Agent(id="agent", name="agent", model=model, telemetry=False)
    return _agents["noop"]


async def warm_up() -> None:
    """Load Agno and run the agent once, like a worker that has already run a task."""
    from datetime import UTC, datetime

    from worker.words.tasks import AgentExecutionInput

    question = AgentExecutionInput(text="warm up")
    await run_agent(noop_agent(), Task(id="warm", agent_id="agent", input=question, created_at=datetime.now(UTC)))
