"""A worker ends in time after SIGTERM, whatever holds it up: a blocked loop, a database that is gone, a full pipe."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.contract.steps import wish
from tests.engine.proxy import Proxy, way
from tests.support import wait_until
from worker.engine.engine import Engine
from worker.supervisor.signals import EXIT_SECONDS
from worker.words.statuses import AgentExecutionStatus as Status

__all__ = ["way"]

DRAIN = 1
SLACK = 25  # of a machine that is busy
HANDLERS = """
    import asyncio, time
    from worker import on_task

    @on_task(agent_id="blocks")
    async def blocks(task):
        time.sleep(600)

    @on_task(agent_id="waits")
    async def waits(task):
        await asyncio.sleep(600)

    @on_task(agent_id="talks")
    async def talks(task):
        print("x" * 1000 * 200)
        return "said"
"""


@contextmanager
def working(folder: Path, url: str, output: int = subprocess.DEVNULL) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker in a process of its own."""
    (folder / "handlers").mkdir()
    text = "\n".join(line.removeprefix("    ") for line in HANDLERS.splitlines())
    (folder / "handlers" / "all.py").write_text(text)
    environment = {**os.environ, "DATABASE_URL": url, "WORKER_DRAIN_SECONDS": str(DRAIN), "WORKER_LOG": "logfmt"}
    command = [sys.executable, "-m", "worker", "run"]
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


async def ends(process: "subprocess.Popen[bytes]") -> int:
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    code = await asyncio.to_thread(process.wait, DRAIN + EXIT_SECONDS + SLACK)
    assert time.monotonic() - began < DRAIN + EXIT_SECONDS + SLACK
    return code


async def executing(engine: Engine, agent: str) -> None:
    task = await engine.tasks.create(wish(agent=agent))

    async def begun() -> bool:
        return (await engine.tasks.get(task.id)).status is Status.Executing

    await wait_until(begun, "the handler runs", 60)


@pytest.mark.parametrize("agent", ["blocks", "waits"])
async def test_a_blocked_loop_and_a_long_run_hold_up_nothing(
    engine: Engine, database_url: str, tmp_path: Path, agent: str
) -> None:
    with working(tmp_path, database_url) as process:
        await executing(engine, agent)
        assert await ends(process) == 0


async def test_a_database_that_is_a_black_hole_holds_up_nothing(engine: Engine, way: Proxy, tmp_path: Path) -> None:
    with working(tmp_path, way.url) as process:
        await executing(engine, "waits")
        way.hold(new=True)
        assert await ends(process) == 0


async def test_output_that_nobody_reads_holds_up_neither_tasks_nor_the_exit(
    engine: Engine, database_url: str, tmp_path: Path
) -> None:
    tasks = [await engine.tasks.create(wish(agent="talks")) for _ in range(5)]
    with working(tmp_path, database_url, subprocess.PIPE) as process:

        async def done() -> bool:
            return all([(await engine.tasks.get(task.id)).status is Status.Completed for task in tasks])

        await wait_until(done, "all tasks are done though nobody reads what they print", 60)
        assert await ends(process) == 0
