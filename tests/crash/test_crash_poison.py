"""Poison: tasks that kill whatever runs them. They end as failed, with the reason; all others finish, uncharged."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from tests.cli.shells import Running, Shell
from tests.server.serving import Serving
from tests.support import wait_until
from worker.engine.engine import Engine
from worker.engine.timings import EngineTimings
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.tasks import AgentExecutionInput, NewTask, TaskRecord

HANDLERS = """
    import asyncio, ctypes, os, time
    from agno.agent import Agent
    from worker import RetryPolicy, Task, on_boot, on_task, run_agent
    from worker.testing import Call, ScriptedModel

    booted = []

    @on_boot
    def boot():
        booted.append(os.getpid())

    def exit_now() -> str:
        os._exit(7)

    def segfault() -> str:
        return str(ctypes.string_at(0))

    def hog() -> str:
        held = []
        while True:
            held.append(b"x" * (16 << 20))
            time.sleep(0.02)

    def note() -> str:
        with open("notes", "a") as file:
            file.write("noted\\n")
        return "noted"

    tools = {tool.__name__: tool for tool in (exit_now, segfault, hog)}

    @on_task(agent_id="poison", retries=RetryPolicy(base=0.1))
    async def poison(task: Task) -> Task:
        tool = tools[task.input.text]
        model = ScriptedModel([Call(tool.__name__, {}), "never"])
        return await run_agent(Agent(model=model, tools=[tool]), task)

    @on_task(agent_id="notes", retries=RetryPolicy(base=0.1))
    async def notes_and_exits(task: Task) -> Task:
        model = ScriptedModel([Call("note", {}), Call("exit_now", {}), "never"])
        return await run_agent(Agent(model=model, tools=[note, exit_now]), task)

    @on_task(agent_id="good")
    async def good(task: Task) -> str:
        assert booted == [os.getpid()]
        await asyncio.sleep(float(task.input.text))
        return "well"
"""

REASONS = {
    "exit_now": "exited with code 7 before the task finished",
    "segfault": "was killed by SIGSEGV (segmentation fault)",
    "hog": "was killed by SIGKILL (out of memory?)",
}
MEGABYTES = 300  # resident, from which on a process is a hog; a worker with Agno in it has about 120


@pytest.fixture
def timings() -> EngineTimings:
    """It is believed at once: its database does not restart."""
    return EngineTimings(trust=0.5)


@pytest.fixture
async def rescuer(engine: Engine) -> Engine:
    """The test's own engine, which notices deaths."""
    engine.guard()
    return engine


@pytest.fixture
def server(database_url: str) -> Iterator[Serving]:
    serving = Serving(database_url).start()
    yield serving
    serving.stop()


@asynccontextmanager
async def kept_alive(here: Shell) -> AsyncGenerator[list[Running]]:
    """A worker that is started again whenever it dies; and memory that is short."""
    workers = [here.start("run")]

    async def keep() -> None:
        while True:
            await wait_until(lambda: workers[-1].process.poll() is not None, "the worker dies", 3600)
            workers.append(here.start("run"))

    async def end_hogs() -> None:
        while True:
            for pid in _family(workers[-1].process.pid):
                if _resident(pid) > MEGABYTES << 20:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(0.02)  # how often the kernel would look, were the memory really short

    tasks = [asyncio.create_task(keep()), asyncio.create_task(end_hogs())]
    try:
        yield workers
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    with suppress(OSError):
        return [pid, *(int(child) for child in children.read_text().split())]
    return []


def _resident(pid: int) -> int:
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


async def create(engine: Engine, agent: str, text: str) -> TaskRecord:
    return await engine.tasks.create(NewTask(agent_id=agent, input=AgentExecutionInput(text=text)))


async def all_ended(engine: Engine, seconds: float) -> dict[str, TaskRecord]:
    query = "select id from worker.tasks where status in ('pending', 'executing')"

    async def none_left() -> bool:
        return not await engine.core.rows(query)

    await wait_until(none_left, "every accepted task is terminal", seconds)
    rows = await engine.core.rows("select id from worker.tasks")
    return {row["id"]: await engine.tasks.get(row["id"]) for row in rows}


async def test_poison_ends_as_failed_by_its_reason_and_harms_no_neighbour(
    here: Shell, rescuer: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.handlers(HANDLERS)
    monkeypatch.setenv("WORKER_CHILDREN", "4")
    poison = {(await create(rescuer, "poison", tool)).id: tool for tool in REASONS}
    good = [(await create(rescuer, "good", "1")).id for _ in range(2)]
    async with kept_alive(here) as workers:
        ended = await all_ended(rescuer, 120)
        late = await create(rescuer, "good", "0")
        await all_ended(rescuer, 30)
    for task_id, tool in poison.items():
        task = ended[task_id]
        assert (task.status, task.crashes, task.errors) == (Status.Failed, 3, 0), task
        assert task.result == f"the task's process died 3 times; the last time it {REASONS[tool]}"
        assert task.suspicions == 2
    for task_id in [*good, late.id]:
        task = await rescuer.tasks.get(task_id)
        assert (task.status, task.result, task.crashes, task.errors) == (Status.Completed, "well", 0, 0), task
    assert len(workers) == 3, "two workers died of it, the third outlived it"
    assert "Fatal Python error: Segmentation fault" in workers[-1].log


async def test_a_worker_over_http_runs_suspects_apart_too_and_their_retries_resume(
    here: Shell, engine: Engine, server: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    await server.started()
    monkeypatch.setenv("XPANDER_BASE_URL", server.base)
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    here.handlers(HANDLERS)
    notes, good = await create(engine, "notes", "go"), await create(engine, "good", "0.1")
    await engine.core.rows("update worker.tasks set suspicions = 2")
    worker = here.start("run")
    ended = await all_ended(engine, 120)
    task = ended[notes.id]
    assert (task.status, task.crashes, task.suspicions) == (Status.Failed, 3, 2)
    assert task.result == f"the task's process died 3 times; the last time it {REASONS['exit_now']}"
    assert (here.folder / "notes").read_text() == "noted\n", "what was journaled is not done again"
    task = ended[good.id]
    assert (task.status, task.result, task.crashes) == (Status.Completed, "well", 0)
    assert await asyncio.to_thread(worker.end) == 0


@pytest.mark.crash
async def test_poison_among_fifty_good_ones(here: Shell, rescuer: Engine) -> None:
    """Story 7: every kind of poison, among tasks that come before, between and after it."""
    here.handlers(HANDLERS)
    poison: dict[str, str] = {}
    good: list[str] = []
    for number in range(50):
        good.append((await create(rescuer, "good", f"{0.2 + number % 5 / 2}")).id)
        if number % 8 == 0:
            tool = list(REASONS)[number // 8 % 3]
            poison[(await create(rescuer, "poison", tool)).id] = tool
    async with kept_alive(here) as workers:
        ended = await all_ended(rescuer, 1200)
    for task_id, tool in poison.items():
        task = ended[task_id]
        assert (task.status, task.crashes, task.errors) == (Status.Failed, 3, 0), task
        assert task.result == f"the task's process died 3 times; the last time it {REASONS[tool]}"
    assert {(ended[each].status, ended[each].result, ended[each].crashes) for each in good} == {
        (Status.Completed, "well", 0)
    }
    assert len(workers) - 1 <= 2 * len(poison), "from its second on a task took no worker with it"
