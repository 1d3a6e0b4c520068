"""Routes of a task's events: following them as a stream, and pushing new ones."""

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response

from worker.contracts import Organization
from worker.server.feeds import read
from worker.server.identity.answer_links import ANSWER
from worker.server.limits.failures import documented
from worker.server.limits.json_bodies import JsonRoute
from worker.server.routes.bodies import PushedEvent
from worker.server.routes.common import Admitted, base_of, check_attempt, is_native, sent, service_of
from worker.server.service import Service
from worker.server.streams.streaming import EventStream, frame, framed
from worker.words.events import NewEvent, TaskUpdateEvent
from worker.words.statuses import TaskUpdateEventType
from worker.words.tasks import TaskRecord

router = APIRouter(tags=["events"], route_class=JsonRoute)

STREAM = {
    200: {
        "description": "Server-sent events: first `connected`, then each event with its number as `id:`.",
        "content": {
            "text/event-stream": {
                "schema": {
                    "type": "object",
                    "properties": {name: {"type": "string"} for name in ("data", "event", "id")},
                    "required": ["data"],
                }
            }
        },
    }
}
HIGHEST = 2**53  # no log is longer, so a higher number is an error


@router.get("/agent-execution/{task_id}/events", response_class=Response, responses={**STREAM, **documented(404)})
async def follow(
    *,
    request: Request,
    access: Admitted,
    task_id: str,
    after: Annotated[int, Query(ge=0, le=HIGHEST, description="Only events with a higher number than this.")] = 0,
    last_event_id: Annotated[str | None, Header(description="The number of the last event received.")] = None,
    follow: Annotated[bool, Query(description="Keep the stream open until the task ends.")] = True,
) -> Response:
    """Stream a task's events: each once, in order, starting after the last event number seen."""
    task = await access.task(task_id)
    service = service_of(request)
    start = max(after, _number(last_event_id))
    reader = access.key if access.allows(ANSWER) else ""  # readers who may answer get links bound to their key
    reader_key = f"{'' if is_native(request) else base_of(request)} {reader}"
    encode = _encoder(request)
    reading = LogReading(access.organization, task, start, reader_key, encode)
    return EventStream(service, _followed(service, reading) if follow else _there(reading), access)


@dataclass(frozen=True, slots=True)
class LogReading:
    """The parameters of reading a task's log from a number; readers with the same ``reader_key`` get the same bytes."""

    organization: Organization
    task: TaskRecord
    after: int
    reader_key: str
    encode: Callable[[TaskUpdateEvent], bytes]


def _number(text: str | None) -> int:
    return min(int(text[:20]), HIGHEST) if text and text.isascii() and text.isdigit() else 0


def _encoder(request: Request) -> Callable[[TaskUpdateEvent], bytes]:
    def encode(event: TaskUpdateEvent) -> bytes:
        return framed(sent(request, event, event.organization_id), number=event.number)

    return encode


def connected(task: TaskRecord) -> bytes:
    """Return the first frame of every stream. It is not an event of the task, so it has no number."""
    return frame(
        {
            "type": TaskUpdateEventType.Connected,
            "task_id": task.id,
            "organization_id": task.organization_id,
            "time": datetime.now(UTC).isoformat(),
            "data": {},
        }
    )


async def _followed(service: Service, reading: LogReading) -> AsyncGenerator[bytes]:
    organization, task, after = reading.organization, reading.task, reading.after
    yield connected(task)
    async with service.feeds.share(organization, task.id, after, reading.reader_key, reading.encode) as feed:
        async for piece in feed.follow(after):
            yield piece


async def _there(reading: LogReading) -> AsyncGenerator[bytes]:
    yield connected(reading.task)
    async for piece, _ in read(reading.organization, reading.task.id, reading.after, reading.encode):
        yield piece


@router.post("/agent-execution/{task_id}/events/push", responses=documented(404, 409))
async def push(
    request: Request,
    access: Admitted,
    task_id: str,
    events: list[PushedEvent],
    x_attempt: Annotated[int | None, Header(ge=0, le=2**31 - 1)] = None,
) -> dict[str, int]:
    """Append events to a task; unknown types are ignored. Returns how many events were stored."""
    await check_attempt(request, access, task_id, x_attempt)
    known = {str(kind) for kind in TaskUpdateEventType} - {str(TaskUpdateEventType.Connected)}
    kept = [NewEvent(type=TaskUpdateEventType(each.type), data=each.data) for each in events if each.type in known]
    if kept:
        await access.organization.tasks.push(task_id, kept, attempt=x_attempt)
    else:
        await access.task(task_id)
    return {"kept": len(kept)}
