"""A time limit holds whatever a handler does: one that blocks the event loop is interrupted, and the others go on."""

import json
import subprocess
import sys

import pytest

# In a process of its own: the signal is one of the main thread, and pytest's own time limit wants it too.
STORY = """
import asyncio, json, re, sys, time
from datetime import UTC, datetime
from worker.current import Run
from worker.face.task import Task
from worker.registry import Registry
from worker.supervisor.calls import Caller
from worker.words.tasks import AgentExecutionInput, TaskRecord
from worker.words.errors import TimeLimit

async def spins(task: Task):
    while True:
        pass

async def sleeps(task: Task):
    time.sleep(60)

async def matches(task: Task):
    re.match("^(a+)+$", "a" * 60 + "!")

async def insists(task: Task):
    until = time.monotonic() + 4
    while time.monotonic() < until:
        try:
            time.sleep(60)
        except BaseException:
            continue
    return "late"

async def waits(task: Task):
    await asyncio.sleep(60)

async def works(task: Task):
    for _ in range(30):
        await asyncio.sleep(0.1)
    return "done"

def bound(function, timeout):
    registry = Registry()
    registry.add(function, "task_created", "agent", timeout=timeout)
    return registry.handler_for("agent")

async def called(function, timeout):
    record = TaskRecord(id="t", agent_id="agent", input=AgentExecutionInput(text="x"), created_at=datetime.now(UTC))
    run = Run(task_id="t", agent_id="agent", work=None, attempt=1)
    try:
        return await Caller(1).call(bound(function, timeout), run, Task.of(record), None)
    except TimeLimit as over:
        return str(over)

async def main():
    started = time.monotonic()
    answers = await asyncio.gather(called(globals()[sys.argv[1]], 1), called(works, 20))
    print(json.dumps([*answers, time.monotonic() - started]))

asyncio.run(main())
"""


@pytest.mark.parametrize("how", ["spins", "sleeps", "matches", "insists", "waits"])
def test_a_time_limit_holds_whatever_the_handler_does(how: str) -> None:
    done = subprocess.run([sys.executable, "-c", STORY, how], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    mine, others, seconds = json.loads(done.stdout)
    assert mine == "time limit of 1 s"
    assert others == "done"
    assert seconds < 40
