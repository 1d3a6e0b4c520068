"""A wait of a day outlives everything: the worker that began it, the database, and whatever comes after them."""

import asyncio
import os
import shutil
import signal

import pytest

from tests.cli.shells import Shell
from tests.crash.test_crash_fleet import answers, new_home
from tests.support import wait_until
from worker.engine.embedded import Embedded
from worker.engine.engine import Engine
from worker.words.errors import Unavailable
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.tasks import AgentExecutionInput, NewTask, TaskRecord

HANDLERS = """
    from datetime import timedelta
    from pathlib import Path

    from worker import Context, Task, on_task

    def note(what: str) -> None:
        with Path("ledger").open("a") as ledger:
            ledger.write(what + chr(10))

    @on_task(agent_id="sleeper")
    async def sleeper(task: Task, context: Context) -> str:
        await context.step("before", note, "before")
        await context.sleep(timedelta(days=1))
        await context.step("after", note, "after")
        return "awake"
"""

# As if the time had come: the wait is over by the row, and by the journal that the handler asks.
A_DAY_LATER = """
    with later as (update worker.tasks set available_at = now() where id = %(id)s returning id)
    update worker.journal set value = replace(value::text, %(day)s, '2020-01-01')::json
     where task_id = (select id from later)
"""


async def test_a_day_long_sleep_survives_a_restart_of_everything(here: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    here.handlers(HANDLERS)
    home = new_home()
    servers = [await asyncio.to_thread(Embedded.start, home)]
    monkeypatch.setenv("DATABASE_URL", servers[0].url)
    engine = Engine(servers[0].url)
    try:
        await engine.migrate()
        await engine.open()
        first = here.start("run")
        task = await engine.tasks.create(NewTask(agent_id="sleeper", input=AgentExecutionInput(text="go")))

        async def now() -> TaskRecord:
            while True:
                try:
                    return await engine.tasks.get(task.id)
                except Unavailable:  # the database is on its way
                    await asyncio.sleep(0.05)

        async def sleeps() -> bool:
            return (await now()).waiting_for == "sleeps for 1 d"

        async def is_over() -> bool:
            return (await now()).status.is_terminal

        await wait_until(sleeps, "it sleeps", 30)
        assert await asyncio.to_thread(first.end, signal.SIGKILL) == -signal.SIGKILL
        os.kill(servers[-1].pid, signal.SIGQUIT)  # immediate: as a power cut, for PostgreSQL
        await wait_until(lambda: not answers(home), "the server is gone", 10)
        servers.append(await asyncio.to_thread(Embedded.start, home))
        second = here.start("run")
        await second.says("worker ready")
        asleep = await now()
        assert (asleep.status, asleep.execution_attempts, asleep.waiting_for) == (Status.Pending, 1, "sleeps for 1 d")
        assert asleep.available_at is not None
        await engine.core.rows(A_DAY_LATER, {"id": task.id, "day": asleep.available_at.isoformat()[:10]})
        await wait_until(is_over, "it has woken", 30)
        done = await now()
        assert (done.status, done.result, done.crashes) == (Status.Completed, "awake", 0)
        assert (here.folder / "ledger").read_text().split() == ["before", "after"]
        assert await asyncio.to_thread(second.end) == 0
    finally:
        await engine.close()
        for server in servers:
            await asyncio.to_thread(server.close)
        shutil.rmtree(home, ignore_errors=True)
