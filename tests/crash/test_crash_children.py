"""A parent of a hundred children on two workers: whichever dies, each child is made once, and the parent goes on."""

import asyncio
import signal

from tests.cli.shells import Shell
from tests.support import wait_until
from worker.engine.engine import Engine
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.task_lists import TaskQuery
from worker.words.tasks import AgentExecutionInput, NewTask

CHILDREN = 100

HANDLERS = f"""
    import asyncio
    from pathlib import Path

    from worker import Context, Task, on_task


    @on_task(agent_id="child")
    async def child(task: Task) -> str:
        Path(f"begun-{{task.input.text}}").touch()
        await asyncio.sleep(0.1)
        return task.input.text


    @on_task(agent_id="parent")
    async def parent(task: Task, context: Context) -> int:
        first = await context.gather(*(context.run_task("child", str(number)) for number in range({CHILDREN})))
        last = await context.run_task("child", str(sum(int(each.result) for each in first)))
        return last.result
"""


async def test_each_child_is_made_once_whichever_worker_dies(here: Shell, engine: Engine) -> None:
    here.handlers(HANDLERS)
    workers = [here.start("run") for _ in range(2)]
    await asyncio.gather(*(each.says("worker ready") for each in workers))
    task = await engine.tasks.create(NewTask(agent_id="parent", input=AgentExecutionInput(text="go")))

    def begun() -> int:
        return len(list(here.folder.glob("begun-*")))

    for at_least, worker in ((1, 0), (40, 1)):
        await wait_until(lambda wanted=at_least: begun() >= wanted, f"{at_least} children have begun", 30)
        workers[worker].process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(workers[worker].process.wait)
        workers[worker] = here.start("run")
        await workers[worker].says("worker ready")

    async def has_ended() -> bool:
        return (await engine.tasks.get(task.id)).status.is_terminal

    await wait_until(has_ended, "the parent has ended", 60)
    done = await engine.tasks.get(task.id)
    assert (done.status, done.result) == (Status.Completed, str(sum(range(CHILDREN))))
    children = await engine.tasks.find(TaskQuery(parent_task_id=task.id, limit=2 * CHILDREN))
    assert len(children) == len(done.sub_executions) == CHILDREN + 1
    assert sorted(int(each.result or 0) for each in children) == sorted([*range(CHILDREN), sum(range(CHILDREN))])
