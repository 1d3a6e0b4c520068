"""Turns of one conversation on two workers: whichever dies, they are done one after the other, in order."""

import asyncio
import itertools
import signal

from tests.cli.shells import Shell
from tests.support import wait_until
from worker.engine.engine import Engine
from worker.words.conversations import ConversationQuery
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.tasks import AgentExecutionInput, NewTask

TURNS = 6

HANDLERS = """
    import asyncio
    import time
    from pathlib import Path

    from worker import Context, Task, on_task

    LOG = Path("log")

    def note(*what):
        with LOG.open("a") as file:
            file.write(" ".join(map(str, what)) + chr(10))

    @on_task(agent_id="desk")
    async def desk(task: Task, context: Context) -> str:
        note("begin", task.input.text, context.attempt)
        if (task.input.text, context.attempt) == ("2", 1):
            await asyncio.Event().wait()  # until its worker is killed
        await asyncio.sleep(0.05)
        note("end", task.input.text, context.attempt)
        return f"answer to {task.input.text}"
"""


async def test_turns_sent_at_once_are_done_in_order_whichever_worker_dies(here: Shell, engine: Engine) -> None:
    here.handlers(HANDLERS)
    workers = [here.start("run") for _ in range(2)]
    await asyncio.gather(*(each.says("worker ready") for each in workers))

    def wish(number: int) -> NewTask:
        text = AgentExecutionInput(text=str(number))
        return NewTask(agent_id="desk", input=text, conversation_id="talk")

    made = await asyncio.gather(*(engine.tasks.create(wish(number)) for number in range(TURNS)))

    def log() -> list[list[str]]:
        path = here.folder / "log"
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    await wait_until(lambda: ["begin", "2", "1"] in log(), "the third turn has begun", 30)
    held = "select w.name from worker.tasks t join worker.workers w on w.id = t.worker_id where t.status = 'executing'"
    (holder,) = await engine.core.rows(held)
    dying = next(each for each in workers if str(holder["name"]).endswith(f":{each.process.pid}"))
    dying.process.send_signal(signal.SIGKILL)
    await asyncio.to_thread(dying.process.wait)

    async def have_ended() -> bool:
        tasks = [await engine.tasks.get(each.id) for each in made]
        return all(each.status.is_terminal for each in tasks)

    await wait_until(have_ended, "all turns have ended", 60)
    told = await engine.tasks.conversation("talk", ConversationQuery())
    order = [str(each.question) for each in told.turns]  # of several at the same instant, any one is the first
    assert sorted(order) == [str(number) for number in range(TURNS)]
    assert [(each.answer, each.status) for each in told.turns] == [
        (f"answer to {number}", Status.Completed) for number in order
    ]
    done = log()
    assert [each[1] for each in done if each[0] == "end"] == order
    assert [each[1] for each in done if each[0] == "begin" and each[2] == "1"] == order
    assert sum(each[0] == "begin" for each in done) == TURNS + 1, "the turn that died is made once more"
    for before, after in itertools.pairwise(done):
        is_next = before[0] == "end" or (before[1] == after[1] and int(after[2]) > int(before[2]))
        assert after[0] == "end" or is_next, f"{after} began while {before} was not over"
