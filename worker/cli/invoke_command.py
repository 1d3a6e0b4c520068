"""``worker invoke``: run one task with one handler, to try the handler."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli import output
from worker.cli.arguments import source_of
from worker.cli.options import takes
from worker.cli.platform import read_settings
from worker.cli.worker_commands import HANDLERS, HandlersOption, load
from worker.words.errors import ConfigurationError, ModuleException
from worker.words.task_options import CREATE

if TYPE_CHECKING:
    from worker.contracts import Platform
    from worker.face.uploads import FileSource
    from worker.registry import Handler, Registry
    from worker.settings import Settings
    from worker.words.tasks import NewTask, TaskRecord

    MakeTask = Callable[[Platform], Awaitable[NewTask]]


HELD = {"source": "invoke", "run_locally": True, "worker_id": "invoke"}
"""Options that keep workers from claiming the task."""


@takes([each for each in CREATE if each.name not in HELD])
def invoke(
    *,
    prompt: Annotated[str, typer.Argument(metavar="TEXT", help="The prompt.", show_default=False)],
    agent: Annotated[
        str | None,
        typer.Option(
            "--agent",
            metavar="ID",
            help="Agent whose handler to run. Default: XPANDER_AGENT_ID, or the only agent with a handler.",
        ),
    ] = None,
    handlers: HandlersOption = HANDLERS,
    file: Annotated[
        list[str] | None, typer.Option(metavar="PATH_OR_URL", help="A file to attach; may be repeated.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole task as JSON.")] = False,
    options: dict[str, Any],
) -> None:
    """Run one task with a handler in this process, and print its result; no other task is touched."""
    settings = read_settings(agent_id=agent)
    registry = load(handlers)
    registry.check()
    agent_id, handler = _chosen(registry, settings)
    files = [source_of(each) for each in file or ()]
    task = asyncio.run(_done(settings, registry, handler, partial(_new, agent_id, prompt, files, options | HELD)))
    if as_json:
        output.print_json(task)
    elif task.status == "completed":
        output.say(task.result or "")
    if task.status != "completed":
        raise typer.Exit(1) if as_json else ModuleException(500, task.result or f"the task is {task.status}")


def _chosen(registry: "Registry", settings: "Settings") -> "tuple[str, Handler]":
    bound = [each.agent_id for each in registry.tasks() if each.agent_id]
    named: list[str] = list(settings.agent_ids or bound or ["local"])
    if len(named) > 1:
        raise typer.BadParameter(f"several agents have handlers: {', '.join(named)}; choose one", param_hint="--agent")
    handler = registry.handler_for(named[0])
    if handler is None:
        raise ConfigurationError(f"no handler serves agent {named[0]!r}")
    return named[0], handler


async def _new(
    agent_id: str, prompt: str, files: "Sequence[FileSource]", options: dict[str, Any], platform: "Platform"
) -> "NewTask":
    from worker.face.options import new_task

    return await new_task(platform, agent_id, prompt, files, options)


async def _done(settings: "Settings", registry: "Registry", handler: "Handler", new: "MakeTask") -> "TaskRecord":
    """Create a task that no worker can claim, run it, and store the outcome."""
    from worker import threads, wiring
    from worker.face import bridge
    from worker.supervisor.hooks import Hooks

    threads.serve(asyncio.get_running_loop(), 1)
    platform = wiring.choose(settings)
    hooks = Hooks(registry.boot_hooks, registry.shutdown_hooks)
    try:
        await platform.open()
        bridge.adopt(asyncio.get_running_loop(), platform)
        task = await platform.tasks.create(await new(platform))
        await hooks.boot()
        return await _carried_out(platform, task, handler)
    finally:
        await hooks.shut_down(HOOK_SECONDS)
        await bridge.release()
        await platform.close()


HOOK_SECONDS = 5.0


async def _carried_out(platform: "Platform", task: "TaskRecord", handler: "Handler") -> "TaskRecord":
    """Call the handler as a worker does, and save the outcome as the outside holder of the task."""
    from worker.current import Run
    from worker.face.task import Task
    from worker.supervisor import verdict
    from worker.supervisor.calls import Caller
    from worker.words.outcomes import Outcome
    from worker.words.statuses import AgentExecutionStatus

    run, whole = Run(task.id, task.agent_id, platform.work, handler=handler.name), Task.of(task)
    try:
        decision = verdict.of_value(await Caller(1).call(handler, run, whole, None), whole, run)
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - any error becomes the outcome
        decision = verdict.of_error(error, run, whole, handler, draining=False)
    if isinstance(decision, Outcome):
        changes = {**decision.changes, "status": decision.status}
    else:
        changes = {
            "status": AgentExecutionStatus.Error,
            "result": getattr(decision, "error", None) or "the task was stopped",
        }
    changes.pop("error_code", None)
    return await platform.tasks.update(task.id, {name: each for name, each in changes.items() if each is not None})
