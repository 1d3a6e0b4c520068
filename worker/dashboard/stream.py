"""Live updates of a task's page: HTML fragments over server-sent events, each with the number of its task event.

A reconnecting browser sends the number of the last event that it saw. Earlier events are folded again without output,
so that the following fragments fit the page, whichever server process answers.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

from starlette.responses import Response

from worker.dashboard.request_context import RequestContext, task_of
from worker.dashboard.task_page import facts, first_event
from worker.dashboard.timeline import Timeline, TimelineChange
from worker.words.errors import ModuleException, Unavailable
from worker.words.events import TaskUpdateEvent
from worker.words.tasks import TaskRecord

RETRY = b"retry: 1000\n\n"
COMMENT = b": alive\n\n"
DONE = b"event: done\ndata: \n\n"


async def stream(context: RequestContext) -> Response:
    """Stream updates, starting after the last event that the page shows."""
    task = await task_of(context)
    start = first_event(context, task)
    after = max(
        _number(context.request.query_params.get("after")),
        _number(context.request.headers.get("last-event-id")),
        start,
    )
    return context.server.stream(_pieces(context, task, start, after), context.access)


def _number(text: str | None) -> int:
    return int(text[:15]) if text and text.isascii() and text.isdigit() else 0


async def _pieces(context: RequestContext, task: TaskRecord, start: int, after: int) -> AsyncGenerator[bytes]:
    yield RETRY
    timeline = Timeline(task.created_at)
    events = context.access.organization.tasks.events(task.id, after=start)
    try:
        async for event in _with_silences(events, context.server.comment_seconds):
            if event is None:
                yield COMMENT
                continue
            changes = timeline.take(event)
            if timeline.number > after:
                html = "".join([await _html(context, timeline, change) for change in changes])
                yield _framed(html, timeline.number)
    except Unavailable:  # the browser reconnects and resumes
        return
    except ModuleException:  # the task no longer exists
        yield DONE
        return
    finally:
        await events.aclose()
    yield DONE


async def _with_silences(
    events: AsyncIterator[TaskUpdateEvent], silence: float
) -> AsyncGenerator[TaskUpdateEvent | None]:
    """Yield events as they arrive, and None whenever there was none for ``silence`` seconds."""
    waiting: asyncio.Task[TaskUpdateEvent] | None = None
    try:
        while True:
            waiting = waiting or asyncio.ensure_future(_next(events))
            await asyncio.wait([waiting], timeout=silence)
            if not waiting.done():
                yield None
                continue
            event, waiting = await _ended(waiting), None
            if event is None:
                return
            yield event
    finally:
        if waiting is not None:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)


async def _next(events: AsyncIterator[TaskUpdateEvent]) -> TaskUpdateEvent:
    return await anext(events)


async def _ended(waiting: "asyncio.Task[TaskUpdateEvent]") -> TaskUpdateEvent | None:
    try:
        return await waiting
    except StopAsyncIteration:
        return None
    except RuntimeError as error:  # an asyncio task converts StopAsyncIteration to this
        if isinstance(error.__cause__, StopAsyncIteration):
            return None
        raise


async def _html(context: RequestContext, timeline: Timeline, change: TimelineChange) -> str:
    if change.what == "task":
        task = timeline.task
        if task is None:
            return ""
        return await context.html("task_changed.html", **await facts(context, task))
    return await context.html("timeline_change.html", change=change, row=change.row)


def _framed(html: str, number: int) -> bytes:
    """Return an HTML fragment as one event. Carriage returns are escaped, since they would end a line."""
    lines = html.replace("\r", "&#13;").split("\n")
    data = "\n".join(f"data: {line}" for line in lines)
    return f"id: {number}\nevent: change\n{data}\n\n".encode("utf-8", "replace")
