"""``worker task …``: the verbs of clients."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli import artifacts, output
from worker.cli.arguments import source_of
from worker.cli.options import takes
from worker.cli.platform import ask
from worker.words.errors import Unsupported
from worker.words.statuses import AgentExecutionStatus
from worker.words.task_options import CREATE, FILTERS

if TYPE_CHECKING:
    from worker.contracts import Platform
    from worker.words.attempts import Attempt
    from worker.words.task_lists import TaskItem
    from worker.words.tasks import TaskRecord

tasks = typer.Typer(no_args_is_help=True, help="Create, show, follow, answer, stop and retry tasks.")

TaskId = Annotated[str, typer.Argument(metavar="ID", help="The task.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON; for events, one object per line.")]


@tasks.command()
@takes(CREATE)
def create(
    *,
    agent: Annotated[str, typer.Option(metavar="ID", help="The agent to run.")],
    text: Annotated[str, typer.Option(help="The prompt, or - to read it from standard input.")] = "",
    file: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH_OR_URL", help="A file to attach; may be repeated. Local files are uploaded."),
    ] = None,
    existing: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="A finished task to run again with this input.")
    ] = None,
    user_id: Annotated[str | None, typer.Option(metavar="ID", help="The user the task is for.")] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until the task ends, and exit with 0 only if it completed.")
    ] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Like --wait, and show events and text live.")] = False,
    as_json: AsJson = False,
    options: dict[str, Any],
) -> None:
    """Create a task and print its id or, with --wait, its result."""
    from worker.cli.waiting import TaskWait

    options = {
        "source": "cli",
        "user_details": {"id": user_id} if user_id else None,
        "existing_task_id": existing,
        **options,
        "events_streaming": follow or options.get("events_streaming"),
    }
    prompt = sys.stdin.read() if text == "-" else text
    files = [source_of(each) for each in file or ()]
    if not prompt and not files:
        raise typer.BadParameter("give --text, --file or both", param_hint="--text")

    async def call(platform: "Platform") -> int:
        from worker.face.options import new_task

        new = await new_task(platform, agent, prompt, files, options)
        waiting = TaskWait(platform, await platform.tasks.create(new), as_json=as_json)
        if follow:
            return await waiting.follow()
        return await waiting.wait() if wait else waiting.leave()

    raise typer.Exit(ask(call, quiet=as_json))


@tasks.command()
def show(
    task_id: TaskId,
    save: Annotated[
        Path | None, typer.Option("--save", metavar="DIR", help="Folder to save the task's artifacts in.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show a task: status, times, result, and its attempts with their workers and outcomes."""

    async def call(platform: "Platform") -> "tuple[TaskRecord, list[Attempt] | None, list[Path]]":
        task = await platform.tasks.get(task_id)
        saved = [] if save is None else await artifacts.save(platform, task.artifacts, save)
        try:
            return task, await platform.tasks.attempts(task_id), saved
        except Unsupported:  # the platform does not record attempts
            return task, None, saved

    task, attempts, saved = ask(call, quiet=as_json)
    if as_json:
        output.print_json(task, **({} if attempts is None else {"attempts": attempts}))
        return
    output.print_fields(output.task_fields(task))
    if attempts:
        output.say("")
        output.print_rows(output.ATTEMPT_HEADINGS, output.attempt_rows(attempts))
    if save is not None:
        output.say("")
        output.say("\n".join(f"saved {each}" for each in saved) or "The task has no artifacts to save.")


@tasks.command("list")
@takes(FILTERS, called="filters", limit=20)
def list_tasks(
    *,
    agent: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Only tasks of this agent; may be repeated.")
    ] = None,
    user: Annotated[str | None, typer.Option(metavar="ID", help="Only tasks for this user.")] = None,
    status: Annotated[
        list[AgentExecutionStatus] | None, typer.Option(help="Only tasks with this status; may be repeated.")
    ] = None,
    paused: Annotated[
        bool,
        typer.Option(
            "--paused", help="List open requests instead, longest waiting first, with the ids needed to answer them."
        ),
    ] = False,
    as_json: AsJson = False,
    filters: dict[str, Any],
) -> None:
    """List tasks, newest first."""
    from worker.face.task_lists import query_of

    if paused:
        from worker.cli.answer_command import list_requests

        list_requests(agent or None, filters["limit"], filters.get("before"), as_json=as_json)
        return
    query = query_of(filters | {"agents": agent or None, "user_id": user, "statuses": status or ()})
    items = ask(lambda platform: platform.tasks.find(query), quiet=as_json)
    output.print_list(items, ("task", "agent", "status", "created", "about"), _row, as_json=as_json)


def _row(each: "TaskItem") -> tuple[str, ...]:
    about = output.one_line(each.title or each.internal_status or each.result)
    return each.id, each.agent_id, output.status_of(each), output.time_of(each.created_at), about


@tasks.command()
def events(
    task_id: TaskId,
    after: Annotated[int, typer.Option(min=0, help="Only events with a higher number than this.")] = 0,
    follow: Annotated[bool, typer.Option("--follow", help="Keep waiting for events until the task ends.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print a task's events, one per line."""

    async def call(platform: "Platform") -> None:
        from worker.cli.event_lines import line_of

        async for event in platform.tasks.events(task_id, after=after, follow=follow):
            if as_json:
                output.print_json(event)
            else:
                output.say(f"{event.number:>4}  {event.time.astimezone():%H:%M:%S}  {line_of(event)}")

    ask(call, quiet=as_json)


@tasks.command()
def stop(task_id: TaskId, as_json: AsJson = False) -> None:
    """Stop a task; a finished one is left unchanged."""
    task = ask(lambda platform: platform.tasks.stop(task_id), quiet=as_json)
    output.print_state(task, as_json=as_json)


@tasks.command()
def skip(task_id: TaskId, as_json: AsJson = False) -> None:
    """Let a conversation continue without a task that waits for a retry, a time, a signal or a person."""
    task = ask(lambda platform: platform.tasks.skip(task_id), quiet=as_json)
    output.print_state(task, as_json=as_json)


@tasks.command()
def retry(
    task_id: TaskId,
    *,
    resume: Annotated[
        bool | None,
        typer.Option(
            "--resume/--start-over",
            help="--resume continues from the journal without repeating recorded calls; --start-over begins again."
            " Default: a completed task starts over, any other task resumes.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a finished or paused task again, from its journal or from its start; a paused one always resumes."""
    task = ask(lambda platform: platform.tasks.retry(task_id, resume=resume), quiet=as_json)
    output.print_state(task, as_json=as_json)
