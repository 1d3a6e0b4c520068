"""``worker task answer``, ``worker task signal`` and ``worker task send``: input to a task."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli import output
from worker.cli.arguments import object_of, value_of
from worker.cli.platform import ask
from worker.cli.task_commands import AsJson, TaskId

if TYPE_CHECKING:
    from worker.contracts import Platform
    from worker.words.requests import InputAnswer, OpenRequest
    from worker.words.tasks import TaskRecord


def answer(
    *,
    task_id: TaskId,
    request: Annotated[
        str | None,
        typer.Argument(
            metavar="[REQUEST]", help="The request to answer; required if the task has several.", show_default=False
        ),
    ] = None,
    approve: Annotated[
        bool | None,
        typer.Option("--approve/--reject", help="Answer yes or no; --reject also declines a request for a value."),
    ] = None,
    value: Annotated[
        str | None, typer.Option(metavar="JSON_OR_TEXT", help="The requested value: JSON, or plain text.")
    ] = None,
    note: Annotated[str | None, typer.Option(help="A note to the agent.")] = None,
    arguments: Annotated[
        str | None,
        typer.Option(metavar="JSON", help="Arguments to call the approved tool with, instead of the agent's."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Answer a request of a paused task, which continues once none is open. Without an answer, show its requests."""
    from worker.words.requests import InputAnswer, open_requests

    answering = InputAnswer(
        id=request,
        approve=approve,
        value=value_of(value),
        note=note,
        arguments=None if arguments is None else object_of(arguments, "--arguments"),
    )
    if approve is None and value is None:
        if note is not None or arguments is not None:
            raise typer.BadParameter("give --approve, --reject or --value", param_hint="--approve")
        task = ask(lambda platform: platform.tasks.get(task_id), quiet=as_json)
        if as_json:
            output.print_json(open_requests(task.hitl_request))
        else:
            output.print_fields(output.request_fields(task.hitl_request))
        return
    task = ask(lambda platform: _answered(platform, task_id, answering), quiet=as_json)
    output.print_state(task, as_json=as_json)


def signal(
    task_id: TaskId,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The signal's name.", show_default=False)],
    data: Annotated[
        str | None, typer.Option(metavar="JSON_OR_TEXT", help="Data to send with the signal: JSON, or plain text.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Send a named signal to a task; a task that waits for the signal continues."""
    from worker.words.signals import NewSignal

    sent = NewSignal(name=name, data=value_of(data))
    task = ask(lambda platform: platform.tasks.signal(task_id, sent), quiet=as_json)
    output.print_state(task, as_json=as_json)


def send(
    task_id: TaskId,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The message, or - to read it from standard input.")],
    as_json: AsJson = False,
) -> None:
    """Send a message to a task's agent, which reads it before its next model call, or in its next attempt."""
    from worker.face.answers import message_of

    message = message_of(sys.stdin.read() if text == "-" else text)
    task = ask(lambda platform: platform.tasks.send(task_id, message), quiet=as_json)
    output.print_state(task, as_json=as_json)


async def _answered(platform: "Platform", task_id: str, given: "InputAnswer") -> "TaskRecord":
    from worker.face.answers import named

    task = await platform.tasks.get(task_id)
    return await platform.tasks.answer(task_id, named([given], task.hitl_request))


def list_requests(agents: Sequence[str] | None, limit: int, after: str | None, *, as_json: bool) -> None:
    """Print open requests, the longest-waiting first."""
    from worker.words.requests import RequestQuery

    query = RequestQuery(agents=None if agents is None else tuple(agents), limit=limit, after=after)
    requests = ask(lambda platform: platform.tasks.requests(query), quiet=as_json)
    output.print_list(requests, ("task", "request", "agent", "kind", "since", "asks"), _row, as_json=as_json)


def _row(each: "OpenRequest") -> tuple[str, ...]:
    question = output.one_line(output.question_line(each))
    return each.task_id, each.id, each.agent_id, each.kind, output.time_of(each.asked_at), question
