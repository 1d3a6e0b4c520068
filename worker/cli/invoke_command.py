"""``worker invoke``: one task through one handler, to try it."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli import output
from worker.cli.arguments import object_of
from worker.cli.platform import read_settings
from worker.cli.worker_commands import HANDLERS, HandlersOption, load
from worker.words.errors import ConfigurationError, ModuleException
from worker.words.statuses import OutputFormat

if TYPE_CHECKING:
    from worker.contracts import Platform
    from worker.registry import Handler, Registry
    from worker.settings import Settings
    from worker.words.tasks import NewTask, TaskRecord


def invoke(
    *,
    prompt: Annotated[str, typer.Argument(metavar="TEXT", help="What is asked.", show_default=False)],
    agent: Annotated[
        str | None,
        typer.Option("--agent", metavar="ID", help="Whose handler. Default: XPANDER_AGENT_ID, or the only one."),
    ] = None,
    handlers: HandlersOption = HANDLERS,
    output_format: Annotated[OutputFormat | None, typer.Option(help="The form of the result.")] = None,
    output_schema: Annotated[
        str | None, typer.Option(metavar="JSON", help="A JSON Schema that the result must fit.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole task, as JSON.")] = False,
) -> None:
    """Do one task with a handler, in this process, and print its result; no other task is touched."""
    settings = read_settings(agent_id=agent)
    registry = load(handlers)
    registry.check()
    agent_id, handler = _chosen(registry, settings)
    schema = None if output_schema is None else object_of(output_schema, "--output-schema")
    task = asyncio.run(_done(settings, registry, handler, _new(agent_id, prompt, output_format, schema)))
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
        raise typer.BadParameter(f"there are handlers of {', '.join(named)}; say which", param_hint="--agent")
    handler = registry.handler_for(named[0])
    if handler is None:
        raise ConfigurationError(f"no handler serves agent {named[0]!r}")
    return named[0], handler


def _new(agent_id: str, prompt: str, form: OutputFormat | None, schema: dict[str, Any] | None) -> "NewTask":
    from worker.words.tasks import AgentExecutionInput, NewTask

    return NewTask(
        agent_id=agent_id,
        input=AgentExecutionInput(text=prompt),
        output_format=form,
        output_schema=schema,
        source="invoke",
        run_locally=True,
        worker_id="invoke",
    )


async def _done(settings: "Settings", registry: "Registry", handler: "Handler", new: "NewTask") -> "TaskRecord":
    """Create a task that is nobody else's to do, do it, and say so."""
    from worker import threads, wiring
    from worker.face import bridge
    from worker.supervisor.hooks import Hooks

    threads.serve(asyncio.get_running_loop(), 1)
    platform = wiring.choose(settings)
    hooks = Hooks(registry.boot_hooks, registry.shutdown_hooks)
    try:
        await platform.open()
        bridge.adopt(asyncio.get_running_loop(), platform)
        task = await platform.tasks.create(new)
        await hooks.boot()
        return await _carried_out(platform, task, handler)
    finally:
        await hooks.shut_down(HOOK_SECONDS)
        await bridge.release()
        await platform.close()


HOOK_SECONDS = 5.0


async def _carried_out(platform: "Platform", task: "TaskRecord", handler: "Handler") -> "TaskRecord":
    """Call the handler as a worker does; the end is saved as whoever holds a task outside the queue saves it."""
    from worker.current import Run
    from worker.face.task import Task
    from worker.supervisor import verdict
    from worker.supervisor.calls import Caller
    from worker.words.outcomes import Outcome
    from worker.words.statuses import AgentExecutionStatus

    run, whole = Run(task.id, task.agent_id, platform.work, handler=handler.name), Task.of(task)
    try:
        decision = verdict.of_value(await Caller(1).call(handler, run, whole, None), whole, run)
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - whatever it raises is what came of it
        decision = verdict.of_error(error, run, whole, handler, draining=False)
    if isinstance(decision, Outcome):
        changes = {**decision.changes, "status": decision.status}
    else:
        changes = {"status": AgentExecutionStatus.Error, "result": getattr(decision, "error", None) or "it was stopped"}
    changes.pop("error_code", None)
    return await platform.tasks.update(task.id, {name: each for name, each in changes.items() if each is not None})
