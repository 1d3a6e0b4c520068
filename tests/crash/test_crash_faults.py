"""A worker dies between any two statements of claiming and finishing: at each place once, and nothing is lost."""

import asyncio
import signal
import subprocess

import pytest

from tests.crash.chance import told
from tests.crash.fleet import Fleet
from tests.support import wait_until
from worker.engine.fault_points import CLAIM, KNOWN, VARIABLE, WRITE, Fault
from worker.engine.timings import EngineTimings
from worker.words.statuses import AgentExecutionStatus as Status

KINDS = ("Append", "Finish", "GiveBack")
NOT_REACHED = {"Finish:write.journaled", "GiveBack:write.journaled"}
"""A last word journals nothing."""

PLACES = [
    *CLAIM,
    *(f"{point}:{kind}" for kind in KINDS for point in WRITE if f"{kind}:{point}" not in NOT_REACHED),
    *(f"{point}:{kind}" for kind in ("Append", "Finish") for point in KNOWN),
    "write.sent:Append:3",
    "write.committed:Append:3",
]
SOME = ["claim.committed", "write.logged:Finish", "known.committed:Append"]
AT_ONCE = 3


async def die_at(fleet: Fleet, place: str, agent: str) -> None:
    """Have a worker die at a place, while it works on tasks of an agent that is its alone."""
    await fleet.create(agent, 2, "again")
    worker = fleet.shell.start("run", **{VARIABLE: place, "XPANDER_AGENT_ID": agent})
    code = await asyncio.to_thread(worker.process.wait, 60)
    assert code == -signal.SIGKILL, f"{place} was never reached:\n{worker.log}"


async def all_die(fleet: Fleet, places: list[str]) -> None:
    """Then one worker more does what is left."""
    fleet.engine.guard()
    at_once = asyncio.Semaphore(AT_ONCE)

    async def one(place: str) -> None:
        async with at_once:
            await die_at(fleet, place, "agent-" + place.replace(":", "-"))

    await asyncio.gather(*(one(place) for place in places))
    await fleet.start()
    repeats = await fleet.the_three_sentences(calls=3, seconds=120)
    tasks = await fleet.tasks()
    assert len(tasks) == 2 * len(places)
    assert {(task["status"], task["crashes"]) for task in tasks} == {(Status.Completed, 0)}
    assert all(int(str(task["errors"])) <= 1 for task in tasks)
    told(f"{len(places)} places, {repeats} calls cut off and made again")


@pytest.fixture
def timings() -> EngineTimings:
    """The test's own engine rescues, and is believed at once: its database does not restart."""
    return EngineTimings(trust=0.5)


async def test_a_worker_that_dies_between_two_statements_leaves_nothing_half_done(fleet: Fleet) -> None:
    await all_die(fleet, SOME)


async def test_a_worker_that_dies_of_a_task_it_has_made_and_begun_leaves_it_to_another(fleet: Fleet) -> None:
    """A task made where a worker waits is its own at once; nobody has heard of that yet when it dies."""
    fleet.engine.guard()
    await fleet.create("handing-on", 1)
    worker = fleet.shell.start("run", **{VARIABLE: "write.announced:NewRow", "XPANDER_AGENT_ID": "handing-on,short"})
    assert await asyncio.to_thread(worker.process.wait, 60) == -signal.SIGKILL, worker.log
    made = "select status, attempt from worker.tasks where agent_id = 'short'"
    assert await fleet.engine.core.rows(made) == [{"status": Status.Executing, "attempt": 1}]
    await fleet.start()
    await fleet.the_three_sentences()
    tasks = await fleet.tasks()
    assert len(tasks) == 3, "its maker, which had not heard of it either, made it again"
    assert {(task["status"], task["crashes"], task["errors"]) for task in tasks} == {(Status.Completed, 0, 0)}


@pytest.mark.parametrize("place", ["write.decided:Append:1:STOP", "write.sent:Finish:1:STOP"])
async def test_a_worker_frozen_in_the_middle_of_a_transaction_holds_up_nobody(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """It holds locks on its tasks, which its rescuer needs."""
    monkeypatch.setenv("WORKER_LEASE_SECONDS", "3")
    fleet.engine.guard()
    await fleet.create("frozen", 2)
    frozen = fleet.shell.start("run", **{VARIABLE: place, "XPANDER_AGENT_ID": "frozen"})
    await wait_until(lambda: is_frozen(frozen.process.pid), "it is frozen", 60)
    await fleet.start()
    await fleet.all_terminal(30)
    frozen.process.send_signal(signal.SIGCONT)
    await fleet.create("frozen", 2)  # it is a worker again
    await fleet.the_three_sentences(calls=3)
    assert await asyncio.to_thread(frozen.end) == 0


def is_frozen(process_id: int) -> bool:
    """Whether a process was stopped by a signal."""
    answer = subprocess.run(["ps", "-o", "stat=", "-p", str(process_id)], capture_output=True, text=True, check=False)  # noqa: S607 - ps is everywhere
    return answer.stdout.startswith("T")


@pytest.mark.crash
async def test_a_worker_that_dies_between_any_two_statements_leaves_nothing_half_done(fleet: Fleet) -> None:
    await all_die(fleet, PLACES)


def test_a_place_that_does_not_exist_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"unknown fault point 'nowhere'; the fault points are claim\.asked"):
        Fault.read("nowhere")


@pytest.mark.parametrize(("text", "reached"), [("write.sent", 1), ("write.sent:int", 2), ("write.sent:int:2", 3)])
def test_a_place_is_reached_by_kind_and_count(text: str, reached: int) -> None:
    wish = Fault.read(text)
    moments = [wish.reached("write.sent", kinds) for kinds in (["a"], [1, "a"], [2], [3])]
    assert moments.index(True) + 1 == reached
    assert moments.count(True) == 1
