import asyncio

import pytest
from agno.agent import Agent

from tests.support import wait_until
from worker import Task, Tasks, on_task, registry, run_agent
from worker.registry import Registry
from worker.testing import Call, ScriptedModel
from worker.testing.local import local_platform


@pytest.mark.usefixtures("environment")
async def test_a_stopped_task_says_what_it_has_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "default", Registry())
    waiting, for_ever = asyncio.Event(), asyncio.Event()

    async def wait() -> str:
        """Wait."""
        waiting.set()
        await for_ever.wait()
        return "never"

    @on_task(agent_id="a")
    async def handler(task: Task) -> Task:
        return await run_agent(Agent(model=ScriptedModel([Call("wait", {}), "done"]), tools=[wait]), task)

    with local_platform() as platform:
        monkeypatch.setenv("DATABASE_URL", platform.url)
        async with platform.worker(handler):
            task = await Tasks().acreate(agent_id="a", prompt="x")
            await asyncio.wait_for(waiting.wait(), 30)
            await task.astop()

            async def told() -> bool:
                return (await Tasks().aget(task.id)).tokens is not None

            await wait_until(told, "the stopped task says what it has cost", 20)
            stopped = await Tasks().aget(task.id)
            assert stopped.status == "stopped"
            assert stopped.tokens is not None
            assert stopped.tokens.prompt_tokens == 10
            assert stopped.used_tools == ["wait"]
