"""What wears a worker out: it leaves by itself, and its tasks go on elsewhere. And what of an agent may block."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from agno.agent import Agent
from agno.db.in_memory import InMemoryDb
from agno.workflow import Condition, Loop, Router, Step, StepInput, StepOutput, Workflow

from tests.cli.conftest import here, shells
from tests.cli.shells import Shell
from tests.supervisor.stories import Handlers, Serve, create, done
from tests.support import wait_until
from worker import Task, run_agent
from worker.contracts import WorkerState
from worker.current import run_in_hand
from worker.engine.engine import Engine
from worker.supervisor.timings import WorkerTimings
from worker.testing import Call, ScriptedModel
from worker.threads import Threads
from worker.words.statuses import AgentExecutionStatus as Status

__all__ = ["here", "shells"]

HANDLERS = """
    import time
    from worker import Task, on_task

    @on_task(agent_id="hangs", timeout=0.2)
    def hangs(task: Task) -> None:
        time.sleep(600)

    @on_task(agent_id="quick")
    async def quick(task: Task) -> str:
        return "done"
"""


async def test_a_thread_that_hangs_holds_no_place() -> None:
    threads, go_on = Threads(1, "test"), threading.Event()
    loop = asyncio.get_running_loop()
    hanging = [loop.run_in_executor(threads, go_on.wait) for _ in range(3)]
    for each in hanging:
        each.cancel()
        await asyncio.sleep(0)
    assert await loop.run_in_executor(threads, lambda: "done") == "done"
    go_on.set()


@pytest.mark.parametrize("worker_timings", [WorkerTimings(wear=0.02, hung=0.05)], ids=["quick"])
async def test_how_worn_it_is_is_shown_with_the_worker(engine: Engine, handlers: Handlers, serve: Serve) -> None:
    go_on = threading.Event()
    handlers.bind(lambda: go_on.wait(30), timeout=0.05)

    async def worker() -> WorkerState:
        (found,) = await engine.organization("default").presence.workers()
        return found

    async with serve():
        assert (await done(engine)).status is Status.Failed

        async def is_shown() -> bool:
            return (await worker()).hung_threads == 1

        await wait_until(is_shown, "the thread is shown")
        found = await worker()
        assert len(found.recent) == 1
        (trouble,) = [each for each in found.troubles if "hangs" in each]
        assert trouble.startswith("supervisor/test_supervisor_wear.py:"), "which code it is"
        assert (found.runs, found.memory is not None and found.memory > 2**20) == (1, True)
        go_on.set()

        async def is_over() -> bool:
            return (await worker()).hung_threads == 0

        await wait_until(is_over, "it has ended")


async def test_a_worker_with_so_much_memory_leaves(here: Shell, engine: Engine) -> None:
    here.handlers(HANDLERS)
    worker = here.start("run", "--max-memory=1MiB")
    await worker.says("worker is exiting")
    assert await asyncio.to_thread(worker.process.wait, 60) == 0, worker.log


@pytest.mark.parametrize("most", [1, 2])
async def test_a_worker_starts_so_many_tasks_and_no_more(here: Shell, engine: Engine, most: int) -> None:
    here.handlers(HANDLERS)
    tasks = [await create(engine, "quick") for _ in range(4)]
    worker = here.start("run", f"--max-tasks={most}")
    await worker.says("worker is exiting")
    assert await asyncio.to_thread(worker.process.wait, 60) == 0, worker.log
    ended = [(await engine.tasks.get(each.id)).status for each in tasks]
    assert sorted(ended) == [Status.Completed] * most + [Status.Pending] * (4 - most)


async def test_a_worker_with_too_many_hung_threads_leaves(here: Shell, engine: Engine) -> None:
    here.handlers(HANDLERS)
    worker = here.start("run", WORKER_HUNG_THREADS="1", WORKER_CONCURRENCY="1")
    hung = [await create(engine, "hangs") for _ in range(2)]
    await worker.says("threads are hung")
    assert await asyncio.to_thread(worker.process.wait, 60) == 1, worker.log
    assert [(await engine.tasks.get(each.id)).status for each in hung] == [Status.Failed] * 2


class Places:
    """Where plain code ran, and whether it found the run that it belongs to."""

    def __init__(self) -> None:
        self.loops: dict[str, bool] = {}
        self.runs: dict[str, bool] = {}

    def note(self, name: str) -> None:
        self.loops[name] = threading.current_thread() is threading.main_thread()
        self.runs[name] = run_in_hand.get() is not None


class Db(InMemoryDb):
    """As any plain database."""

    def __init__(self, places: Places) -> None:
        super().__init__()
        self._places = places

    def upsert_session(self, *arguments: Any, **options: Any) -> Any:
        self._places.note("writes")
        return super().upsert_session(*arguments, **options)

    def get_session(self, *arguments: Any, **options: Any) -> Any:
        self._places.note("reads")
        return super().get_session(*arguments, **options)


def of_agent(places: Places) -> Agent:
    """An agent with every kind of plain code."""

    def plain() -> str:
        """A tool."""
        places.note("tool behind an async hook")
        return "said"

    def generator() -> Iterator[str]:
        """A tool."""
        places.note("generator tool")
        yield "said"

    def retriever(query: str, **_: Any) -> list[Any]:
        places.note("retriever")
        return [{"content": query}]

    def factory(run_context: Any) -> list[Any]:
        places.note("factory")
        return [plain, generator]

    def instructions() -> str:
        places.note("instructions")
        return "be brief"

    def before(run_input: Any) -> None:
        places.note("pre-hook")

    def after(run_output: Any) -> None:
        places.note("post-hook")

    def dependency() -> str:
        places.note("dependency")
        return "known"

    async def hook(function_name: str, function_call: Any, arguments: Any) -> Any:
        answer = function_call(**arguments)
        return await answer if asyncio.iscoroutine(answer) else answer

    return Agent(
        id="plain",
        model=ScriptedModel([Call("plain", {}), Call("generator", {}), "done"]),
        db=Db(places),
        tools=factory,
        tool_hooks=[hook],
        knowledge_retriever=retriever,
        add_knowledge_to_context=True,
        search_knowledge=False,
        instructions=instructions,
        pre_hooks=[before],
        post_hooks=[after],
        dependencies={"known": dependency},
    )


def of_workflow(places: Places) -> Workflow:
    """A workflow with every kind of plain code."""

    def named(name: str) -> Step:
        def step(step_input: StepInput) -> StepOutput:
            places.note(name)
            return StepOutput(content=name)

        return Step(name=name, executor=step)

    def holds(step_input: StepInput) -> bool:
        places.note("condition")
        return True

    def chosen(step_input: StepInput) -> list[Step]:
        places.note("selector")
        return [choice]

    def ends(outputs: list[StepOutput]) -> bool:
        places.note("end of a loop")
        return True

    choice = named("choice")
    steps: list[Any] = [
        named("step"),
        Condition(name="condition", evaluator=holds, steps=[named("in a condition")]),
        Router(name="router", selector=chosen, choices=[choice]),
        Loop(name="loop", steps=[named("in a loop")], end_condition=ends, max_iterations=2),
    ]
    return Workflow(name="plain", steps=steps)


@pytest.mark.parametrize("make", [of_agent, of_workflow])
async def test_plain_code_of_an_agent_runs_beside_the_loop_in_its_run(
    engine: Engine, handlers: Handlers, serve: Serve, make: Any
) -> None:
    places = Places()

    async def handler(task: Task) -> Task:
        return await run_agent(make(places), task)

    handlers.bind(handler)
    async with serve():
        task = await done(engine)
    assert task.status is Status.Completed, task.result
    assert len(places.loops) >= (10 if make is of_agent else 7), places.loops
    assert not [name for name, on_loop in places.loops.items() if on_loop]
    assert all(places.runs.values()), places.runs
