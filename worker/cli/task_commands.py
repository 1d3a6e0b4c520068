"""``worker task …``: what a client asks of a platform."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli import artifacts, output
from worker.cli.arguments import object_of
from worker.cli.platform import ask
from worker.words.errors import Unsupported
from worker.words.finish import FinishReason
from worker.words.statuses import AgentExecutionStatus, OutputFormat

if TYPE_CHECKING:
    from worker.contracts import Platform
    from worker.face.uploads import FileSource
    from worker.words.attempts import Attempt
    from worker.words.tasks import TaskRecord

tasks = typer.Typer(no_args_is_help=True, help="Create, look at, follow, answer, stop and retry tasks.")

TaskId = Annotated[str, typer.Argument(metavar="ID", help="The task.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON; of events one object a line.")]


@tasks.command()
def create(
    *,
    agent: Annotated[str, typer.Option(metavar="ID", help="The agent it is for.")],
    text: Annotated[str, typer.Option(help="What is asked; - reads it from standard input.")] = "",
    file: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH_OR_URL", help="A file to attach; may be repeated. A local one is uploaded."),
    ] = None,
    title: Annotated[str | None, typer.Option(help="A title, for lists.")] = None,
    output_format: Annotated[OutputFormat | None, typer.Option(help="The form the result is wanted in.")] = None,
    output_schema: Annotated[
        Path | None,
        typer.Option(metavar="FILE", exists=True, dir_okay=False, help="A JSON Schema that the result must fit."),
    ] = None,
    user_id: Annotated[str | None, typer.Option(metavar="ID", help="The user it is done for.")] = None,
    existing: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="A finished task to run again with this input.")
    ] = None,
    conversation: Annotated[
        str | None,
        typer.Option(metavar="ID", help="The conversation that it belongs to; an agent takes its tasks in turn."),
    ] = None,
    stream: Annotated[bool, typer.Option("--stream", help="Have the text among the events as it is written.")] = False,
    webhook_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Where its end is posted to, signed, if webhooks are on.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for its end; exit 0 only if it is completed.")] = False,
    follow: Annotated[bool, typer.Option("--follow", help="The same, showing events and text live.")] = False,
    as_json: AsJson = False,
) -> None:
    """Create a task, and print its id; with --wait its result instead."""
    from worker.cli.waiting import Waiting

    options: dict[str, Any] = {
        "title": title,
        "output_format": output_format,
        "output_schema": read_schema(output_schema),
        "user_details": {"id": user_id} if user_id else None,
        "existing_task_id": existing,
        "conversation_id": conversation,
        "webhook_url": webhook_url,
        "events_streaming": stream or follow,
        "source": "cli",
    }
    prompt = sys.stdin.read() if text == "-" else text
    files = [_source(each) for each in file or ()]
    if not prompt and not files:
        raise typer.BadParameter("give --text, or --file, or both", param_hint="--text")

    async def call(platform: "Platform") -> int:
        from worker.face.options import new_task

        new = await new_task(platform, agent, prompt, files, options)
        waiting = Waiting(platform, await platform.tasks.create(new), as_json=as_json)
        if follow:
            return await waiting.follow()
        return await waiting.wait() if wait else waiting.leave()

    raise typer.Exit(ask(call, quiet=as_json))


@tasks.command()
def show(
    task_id: TaskId,
    save: Annotated[
        Path | None, typer.Option("--save", metavar="DIR", help="Save its artifacts, the files it has made, there.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show a task: status, times, result, and its attempts: who ran it when, and how that ended."""

    async def call(platform: "Platform") -> "tuple[TaskRecord, list[Attempt] | None, list[Path]]":
        task = await platform.tasks.get(task_id)
        saved = [] if save is None else await artifacts.save(platform, task.artifacts, save)
        try:
            return task, await platform.tasks.attempts(task_id), saved
        except Unsupported:  # a platform that tells nothing of them
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
        output.say("\n".join(f"saved {each}" for each in saved) or "It has no artifacts to save.")


@tasks.command("list")
def list_tasks(
    *,
    agent: Annotated[str | None, typer.Option(metavar="ID", help="Of one agent.")] = None,
    user: Annotated[str | None, typer.Option(metavar="ID", help="Done for one user.")] = None,
    status: Annotated[AgentExecutionStatus | None, typer.Option(help="In this status.")] = None,
    internal_status: Annotated[str | None, typer.Option(help="With exactly this internal status.")] = None,
    error_code: Annotated[str | None, typer.Option(metavar="CODE", help="Failed of this: rate_limited …")] = None,
    finish_reason: Annotated[
        FinishReason | None, typer.Option(help="Whose answer ended so: length, content_filter, …")
    ] = None,
    paused: Annotated[
        bool, typer.Option("--paused", help="What waits for a person, the longest waiting first, and how to name it.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at the most.")] = 20,
    before: Annotated[str | None, typer.Option(metavar="ID", help="Page on: the last task of the page before.")] = None,
    as_json: AsJson = False,
) -> None:
    """List tasks, newest first."""
    from worker.words.task_lists import TaskQuery

    if paused:
        from worker.cli.answer_command import list_requests

        list_requests(agent, limit, before, as_json=as_json)
        return
    query = TaskQuery(
        agent_id=agent,
        user_id=user,
        status=status,
        internal_status=internal_status,
        error_code=error_code,
        finish_reason=finish_reason,
        limit=limit,
        before=before,
    )
    items = ask(lambda platform: platform.tasks.find(query), quiet=as_json)
    if as_json:
        output.print_json(list(items))
        return
    rows = (
        (
            each.id,
            each.agent_id,
            output.status_of(each),
            each.created_at.astimezone().isoformat(" ", "seconds"),
            output.one_line(each.title or each.internal_status or each.result),
        )
        for each in items
    )
    output.print_rows(("task", "agent", "status", "created", "about"), rows)


@tasks.command()
def events(
    task_id: TaskId,
    after: Annotated[int, typer.Option(min=0, help="Only events numbered above this.")] = 0,
    follow: Annotated[bool, typer.Option("--follow", help="Wait for more, until the task is finished.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print a task's events, one a line."""

    async def call(platform: "Platform") -> None:
        from worker.cli.telling import line_of

        async for event in platform.tasks.events(task_id, after=after, follow=follow):
            if as_json:
                output.print_json(event)
            else:
                output.say(f"{event.number:>4}  {event.time.astimezone():%H:%M:%S}  {line_of(event)}")

    ask(call, quiet=as_json)


@tasks.command()
def stop(task_id: TaskId, as_json: AsJson = False) -> None:
    """Stop a task; a finished one stays as it is."""
    task = ask(lambda platform: platform.tasks.stop(task_id), quiet=as_json)
    output.print_state(task, as_json=as_json)


@tasks.command()
def skip(task_id: TaskId, as_json: AsJson = False) -> None:
    """Have the others of its conversation go on without a task that waits for a retry, a time or a person."""
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
            help="Go on where it stood, where no call that is journaled is made again, or begin from the start."
            " Default: a completed task starts over, any other resumes.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Have a finished or paused task done again, where it stood or from its start; a paused one always resumes."""
    task = ask(lambda platform: platform.tasks.retry(task_id, resume=resume), quiet=as_json)
    output.print_state(task, as_json=as_json)


def _source(given: str) -> "FileSource":
    """A file as the platform takes it: a URL as it is, a path as a path."""
    from worker.face.uploads import SCHEMES

    scheme, colon, _ = given.partition(":")
    if colon and scheme.lower() in SCHEMES:
        return given
    path = Path(given)
    if not path.is_file():
        raise typer.BadParameter(f"there is no file {given!r}, and it is no URL either", param_hint="--file")
    return path


def read_schema(path: Path | None) -> dict[str, Any] | None:
    """Read the file that ``--output-schema`` names. Raises: typer.BadParameter."""
    return None if path is None else object_of(path.read_bytes(), "--output-schema", what=str(path))
