"""A fleet of real workers, and the three sentences that every story ends with."""

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

from tests.cli.shells import Running, Shell
from tests.support import wait_until
from worker.engine.engine import Engine
from worker.words.errors import Unavailable
from worker.words.statuses import TERMINAL
from worker.words.tasks import AgentExecutionInput, NewTask

HANDLERS = """
    import asyncio, json, os, time
    from pathlib import Path

    from agno.agent import Agent

    from worker import RetryPolicy, Task, Tasks, idempotency_key, on_task, run_agent
    from worker.current import run_in_hand
    from worker.testing import Call, ScriptedModel

    LEDGER = Path(os.environ["STORY_LEDGER"])
    EFFECTS = LEDGER.with_name("effects")
    ENDS = LEDGER.with_name("ends")

    def note(path, *what):
        with path.open("a") as file:
            file.write(json.dumps(what) + chr(10))

    async def effect(word: str, seconds: float) -> str:
        run = run_in_hand.get()
        note(EFFECTS, run.task_id, run.attempt, idempotency_key())
        await asyncio.sleep(seconds)
        return idempotency_key()

    def calls(seconds):
        return [Call("effect", {"word": word, "seconds": seconds}) for word in ("one", "two", "three")]

    async def work(task, context, seconds):
        await asyncio.sleep(seconds)
        return f"done by attempt {context.attempt}"

    @on_task(agent_id="short")
    async def short(task: Task, context) -> str:
        return await work(task, context, 0.05)

    @on_task(agent_id="calling")
    async def calling(task: Task) -> Task:
        model = ScriptedModel([*calls(float(task.input.text)), "all done"])
        return await run_agent(Agent(model=model, tools=[effect]), task)

    @on_task(agent_id="handing-on")
    async def handing_on(task: Task) -> str:
        await Tasks().acreate("short", "go")
        return "handed on"

    @on_task(agent_id="stepping")
    async def stepping(task: Task, context) -> str:
        for number in range(int(task.input.text)):
            await context.step(f"step {number}", effect, "step", 1.0)
        return f"{task.input.text} steps"

    @on_task(agent_id="stoppable")
    async def stoppable(task: Task) -> str:
        try:
            await asyncio.sleep(float(task.input.text))
        finally:
            note(ENDS, task.id, time.time())
        return "slept"

    @on_task(retries=RetryPolicy(base=0.1))
    async def faulty(task: Task, context) -> Task:
        model = ScriptedModel([*calls(0.0), "all done"])
        await run_agent(Agent(model=model, tools=[effect]), task)
        if context.attempt == 1 and task.input.text == "again":
            raise ConnectionError("again, please")
        return task

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
        self.shell = shell
        self.ledger = shell.folder / "ledger"
        self.ledger.touch()
        shell.handlers(HANDLERS)

    async def start(self, **environment: str) -> Running:
        """Start a worker and wait until it claims."""
        running = self.shell.start("run", **environment)
        await running.says("worker ready")
        self.workers.append(running)
        return running

    async def the_three_sentences(self, calls: int = 0, seconds: float = 60) -> int:
        """Every accepted task is terminal; every completed call's effect happened once; every log is gapless.

        Args:
            calls: How many calls each task makes.
            seconds: How long the last task may take to end.

        Returns:
            How often a call was cut off, and so was made again under the same key.
        """
        await self.all_terminal(seconds)
        repeats = await self.effects_happened_once(calls)
        await self.events_are_gapless()
        return repeats

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

    async def effects_happened_once(self, calls: int) -> int:
        """The second sentence: no call was made again once it was completed, which is once its result is in the log.

        A call that was cut off before that is made again under the same key; returns how often that was.
        """
        logged = await self.engine.core.rows(
            "select task_id, attempt, data->>'result' as key from worker.events where type = 'tool_call_result'"
        )
        completed = {row["key"]: row["attempt"] for row in logged}
        assert len(completed) == len(logged), "no call was completed twice"
        made: dict[str, list[int]] = {}
        for _, attempt, key in self._lines("effects"):
            made.setdefault(key, []).append(attempt)
        for key, attempt in completed.items():
            assert max(made[key]) == attempt, f"call {key} was made after it was completed: {made[key]}, {attempt}"
            assert made[key].count(attempt) == 1, f"call {key} was made twice by one attempt"
        if calls:
            whole = "select count(*) as n from worker.tasks where status = 'completed'"
            assert len(completed) >= calls * (await self.engine.core.rows(whole))[0]["n"]
        return sum(len(attempts) - 1 for attempts in made.values())

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

    async def workers_here(self, count: int) -> bool:
        """Whether so many workers are listed."""
        query = "select count(*) as n from worker.workers where gone_at is null"
        return (await self.engine.core.rows(query))[0]["n"] == count

    async def all_runs_ended(self) -> bool:
        """Whether each ``stoppable`` task that was begun has told of its end."""
        rows = await self.engine.core.rows("select id from worker.tasks where agent_id = 'stoppable' and attempt > 0")
        return {row["id"] for row in rows} <= self.ends().keys()

    def keys(self) -> int:
        """How many different calls and steps there were."""
        return len({key for _, _, key in self._lines("effects")})

    def runs(self) -> list[tuple[str, int]]:
        """Every run that began: task and attempt."""
        return [(task_id, attempt) for task_id, attempt in self._lines("ledger")]

    def ends(self) -> dict[str, float]:
        """When the runs of ``stoppable`` tasks ended, by their task."""
        return {task_id: moment for task_id, moment in self._lines("ends")}  # noqa: C416 - the types are told here

    def _lines(self, name: str) -> list[list[Any]]:
        path = self.ledger.with_name(name)
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def ledger_of(folder: Path) -> Path:
    """Where handlers write what they did."""
    return folder / "ledger"
