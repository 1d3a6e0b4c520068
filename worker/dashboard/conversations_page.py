"""The pages of conversations: a list, and the turns of one."""

import asyncio
from datetime import datetime

from markupsafe import Markup
from starlette.responses import Response

from worker.dashboard.request_context import RequestContext
from worker.dashboard.results import markdown
from worker.words.conversations import ConversationQuery, ConversationTurn
from worker.words.statuses import OutputFormat

SHOWN = 50


async def conversations(context: RequestContext) -> Response:
    """List conversations, the one with the newest task first."""
    agent = context.request.query_params.get("agent", "")[:128]
    before = _moment(context.request.query_params.get("before", ""))
    query = ConversationQuery(agent_id=agent or None, limit=SHOWN, before=before)
    found = await context.access.organization.tasks.find_conversations(context.access.within(query))
    following = found[-1].newest_at.isoformat() if len(found) == SHOWN else None
    return await context.page(
        "conversations.html", conversations=found, agent=agent, following=following, is_first=before is None
    )


async def conversation(context: RequestContext) -> Response:
    """Show a conversation."""
    conversation_id = context.request.path_params["conversation_id"]
    query = context.access.within(ConversationQuery(limit=SHOWN))
    conversation = await context.access.organization.tasks.conversation(conversation_id, query)
    answers = await asyncio.gather(*(_answer(each) for each in conversation.turns))
    return await context.page(
        "conversation.html", conversation=conversation, answers=answers, is_cut=len(conversation.turns) >= SHOWN
    )


async def _answer(turn: ConversationTurn) -> Markup | None:
    """Return a Markdown answer as HTML, or None if it is shown as plain text."""
    is_markdown = turn.answer is not None and turn.output_format is OutputFormat.Markdown
    return await markdown(turn.answer or "") if is_markdown else None


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
