"""A suspect, alone in a child process of a real worker: it is stopped, limited, drained, tried again as any other."""

import asyncio
import json
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.cli.conftest import here, shells
from tests.cli.shells import Running, Shell
from tests.support import process_lives, wait_until
from worker.engine.engine import Engine
from worker.engine.timings import EngineTimings
from worker.registry import Registry
from worker.settings import Settings
from worker.supervisor.child import describe_exit
from worker.supervisor.serving import introduce
from worker.words.statuses import AgentExecutionStatus as Status
from worker.words.tasks import AgentExecutionInput, NewTask, TaskRecord

__all__ = ["here", "shells"]

HANDLERS = """
    import asyncio, json, os, time
    from pathlib import Path
    from worker import RetryPolicy, Task, on_shutdown, on_task

    def told(task, word):
        with Path("told").open("a") as file:
            file.write(json.dumps([task.id if task else None, word, os.getpid()]) + chr(10))

    @on_shutdown
    def bye():
        told(None, "bye")

    @on_task(agent_id="waits")
    async def waits(task: Task) -> str:
        told(task, "began")
        try:
            await asyncio.Event().wait()
        finally:
            told(task, "cancelled")

    @on_task(agent_id="sync")
    def in_thread(task: Task, context) -> str:
        told(task, "began")
        context.stopping.wait(30)
        told(task, "cancelled")

    @on_task(agent_id="stuck")
    async def stuck(task: Task) -> str:
        told(task, "began")
        time.sleep(60)

    @on_task(agent_id="limited", timeout=0.5)
    async def limited(task: Task) -> str:
        await asyncio.Event().wait()

    @on_task(agent_id="blocks", timeout=0.5)
    async def blocks(task: Task) -> str:
        time.sleep(60)

    @on_task(agent_id="tries", retries=RetryPolicy(base=0.01))
    async def tries(task: Task, context) -> str:
        print("a handler prints", flush=True)
        await context.step("once", told, task, "step")
        if task.errors == 0:
            raise ConnectionError("broken")
        return f"done by attempt {context.attempt}"

    @on_task(agent_id="zero")
    async def zero(task: Task) -> str:
        os._exit(0)
"""


async def suspect(engine: Engine, agent: str) -> TaskRecord:
    """A task that two workers died of."""
    task = await engine.tasks.create(NewTask(agent_id=agent, input=AgentExecutionInput(text="go")))
    await engine.core.rows("update worker.tasks set suspicions = 2 where id = %s", (task.id,))
    return task


async def finished(engine: Engine, task: TaskRecord) -> TaskRecord:
    async def is_over() -> bool:
        return (await engine.tasks.get(task.id)).status.is_terminal

    await wait_until(is_over, f"the task for {task.agent_id} is over", 40)
    return await engine.tasks.get(task.id)


class Told:
    """What handlers wrote down."""

    def __init__(self, shell: Shell) -> None:
        self._file = shell.folder / "told"

    def pid(self, task: TaskRecord | None, word: str) -> int | None:
        """Number of the process that said a word of a task, if one has."""
        with suppress(FileNotFoundError):
            for line in self._file.read_text().splitlines():
                task_id, said, pid = json.loads(line)
                if (task_id, said) == (task.id if task else None, word):
                    return pid
        return None

    async def says(self, task: TaskRecord | None, word: str, seconds: float = 30) -> int:
        await wait_until(lambda: self.pid(task, word), f"{word} is said", seconds)
        pid = self.pid(task, word)
        assert pid is not None
        return pid


@pytest.fixture
def told(here: Shell) -> Told:
    here.handlers(HANDLERS)
    return Told(here)


async def ready(here: Shell) -> Running:
    worker = here.start("run")
    await worker.says("worker ready")
    return worker


async def test_a_suspect_runs_apart_as_it_would_beside_others(
    here: Shell, engine: Engine, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKER_CHILDREN", "3")
    limited, tries, zero = [await suspect(engine, agent) for agent in ("limited", "tries", "zero")]
    worker = await ready(here)
    task = await finished(engine, tries)
    assert (task.status, task.result, task.errors, task.crashes) == (Status.Completed, "done by attempt 2", 1, 0)
    assert told.pid(tries, "step") not in (None, worker.process.pid)
    steps = [line for line in (here.folder / "told").read_text().splitlines() if tries.id in line]
    assert len(steps) == 1, "the second child went on from the journal of the first"
    task = await finished(engine, limited)
    assert (task.status, task.result, task.crashes) == (Status.Failed, "time limit of 0.5 s", 0)
    task = await finished(engine, zero)
    reason = "exited with code 0 before the task finished"
    assert (task.status, task.result) == (Status.Failed, f"the task's process died 3 times; the last time it {reason}")
    assert await asyncio.to_thread(worker.end) == 0
    assert "a handler prints" in worker.log
    assert any("task will be retried" in line and tries.id in line for line in worker.log.splitlines())
    assert told.pid(None, "bye") is not None


async def test_a_stop_reaches_a_child_within_a_second_and_one_whose_loop_is_blocked_is_killed_at_its_limit(
    here: Shell, engine: Engine, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKER_CHILDREN", "3")
    waits, sync, blocks = [await suspect(engine, agent) for agent in ("waits", "sync", "blocks")]
    await ready(here)
    for each in (waits, sync):
        await told.says(each, "began")
        began = time.monotonic()
        await engine.tasks.stop(each.id)
        pid = await told.says(each, "cancelled")
        assert time.monotonic() - began < 1
        await wait_until(lambda pid=pid: not process_lives(pid), "the child has ended", 5)
        assert (await engine.tasks.get(each.id)).status is Status.Stopped
    task = await finished(engine, blocks)
    assert (task.status, task.result, task.crashes) == (Status.Failed, "time limit of 0.5 s", 0)


async def test_a_worker_that_leaves_hands_its_suspects_back_uncharged(
    here: Shell, engine: Engine, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKER_DRAIN_SECONDS", "0.5")
    monkeypatch.setenv("WORKER_CHILDREN", "3")
    tasks = [await suspect(engine, agent) for agent in ("waits", "sync", "stuck")]
    worker = await ready(here)
    pids = [await told.says(task, "began") for task in tasks]
    began = time.monotonic()
    for pid in pids:
        os.kill(pid, signal.SIGTERM)  # as a dyno does
    assert await asyncio.to_thread(worker.end) == 0
    assert time.monotonic() - began < 10
    assert not any(process_lives(pid) for pid in pids)
    for task in tasks:
        found = await engine.tasks.get(task.id)
        assert (found.status, found.suspicions, found.crashes, found.errors) == (Status.Pending, 2, 0, 0)
        assert (told.pid(task, "cancelled") is None) == (task.agent_id == "stuck"), (
            "one whose loop is blocked is killed"
        )


@pytest.mark.parametrize("timings", [EngineTimings(trust=0.5)], ids=["quick"])
async def test_a_child_ends_with_its_worker_whose_death_is_a_suspicion_and_no_crash(
    here: Shell, engine: Engine, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.guard()
    task = await suspect(engine, "waits")
    worker = await ready(here)
    pid = await told.says(task, "began")
    worker.process.kill()
    await wait_until(lambda: not process_lives(pid), "the child has ended with its worker", 5)

    async def is_pending() -> bool:
        return (await engine.tasks.get(task.id)).status is Status.Pending

    await wait_until(is_pending, "the task is pending again")
    found = await engine.tasks.get(task.id)
    assert (found.suspicions, found.crashes) == (3, 0)


async def test_a_suspect_whose_child_cannot_begin_is_charged_and_says_why(here: Shell, engine: Engine) -> None:
    here.handlers(
        """
        import os
        from worker import on_boot, on_task

        @on_boot
        def boot():
            if os.path.exists("bound"):
                raise OSError("the port is taken")
            open("bound", "w").close()

        @on_task(agent_id="any")
        async def handler(task):
            return "done"
        """
    )
    task = await suspect(engine, "any")
    await engine.core.rows("update worker.tasks set crashes = 2")
    await ready(here)
    found = await finished(engine, task)
    assert (found.status, found.crashes) == (Status.Failed, 3)
    assert (
        found.result == "the task's process died 3 times; the last time it could not start: OSError: the port is taken"
    )


@pytest.mark.parametrize(
    ("folder", "children", "isolates"), [(None, 2, False), (Path("handlers"), 0, False), (Path("handlers"), 2, True)]
)
def test_a_worker_says_whether_it_runs_suspects_apart(folder: Path | None, children: int, isolates: bool) -> None:
    registry = Registry()
    registry.folder = folder
    assert introduce(registry, Settings.model_validate({"children": children})).isolates is isolates


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (7, "exited with code 7 before the task finished"),
        (-signal.SIGSEGV, "was killed by SIGSEGV (segmentation fault)"),
        (-signal.SIGKILL, "was killed by SIGKILL (out of memory?)"),
        (-signal.SIGABRT, "was killed by SIGABRT (aborted)"),
        (-40, "was killed by signal 40"),
    ],
)
def test_how_a_process_died_is_said_in_words(code: int, text: str) -> None:
    assert describe_exit(code) == text
