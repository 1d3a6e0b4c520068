"""The page of one task: input, timeline, result, and actions."""

import json
from contextlib import aclosing
from typing import Any

import pydantic
from starlette.responses import Response

from worker.dashboard.files import artifacts, attachments
from worker.dashboard.request_context import RequestContext, task_of, text_of
from worker.dashboard.requests_page import forms_of
from worker.dashboard.results import json_tree, markdown
from worker.dashboard.timeline import EVENTS_SHOWN, Timeline
from worker.words.errors import ValidationError
from worker.words.messages import TEXT_CHARACTERS, NewMessage
from worker.words.signals import NewSignal
from worker.words.statuses import OutputFormat
from worker.words.task_lists import TaskQuery
from worker.words.tasks import TaskRecord

CHILDREN = 50
ATTEMPTS_SHOWN = 20


async def task(context: RequestContext) -> Response:
    """Show a task."""
    task = await task_of(context)
    organization = context.access.organization
    start = first_event(context, task)
    timeline = Timeline(task.created_at)
    async with aclosing(organization.tasks.events(task.id, after=start, follow=False)) as events:
        async for event in events:
            timeline.take(event)
            if timeline.number >= start + EVENTS_SHOWN:
                break
    is_cut = timeline.number < task.last_event
    task = await task_of(
        context
    )  # again: the events read above may have changed it, and the stream sends only later ones
    children = await organization.tasks.find(context.access.within(TaskQuery(parent_task_id=task.id, limit=CHILDREN)))
    return await context.page(
        "task.html",
        rows=timeline.rows,
        number=timeline.number,
        start=start,
        earlier=max(0, start - EVENTS_SHOWN) if start else None,
        later=timeline.number if is_cut else None,
        is_live=not is_cut and (not task.status.is_terminal or timeline.number < task.last_event),
        files=await attachments(context, task),
        children=children,
        **await facts(context, task),
    )


def first_event(context: RequestContext, task: TaskRecord) -> int:
    """Return the number after which the page shows events: the one in the URL, or else one that shows the newest."""
    asked = context.request.query_params.get("from", "")
    if asked.isascii() and asked.isdigit():
        return min(int(asked[:15]), task.last_event)
    return max(0, task.last_event - EVENTS_SHOWN)


async def facts(context: RequestContext, task: TaskRecord) -> dict[str, Any]:
    """Return the template values about a task's current state, for the page and for updates by its stream."""
    attempts = await context.access.organization.tasks.attempts(task.id)
    forms = forms_of(task)
    return {
        "task": task,
        "forms": forms,
        "result": await _result(task),
        "artifacts": await artifacts(context, task),
        "attempts": attempts[-ATTEMPTS_SHOWN:][::-1],
    }


async def _result(task: TaskRecord) -> dict[str, Any] | None:
    """Return a task's result in its output format and as plain text."""
    if task.result is None:
        return None
    html = None
    if task.output_format is OutputFormat.Markdown:
        html = await markdown(task.result)
    elif task.output_format is OutputFormat.Json or task.output_schema is not None:
        html = json_tree(task.result)
    is_html = task.output_format is OutputFormat.Html and task.status == "completed"
    return {"text": task.result, "html": html, "is_html": is_html, "format": task.output_format or "text"}


async def stop(context: RequestContext) -> Response:
    """Stop a task."""
    await context.form()
    task = await task_of(context)
    await context.access.organization.tasks.stop(task.id)
    return await context.go(f"/ui/tasks/{task.id}", notice="stopped")


async def send(context: RequestContext) -> Response:
    """Send a message to a task's agent."""
    form = await context.form()
    task = await task_of(context)
    text = text_of(form, "text")
    if not 0 < len(text) <= TEXT_CHARACTERS:
        raise ValidationError(f"A message must have 1 to {TEXT_CHARACTERS:,} characters.", field="text")
    await context.access.organization.tasks.send(task.id, NewMessage(text=text))
    return await context.go(f"/ui/tasks/{task.id}", notice="sent")


async def signal(context: RequestContext) -> Response:
    """Send a signal to a task."""
    form = await context.form()
    task = await task_of(context)
    said = text_of(form, "data").strip()
    try:
        sent = NewSignal(name=text_of(form, "name").strip(), data=json.loads(said) if said else None)
    except pydantic.ValidationError as error:
        raise ValidationError(error.errors()[0]["msg"], field="name") from None
    except (ValueError, RecursionError):
        raise ValidationError("The data of a signal must be JSON.", field="data") from None
    await context.access.organization.tasks.signal(task.id, sent)
    return await context.go(f"/ui/tasks/{task.id}", notice="signalled")


async def skip(context: RequestContext) -> Response:
    """Let the other tasks of the task's conversation continue."""
    await context.form()
    task = await task_of(context)
    await context.access.organization.tasks.skip(task.id)
    return await context.go(f"/ui/tasks/{task.id}", notice="skipped")


async def retry(context: RequestContext) -> Response:
    """Queue a task again."""
    form = await context.form()
    task = await task_of(context)
    await context.server.enter_queue(context.access, task.agent_id)
    await context.access.organization.tasks.retry(task.id, resume=False if text_of(form, "anew") else None)
    return await context.go(f"/ui/tasks/{task.id}", notice="retried")
