"""A fleet of real workers, and the three sentences that every story ends with."""

import asyncio
import json
from collections import Counter
from pathlib import Path

from tests.cli.shells import Running, Shell
from tests.support import wait_until
from worker.engine.engine import Engine
from worker.words.errors import Unavailable
from worker.words.statuses import TERMINAL
from worker.words.tasks import AgentExecutionInput, NewTask

HANDLERS = """
    import asyncio, json, os
    from pathlib import Path
    from worker import Task, on_task

    LEDGER = Path(os.environ["STORY_LEDGER"])

    async def work(task, context, seconds):
        await asyncio.sleep(seconds)
        return f"done by attempt {context.attempt}"

    @on_task(agent_id="short")
    async def short(task: Task, context) -> str:
        return await work(task, context, 0.05)

    @on_task(agent_id="long")
    async def long(task: Task, context) -> str:
        with LEDGER.open("a") as ledger:
            ledger.write(json.dumps([task.id, context.attempt]) + chr(10))
        return await work(task, context, float(task.input.text))
"""


class Fleet:
    """Workers that serve one folder of handlers against one database."""

    def __init__(self, shell: Shell, engine: Engine) -> None:
        self.engine = engine
        self.workers: list[Running] = []
        self._shell = shell
        self.ledger = shell.folder / "ledger"
        self.ledger.touch()
        shell.handlers(HANDLERS)

    async def start(self) -> Running:
        """Start a worker and wait until it claims."""
        running = self._shell.start("run")
        await running.says("worker ready")
        self.workers.append(running)
        return running

    async def create(self, agent: str, count: int, text: str = "0.1") -> list[str]:
        """Accept tasks."""
        new = NewTask(agent_id=agent, input=AgentExecutionInput(text=text))
        return [(await self.engine.tasks.create(new)).id for _ in range(count)]

    async def count(self, *statuses: str) -> int:
        """How many tasks stand so."""
        query = "select count(*) as n from worker.tasks where status = any(%s)"
        while True:
            try:
                return (await self.engine.core.rows(query, (list(statuses),)))[0]["n"]
            except Unavailable:  # a story may be that the database is away; whoever waits has a limit of his own
                await asyncio.sleep(0.05)

    async def oldest_worker(self, seconds: float) -> bool:
        """Whether every worker has been there so long."""
        query = "select min(extract(epoch from now() - started_at)) as age from worker.workers where gone_at is null"
        return float((await self.engine.core.rows(query))[0]["age"]) > seconds

    async def all_terminal(self, seconds: float = 60) -> None:
        """The first sentence: every accepted task is terminal."""

        async def none_left() -> bool:
            return await self.count("pending", "executing", "paused") == 0

        await wait_until(none_left, "every accepted task is terminal", seconds)

    async def events_are_gapless(self) -> None:
        """The third sentence: every task's events are 1, 2, 3 … and end with what ended it."""
        rows = await self.engine.core.rows(
            "select t.id, t.status, t.last_event, array_agg(e.number order by e.number) as numbers,"
            " array_agg(e.type order by e.number) as types"
            " from worker.tasks t join worker.events e on e.task_id = t.id group by t.id"
        )
        for row in rows:
            assert row["numbers"] == list(range(1, row["last_event"] + 1)), row
            assert Counter(row["types"])["task_finished"] == (row["status"] in TERMINAL), row

    async def tasks(self) -> list[dict[str, object]]:
        """Every task, as the database has it."""
        query = "select id, status, attempt, suspicions, crashes, errors, result from worker.tasks"
        return await self.engine.core.rows(query)

    def runs(self) -> list[tuple[str, int]]:
        """Every run that began: task and attempt."""
        return [tuple(json.loads(line)) for line in self.ledger.read_text().splitlines()]


def ledger_of(folder: Path) -> Path:
    """Where handlers write what they did."""
    return folder / "ledger"
