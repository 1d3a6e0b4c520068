"""``worker conversation …``: tasks that share memory, as questions and answers."""

from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli import output
from worker.cli.platform import ask

if TYPE_CHECKING:
    from datetime import datetime

    from worker.words.conversations import ConversationTurn

conversations = typer.Typer(no_args_is_help=True, help="List conversations, and read them turn by turn.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
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
    if as_json:
        output.print_json(list(found))
        return
    rows = (
        (each.id, ", ".join(each.agents), str(each.tasks), str(each.status), _time(each.newest_at), _line(each.text))
        for each in found
    )
    output.print_rows(("conversation", "agents", "tasks", "status", "newest", "about"), rows)


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
        output.say(f"{_time(turn.asked_at)}  {turn.task_id}  {turn.agent_id}  {turn.status}")
        output.say(f"> {turn.question or ', '.join(turn.files)}")
        output.say(_answer(turn))
        output.say("")


def _answer(turn: "ConversationTurn") -> str:
    return turn.answer or turn.waiting_for or turn.error_code or "(no answer)"


def _time(moment: "datetime") -> str:
    return moment.astimezone().isoformat(" ", "seconds")


def _line(text: str | None) -> str:
    return output.one_line(text, 80)
