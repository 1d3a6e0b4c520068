"""A worker is killed with -9 after it has read a task's files, and their URLs expire: another one finds the same."""

import signal

from tests.cli.shells import Shell
from tests.inputs import documents
from tests.inputs.servers import ok, serving
from tests.support import wait_until
from worker.engine.engine import Engine
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.tasks import AgentExecutionInput, NewTask

HANDLERS = """
    import asyncio
    from pathlib import Path

    from worker import Task, on_task


    @on_task(agent_id="reader")
    async def read(task: Task, context) -> str:
        Path(f"message-{context.attempt}").write_text(task.to_message())
        if context.attempt == 1:
            await asyncio.Event().wait()
        return "read"
"""


async def test_what_a_killed_worker_had_read_is_read_again_without_its_urls(here: Shell, engine: Engine) -> None:
    here.handlers(HANDLERS)
    first = here.start("run", WORKER_ALLOW_PRIVATE_URLS="true")
    await first.says("worker ready")
    async with serving() as site:
        site.routes |= {"/a.csv?signature=1": ok(b"year,total\n2020,5\n", "text/csv"), "/b.docx": ok(documents.word())}
        files = [site.url(path) for path in site.routes]
        task = await engine.tasks.create(NewTask(agent_id="reader", input=AgentExecutionInput(text="go", files=files)))
        message = here.folder / "message-1"
        await wait_until(lambda: message.exists() and message.read_text(), "the first attempt has its files", 40)
        second = here.start("run", WORKER_ALLOW_PRIVATE_URLS="true")
        await second.says("worker ready")
    assert first.end(signal.SIGKILL) == -signal.SIGKILL

    async def has_ended() -> bool:
        return (await engine.tasks.get(task.id)).status.is_terminal

    await wait_until(has_ended, "the second worker has finished it", 40)
    ended = await engine.tasks.get(task.id)
    assert (ended.status, ended.result, ended.execution_attempts) == (Status.Completed, "read", 2)
    assert (here.folder / "message-2").read_text() == message.read_text()
    assert "2020,5" in message.read_text()
    assert documents.WORDS in message.read_text()
