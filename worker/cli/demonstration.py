"""An end-to-end demo: one task, three real files, a real model, and a worker in this process."""

import asyncio
import importlib.util
import os
import signal
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

import worker
from worker.cli import output
from worker.cli.live import LiveView
from worker.cli.platform import read_settings
from worker.cli.waiting import TaskWait, exit_code, outcome_fields
from worker.words.errors import ConfigurationError
from worker.words.statuses import AgentExecutionStatus, TaskUpdateEventType
from worker.words.task_lists import TaskQuery
from worker.words.tasks import TaskRecord

if TYPE_CHECKING:
    from worker.contracts import Platform
    from worker.settings import Settings
    from worker.supervisor import Supervisor

AGENT = "analyst"
TITLE = "worker demo"
QUESTION = "Summarize the report in two sentences: which region is the largest, and which one grew fastest?"
FILES = ("report.pdf", "chart.png", "figures.csv")
INTERRUPTED = 128  # plus the signal's number, as in a shell's exit codes


def demonstrate() -> int:
    """Run the demo, and return the exit code: 0 only if the task is completed."""
    started = time.monotonic()
    os.environ.setdefault("WORKER_OUTAGE_MINUTES", "0")  # report a wrong key immediately instead of waiting
    folder = examples()
    settings = read_settings().model_copy(update={"base_url": None, "api_key": None, "database_url": None})
    model = describe_model(settings)
    output.say(f"Question: {QUESTION}")
    output.say(f"Files:    {', '.join(FILES)} (in {output.one_line(str(folder / 'data'))})")
    output.say(f"Model:    {model}")
    load(folder / "analyst.py")
    code = asyncio.run(Demonstration(settings, folder).run())
    output.say(f"\nThe demo took {time.monotonic() - started:.1f} s.")
    return code


class Demonstration:
    """A platform, a worker and a client in one process.

    Args:
        settings: Settings without a database: the demo only writes to the embedded PostgreSQL.
        folder: The folder of the examples.
    """

    def __init__(self, settings: "Settings", folder: Path) -> None:
        self._settings = settings
        self._folder = folder
        self._signal: int | None = None
        self._computed: list[str] = []

    async def run(self) -> int:
        """Open the platform, start the worker, run the task, and shut down."""
        from worker import registry, wiring
        from worker.supervisor import Supervisor

        platform = wiring.engine(self._settings)
        try:
            await platform.open()
            output.say(f"Platform: {platform.description}\n")
            supervisor = Supervisor(platform, registry.default, self._settings)
            working = asyncio.create_task(supervisor.run())
            try:
                return await self._with_worker(platform, supervisor, working)
            finally:
                supervisor.stop()
                await working
        finally:
            await platform.close()

    async def _with_worker(self, platform: "Platform", supervisor: "Supervisor", working: "asyncio.Task[None]") -> int:
        await unless_ended(working, supervisor.ready())
        await stop_leftovers(platform)
        task = await self._create(platform)
        self._stop_on_signal(platform, supervisor, task)
        await unless_ended(working, self._watch(platform, task))
        return self._report(await platform.tasks.get(task.id))

    async def _create(self, platform: "Platform") -> TaskRecord:
        from worker.face.options import new_task

        files = [self._folder / "data" / name for name in FILES]
        options = {"title": TITLE, "events_streaming": True, "source": "demo"}
        return await platform.tasks.create(await new_task(platform, AGENT, QUESTION, files, options))

    async def _watch(self, platform: "Platform", task: TaskRecord) -> None:
        with LiveView() as view:
            async for event in TaskWait(platform, task).events():
                view.take(event)
                if event.type is TaskUpdateEventType.ToolCallResult:
                    self._computed.append(str(event.data.result))

    def _stop_on_signal(self, platform: "Platform", supervisor: "Supervisor", task: TaskRecord) -> None:
        """Let Ctrl-C stop the task, which ends its run, the display and the worker, in that order."""
        loop = asyncio.get_running_loop()
        stopping: list[asyncio.Task[TaskRecord]] = []  # the loop keeps only a weak reference to the task

        def stop(number: int) -> None:
            if self._signal is None:
                self._signal = number
                stopping.append(loop.create_task(platform.tasks.stop(task.id)))
            else:
                supervisor.stop_now()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop, number)

    def _report(self, task: TaskRecord) -> int:
        output.say("")
        computed = ("computed by tools", "\n".join(self._computed))
        output.print_fields([("task", task.id), computed, *outcome_fields(task)])
        if self._signal is not None:
            return INTERRUPTED + self._signal
        return exit_code(task)


async def unless_ended(working: "asyncio.Task[None]", awaited: Coroutine[Any, Any, None]) -> None:
    """Await something that needs the worker. If the worker ends first, raise its error."""
    waiting = asyncio.create_task(awaited)
    try:
        await asyncio.wait([waiting, working], return_when=asyncio.FIRST_COMPLETED)
        await (waiting if waiting.done() else working)
    finally:
        waiting.cancel()


def examples() -> Path:
    """Return the folder of the examples: next to the package in a checkout, inside it in a wheel.

    Raises:
        ConfigurationError: This installation has no examples.
    """
    package = Path(worker.__file__).parent
    for folder in (package.parent / "examples", package / "examples"):
        if all((folder / "data" / name).is_file() for name in FILES) and (folder / "analyst.py").is_file():
            return folder
    raise ConfigurationError(
        "the demo needs the examples, which are missing from this installation: run `make demo` in a checkout"
        " of the project"
    )


def load(path: Path) -> None:
    """Import the analyst's module, which registers its handler, without its sibling modules."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"{path.name} cannot be imported")
    spec.loader.exec_module(importlib.util.module_from_spec(spec))


def describe_model(settings: "Settings") -> str:
    """Describe the model that the demo will use.

    Raises:
        ConfigurationError: No model can be used here.
    """
    if settings.model or os.environ.get("OPENAI_API_KEY") or os.environ.get("ANTHROPIC_API_KEY"):
        from worker.agents.models.models import default_model_name

        return default_model_name(settings)
    from worker.agents.models.local_model import MODEL_NAME, LocalModelUnavailable, find_weights

    try:
        find_weights()
    except LocalModelUnavailable as error:
        raise ConfigurationError(f"{error} Or set OPENAI_API_KEY or ANTHROPIC_API_KEY.") from error
    return (
        f"{MODEL_NAME} on this machine's CPU: a very small model whose answers are unreliable.\n          The"
        " tool's calculations are exact. Set OPENAI_API_KEY or ANTHROPIC_API_KEY to use a large model."
    )


async def stop_leftovers(platform: "Platform") -> None:
    """Stop pending tasks of demos that were killed, which this demo's worker would otherwise run first."""
    waiting = await platform.tasks.find(TaskQuery(agent_id=AGENT, status=AgentExecutionStatus.Pending))
    for item in waiting:
        if item.title == TITLE:
            await platform.tasks.stop(item.id)
