"""A worker whose event loop was broken by a handler ends at once, with a reason, and its tasks go elsewhere."""

import asyncio
import textwrap

import pytest

from tests.cli.conftest import here, shells
from tests.cli.shells import SECONDS, Shell
from tests.supervisor.stories import create, finished
from worker.engine.engine import Engine
from worker.words.statuses import AgentExecutionStatus as Status

__all__ = ["here", "shells"]

HANDLERS = """
    import asyncio, os
    from worker import Context, Task, on_task
    from worker.supervisor import loop_health

    loop_health.BROKEN_SECONDS = 2.0

    @on_task(agent_id="breaker")
    async def breaks(task: Task, context: Context) -> str:
        loop = asyncio.get_running_loop()
        if context.attempt == 1:
            {how}
            await asyncio.sleep(0.1)
        return "done"
"""
HOW = {
    "closes its selector": "loop._selector.close()",
    "closes all descriptors": "os.closerange(3, 256)",
    "stops its clock": "now = loop.time(); loop.time = lambda: now",
    "starts nothing": "loop.call_soon = None",
}


@pytest.mark.parametrize("how", HOW.values(), ids=HOW)
async def test_a_broken_loop_ends_the_process_and_another_worker_does_the_task(
    here: Shell, engine: Engine, how: str
) -> None:
    here.handlers(textwrap.dedent(HANDLERS).format(how=how))
    task = await create(engine, "breaker")
    broken = here.start("run")
    assert await asyncio.to_thread(broken.process.wait, SECONDS) == 1, broken.log
    assert "event loop" in broken.log
    here.start("run")
    found = await finished(engine, task)
    assert (found.status, found.execution_attempts) == (Status.Completed, 2)
