"""A worker is killed with -9 in the middle of a tool call: what was completed is not called again, what was cut is."""

import asyncio
import signal

from tests.cli.shells import Shell
from tests.support import wait_until
from worker.engine.engine import Engine
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.statuses import TaskUpdateEventType as Type
from worker.words.tasks import AgentExecutionInput, NewTask

HANDLERS = """
    import asyncio
    from pathlib import Path

    from worker import Agent, Task, idempotency_key, on_task, tool

    def note(*what):
        with Path("ledger").open("a") as ledger:
            ledger.write(" ".join(map(str, what)) + chr(10))

    @tool
    async def charge(amount: int) -> str:
        "Charge an amount."
        note("charge", amount, idempotency_key())
        if amount == 2 and not Path("again").exists():
            await asyncio.Event().wait()  # until its worker is killed
        return f"charged {amount}"

    @on_task(agent_id="shop")
    async def shop(task: Task) -> str:
        agent = await Agent.aload("shop")
        charge = agent.tools.get_tool_by_name("charge")
        done = [await charge.ainvoke("shop", {"amount": amount}) for amount in (1, 2, 3)]
        return ", ".join(each.result for each in done)
"""


async def test_a_call_that_a_kill_cut_off_is_made_again_and_no_other(
    here: Shell, engine: Engine, way: dict[str, str]
) -> None:
    here.handlers(HANDLERS)
    first = here.start("run", **way)
    task = await engine.tasks.create(NewTask(agent_id="shop", input=AgentExecutionInput(text="go")))

    def ledger() -> list[str]:
        path = here.folder / "ledger"
        return path.read_text().splitlines() if path.exists() else []

    await wait_until(lambda: len(ledger()) == 2, "the second call has begun", 30)
    assert await asyncio.to_thread(first.end, signal.SIGKILL) == -signal.SIGKILL
    (here.folder / "again").touch()
    here.start("run", **way)

    async def is_over() -> bool:
        return (await engine.tasks.get(task.id)).status.is_terminal

    await wait_until(is_over, "the task has ended", 60)
    done = await engine.tasks.get(task.id)
    assert (done.status, done.result) == (Status.Completed, "charged 1, charged 2, charged 3")
    called = [line.split() for line in ledger()]
    assert [amount for _, amount, _ in called] == ["1", "2", "2", "3"]
    assert called[1] == called[2], "under the same key"
    results = [each async for each in engine.tasks.events(task.id, follow=False) if each.type is Type.ToolCallResult]
    assert [each.data.result for each in results] == ["charged 1", "charged 2", "charged 3"]
