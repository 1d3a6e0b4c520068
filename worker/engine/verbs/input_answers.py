"""Answers, signals and messages to tasks, on PostgreSQL, the inbox of open requests, and the expiry of overdue ones."""

import asyncio
import json
from collections.abc import Sequence

from worker import bounded
from worker.bounded import BoundedError, Bounds, NotStarted, Refused
from worker.engine.core import Core
from worker.engine.database.columns import TASK_COLUMNS
from worker.engine.liveness.upkeep import repeat
from worker.engine.state.messages import Message
from worker.engine.state.records import task_record
from worker.engine.state.requests import AnswerRequests, ExpireRequests
from worker.engine.state.signals import Signal
from worker.words.actors import acting
from worker.words.errors import Conflict, Unavailable, ValidationError
from worker.words.messages import NewMessage
from worker.words.requests import (
    InputAnswer,
    InputRequest,
    OpenRequest,
    RequestQuery,
    check_answer,
    matched,
    open_requests,
)
from worker.words.signals import DATA_BYTES, NewSignal
from worker.words.statuses import AgentExecutionStatus
from worker.words.task_lists import TaskItem
from worker.words.tasks import TaskRecord
from worker.words.texts import clean, encode

VALUE_BYTES = 1024 * 1024  # per value: a person's input, or a tool's result
BOUNDS = Bounds(seconds=5)
BATCH = 1000
POLL_SECONDS = 2.0  # between searches for overdue requests

_INBOX = f"""
    select {TASK_COLUMNS} from worker.tasks t
    where t.status = 'paused' and t.organization_id = %(organization)s
      and (%(agents)s::text[] is null or t.agent_id = any(%(agents)s))
      and (%(after)s::text is null or (t.paused_at, t.id) > (
          select b.paused_at, b.id from worker.tasks b where b.id = %(after)s and b.organization_id = %(organization)s
      ))
    order by t.paused_at, t.id limit %(limit)s
"""  # noqa: S608 - a constant

_OVERDUE = """
    select organization_id, id from worker.tasks where status = 'paused' and available_at <= now()
    order by available_at limit %s
"""


def answering(organization_id: str, record: TaskRecord, answers: Sequence[InputAnswer]) -> AnswerRequests:
    """Return the change that stores answers to a task's requests, on behalf of the current actor."""
    return AnswerRequests(
        organization_id, record.id, answers, _who(), sum(len(encode(each.stored())) for each in answers)
    )


def signalling(organization_id: str, task_id: str, signal: NewSignal) -> Signal:
    """Return the change that sends a signal to a task, on behalf of the current actor.

    Raises:
        ValidationError: The data is too large.
    """
    size = len(encode(signal.data))
    if size > DATA_BYTES:
        raise ValidationError(f"The data has {size:,} bytes; the maximum is {DATA_BYTES:,}.", field="data")
    return Signal(organization_id, task_id, clean(signal.name), signal.data, _who(), size)


def messaging(organization_id: str, task_id: str, message: NewMessage, key: str | None = None) -> Message:
    """Return the change that sends a message to a task, on behalf of the current actor; with a key only once."""
    return Message(organization_id, task_id, clean(message.text), _who(), len(message.text), key)


def _who() -> str | None:
    actor = acting()
    return None if actor is None else actor.name or actor.key_id


async def check_values(record: TaskRecord, answers: Sequence[InputAnswer]) -> None:
    """Check that answers fit the task's open requests; answers to other requests are judged by the change itself.

    Raises:
        ValidationError: An answer does not fit; the error names the field.
        Conflict: The task waits for nothing.
        Unavailable: No process could be started to check a value in.
    """
    waits = open_requests(record.hitl_request) if record.status == AgentExecutionStatus.Paused else []
    if not waits:
        return
    try:
        found = matched(answers, waits)
    except Conflict:
        return
    for request in waits:
        answer = found.get(request.id)
        if answer is not None:
            check_answer(request, answer)
            await _check_value(request, answer)


async def _check_value(request: InputRequest, answer: InputAnswer) -> None:
    if answer.value is None:
        return
    text = json.dumps(answer.value)
    if len(text) > VALUE_BYTES:
        raise ValidationError(f"The value has {len(text):,} bytes; the maximum is {VALUE_BYTES:,}.", field="value")
    if request.value_schema is None:
        return
    try:
        found = await bounded.checks.run("worker.bounded.json_schema:fitted", text, request.value_schema, bounds=BOUNDS)
    except NotStarted as error:
        raise Unavailable(
            f"an answer could not be checked because no process could be started ({error})", retry_after=5
        ) from error
    except (Refused, BoundedError) as error:
        raise ValidationError(f"The value cannot be checked: {error}", field="value") from None
    if "unfit" in found:
        where = found.get("at") or ""
        raise ValidationError(
            f"The value does not match the schema: {found['unfit']}", field=f"value/{where}" if where else "value"
        )


async def inbox(core: Core, organization_id: str, query: RequestQuery) -> list[OpenRequest]:
    """Return the open requests of all tasks, the longest waiting first."""
    keys = {
        "organization": organization_id,
        "agents": None if query.wanted is None else [clean(each) for each in query.wanted],
        "after": clean(query.after),
        "limit": query.limit,
    }
    found: list[OpenRequest] = []
    for row in await core.read(_INBOX, keys):
        record = task_record(row)
        text = (record.input.text or "")[: TaskItem.TEXT_CHARACTERS] or None
        for each in open_requests(record.hitl_request):
            task = {"task_id": record.id, "agent_id": record.agent_id, "title": record.title, "text": text}
            found.append(OpenRequest.model_validate({**each.model_dump(), **task}))
    return found


async def expire_requests(core: Core) -> None:
    """Resolve paused tasks whose requests were not answered in time; runs until cancelled."""
    await repeat(lambda: expire(core), POLL_SECONDS, "checking for overdue requests")


async def expire(core: Core) -> None:
    """Resolve the overdue requests once."""
    while rows := await core.rows(_OVERDUE, (BATCH,)):
        changes = [ExpireRequests(row["organization_id"], row["id"]) for row in rows]
        await asyncio.gather(*(core.writer.write(each) for each in changes))
        if len(rows) < BATCH:
            return
