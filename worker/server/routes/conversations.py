"""Routes of conversations."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from worker.server.limits.failures import documented
from worker.server.limits.json_bodies import JsonRoute
from worker.server.routes.common import Admitted, answers
from worker.words.conversations import ConversationItem, ConversationQuery, ConversationRecord

router = APIRouter(tags=["conversations"], route_class=JsonRoute)


def _filters(
    agent_id: Annotated[str | None, Query(description="Only this agent's tasks.")] = None,
    user_id: Annotated[str | None, Query(description="Only tasks for this user.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    before: Annotated[datetime | None, Query(description="Only tasks created before this time.")] = None,
) -> ConversationQuery:
    return ConversationQuery(agent_id=agent_id or None, user_id=user_id or None, limit=limit, before=before)


Filters = Annotated[ConversationQuery, Depends(_filters)]


@router.get("/conversations", response_model=list[ConversationItem], responses=documented())
async def conversations(access: Admitted, query: Filters) -> Response:
    """List conversations, the one with the newest task first, based on the newest 10,000 tasks."""
    return answers(list[ConversationItem], await access.organization.tasks.find_conversations(access.within(query)))


@router.get("/conversations/{conversation_id:path}", response_model=ConversationRecord, responses=documented(404))
async def conversation(access: Admitted, conversation_id: str, query: Filters) -> Response:
    """Get the turns of a conversation from its newest tasks, in chronological order."""
    conversation = await access.organization.tasks.conversation(conversation_id, access.within(query))
    return answers(ConversationRecord, conversation)
