"""Conversations as a reader sees them, on PostgreSQL: questions and answers, task by task and turn by turn."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from worker.engine.core import Core
from worker.engine.database.columns import TASK_COLUMNS
from worker.engine.database.statements import log as sql_log
from worker.engine.state.records import task_record
from worker.words.conversations import ConversationItem, ConversationQuery, ConversationRecord, ConversationTurn
from worker.words.errors import NotFound
from worker.words.statuses import TERMINAL, AgentExecutionStatus
from worker.words.task_lists import TaskItem
from worker.words.tasks import AgentExecutionInput, TaskRecord
from worker.words.texts import clean

_OF = """
    t.organization_id = %(organization)s
    and (%(agents)s::text[] is null or t.agent_id = any(%(agents)s))
    and (%(user)s::text is null or t.user_id = %(user)s)
    and (%(before)s::timestamptz is null or t.created_at < %(before)s)
"""

# The newest tasks of a conversation, or a single task that was continued, whose own id is the conversation's.
_TASKS = f"""
    select * from (
        select {TASK_COLUMNS}, t.place from worker.tasks t where t.conversation_id = %(conversation)s and {_OF}
        union all
        select {TASK_COLUMNS}, t.place from worker.tasks t
         where t.id = %(conversation)s and t.conversation_id is null and {_OF}
    ) t order by t.created_at desc, t.place desc nulls last, t.id desc limit %(limit)s
"""  # noqa: S608 - constants

_LIST = f"""
    select c.*, t.agent_id, t.status, t.settings from (
        select conversation_id, array_agg(distinct agent_id) as agents, count(*) as tasks,
            min(created_at) as created_at, max(created_at) as newest_at,
            (array_agg(id order by created_at desc, id desc))[1] as newest
        from (
            select t.conversation_id, t.agent_id, t.created_at, t.id from worker.tasks t
             where t.conversation_id is not null and {_OF} order by t.created_at desc, t.id desc limit %(window)s
        ) t group by conversation_id
    ) c join worker.tasks t on t.id = c.newest
    order by c.newest_at desc, c.newest desc limit %(limit)s
"""  # noqa: S608 - constants


async def conversation(
    core: Core, organization_id: str, conversation_id: str, query: ConversationQuery
) -> ConversationRecord:
    """Return a conversation.

    Raises:
        NotFound: The conversation has no task.
    """
    asked = {**_parameters(organization_id, query), "conversation": clean(conversation_id)}
    rows = await core.read(_TASKS, asked)
    if not rows:
        raise NotFound(f"There is no conversation {conversation_id!r}.")
    turns: list[ConversationTurn] = []
    for row in reversed(rows):  # tasks created at the same time stay in this order
        task = task_record(row)
        turns += await _earlier(core, row, task) if task.turn else [_last(task, task.created_at)]
    return ConversationRecord(id=conversation_id, turns=sorted(turns, key=lambda each: each.asked_at))


async def listed(core: Core, organization_id: str, query: ConversationQuery) -> list[ConversationItem]:
    """Return the conversations, the one with the newest task first."""
    asked = {**_parameters(organization_id, query), "window": ConversationQuery.WINDOW}
    return [_item(row) for row in await core.read(_LIST, asked)]


def _parameters(organization_id: str, query: ConversationQuery) -> dict[str, Any]:
    return {
        "organization": organization_id,
        "agents": None if query.wanted is None else [clean(each) for each in query.wanted],
        "user": clean(query.user_id),
        "before": query.before,
        "limit": query.limit,
    }


def _item(row: Mapping[str, Any]) -> ConversationItem:
    given = row["settings"]["input"]
    text = given.get("text") if isinstance(given, dict) else None
    return ConversationItem(
        id=row["conversation_id"],
        agents=sorted(row["agents"]),
        tasks=row["tasks"],
        text=(text or "")[: TaskItem.TEXT_CHARACTERS] or None,
        status=row["status"],
        created_at=row["created_at"],
        newest_at=row["newest_at"],
    )


async def _earlier(core: Core, row: Mapping[str, Any], task: TaskRecord) -> list[ConversationTurn]:
    """Return all turns of a task that was continued, with earlier questions and the answers given to them."""
    changes = await core.read(sql_log.READ_CHANGES, (task.id, row["last_event"]))
    return list(_turns(changes, task))


def _turns(changes: Iterable[Mapping[str, Any]], task: TaskRecord) -> Iterable[ConversationTurn]:
    known: dict[str, Any] = {"status": AgentExecutionStatus.Pending}
    asked_at, finished_at, number = task.created_at, None, 0
    for change in changes:
        data: dict[str, Any] = change["data"] or {}
        before = data.get("_settings_before")
        if before is not None:
            given = AgentExecutionInput.model_validate(before["input"])
            yield _turn(task, number, given, known, (asked_at, finished_at))
            number, asked_at = number + 1, change["time"]
        known |= data
        finished_at = change["time"] if known["status"] in TERMINAL else None
    yield _last(task, asked_at)


def _last(task: TaskRecord, asked_at: datetime) -> ConversationTurn:
    return _turn(task, task.turn, task.input, task.__dict__, (asked_at, task.finished_at))


def _turn(
    task: TaskRecord,
    number: int,
    given: AgentExecutionInput,
    stood: Mapping[str, Any],
    times: tuple[datetime, datetime | None],
) -> ConversationTurn:
    status = AgentExecutionStatus(stood["status"])
    return ConversationTurn(
        task_id=task.id,
        agent_id=task.agent_id,
        turn=number,
        status=status,
        question=given.text or None,
        files=given.files or [],
        user=given.user,
        answer=stood.get("result") if status is AgentExecutionStatus.Completed else None,
        output_format=task.output_format,
        error_code=stood.get("error_code"),
        waiting_for=task.waiting_for if number == task.turn else None,
        asked_at=times[0],
        finished_at=times[1],
    )
