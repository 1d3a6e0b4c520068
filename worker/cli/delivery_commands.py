"""``worker delivery …``: list and retry events that handlers failed on."""

from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli import failures, output
from worker.cli.arguments import AsJson
from worker.cli.platform import ask
from worker.words.statuses import DeliveryState

if TYPE_CHECKING:
    from worker.words.deliveries import FailedDelivery

deliveries = typer.Typer(
    no_args_is_help=True,
    help="Failed deliveries of events to handlers and webhooks: list and retry them.",
)

HandlerOption = Annotated[
    str | None, typer.Option("--handler", metavar="NAME", help="Only deliveries to this handler, as named in the list.")
]
TaskOption = Annotated[str | None, typer.Option("--task", metavar="ID", help="Only deliveries of this task.")]
AgentOption = Annotated[
    str | None, typer.Option("--agent", metavar="ID", help="Only deliveries of this agent's tasks.")
]


@deliveries.command("list")
def list_deliveries(
    *,
    state: Annotated[
        DeliveryState | None,
        typer.Option(help="waiting: to be retried automatically; set_aside: given up; retrying: retried by request."),
    ] = None,
    handler: HandlerOption = None,
    task: TaskOption = None,
    agent: AgentOption = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The most deliveries to list.")] = 20,
    before: Annotated[
        str | None, typer.Option(metavar="ID", help="Continue after this delivery, the last one on the previous page.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List failed deliveries, those of the newest tasks first: the last error, and the time of the next try."""
    from worker.words.deliveries import DeliveryQuery

    query = DeliveryQuery(state=state, handler=handler, task_id=task, agent_id=agent, limit=limit, before=before)
    found = ask(lambda platform: platform.deliveries.find(query), quiet=as_json)
    headings = ("delivery", "handler", "event", "agent", "state", "tries", "when", "last error")
    output.print_list(found, headings, _row, as_json=as_json)


@deliveries.command()
def retry(
    *,
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID]...", help="Ids of deliveries, as shown in the list.", show_default=False),
    ] = None,
    handler: HandlerOption = None,
    task: TaskOption = None,
    agent: AgentOption = None,
    all_of_them: Annotated[bool, typer.Option("--all", help="Every delivery that has been set aside.")] = False,
    as_json: AsJson = False,
) -> None:
    """Try dead letters once more, each before those events of its task that the handler has not handled yet.

    They may be out of order, since later events of the task may have been delivered already. One that fails again is
    set aside again. Exit code 1 if a named delivery is not set aside.
    """
    if not (ids or handler or task or agent or all_of_them):
        raise typer.BadParameter("give delivery ids, --handler, --task, --agent or --all", param_hint="ID")
    from worker.words.deliveries import DeliveryRetry

    selection = DeliveryRetry(ids=ids or None, handler=handler, task_id=task, agent_id=agent, all=all_of_them)
    count = ask(lambda platform: platform.deliveries.retry(selection), quiet=as_json)
    if as_json:
        output.say(f'{{"retried":{count}}}')
    else:
        output.say(f"{count} {'delivery' if count == 1 else 'deliveries'} will be retried once")
    missed = len(set(ids or ())) - count
    if missed > 0:
        output.aside(f"{missed} of the given deliveries {'is' if missed == 1 else 'are'} not set aside")
        raise typer.Exit(failures.FAILED)


def _row(each: "FailedDelivery") -> tuple[str, ...]:
    when = each.set_aside_at if each.state is DeliveryState.SetAside else each.next_try_at
    return (
        each.id,
        each.handler,
        f"{each.event_type} {each.event}",
        each.agent_id,
        str(each.state),
        str(each.tries),
        output.time_of(when),
        output.one_line(each.error),
    )
