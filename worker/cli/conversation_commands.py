"""``worker conversation …``: tasks that share memory, as questions and answers."""

from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli import output
from worker.cli.arguments import AsJson
from worker.cli.platform import ask

if TYPE_CHECKING:
    from worker.words.conversations import ConversationItem

conversations = typer.Typer(no_args_is_help=True, help="List conversations, and read them turn by turn.")

Agent = Annotated[str | None, typer.Option(metavar="ID", help="Only this agent's tasks.")]
User = Annotated[str | None, typer.Option(metavar="ID", help="Only tasks for this user.")]


@conversations.command("list")
def list_conversations(
    *,
    agent: Agent = None,
    user: User = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The most conversations to list.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List conversations, the one with the newest task first."""
    from worker.words.conversations import ConversationQuery

    query = ConversationQuery(agent_id=agent, user_id=user, limit=limit)
    found = ask(lambda platform: platform.tasks.find_conversations(query), quiet=as_json)
    output.print_list(found, ("conversation", "agents", "tasks", "status", "newest", "about"), _row, as_json=as_json)


@conversations.command()
def show(
    conversation_id: Annotated[str, typer.Argument(metavar="ID", help="The conversation.", show_default=False)],
    *,
    agent: Agent = None,
    user: User = None,
    limit: Annotated[
        int, typer.Option(min=1, max=1000, help="The most turns to show; the newest ones are kept.")
    ] = 100,
    as_json: AsJson = False,
) -> None:
    """Show the questions and answers of a conversation, the first turn first."""
    from worker.words.conversations import ConversationQuery

    query = ConversationQuery(agent_id=agent, user_id=user, limit=limit)
    page = ask(lambda platform: platform.tasks.conversation(conversation_id, query), quiet=as_json)
    if as_json:
        output.print_json(page)
        return
    for turn in page.turns:
        output.say(f"{output.time_of(turn.asked_at)}  {turn.task_id}  {turn.agent_id}  {turn.status}")
        output.say(f"> {turn.question or ', '.join(turn.files)}")
        output.say(turn.answer or turn.waiting_for or turn.error_code or "(no answer)")
        output.say("")


def _row(each: "ConversationItem") -> tuple[str, ...]:
    newest, about = output.time_of(each.newest_at), output.one_line(each.text, 80)
    return each.id, ", ".join(each.agents), str(each.tasks), str(each.status), newest, about
