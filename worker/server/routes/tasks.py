"""Routes of single tasks: create, get, update, stop, retry. Lists are in ``task_lists.py``."""

import hashlib
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from worker.server.authorization import claims_of
from worker.server.identity.access import Access
from worker.server.limits.failures import documented
from worker.server.limits.json_bodies import JsonRoute
from worker.server.new_tasks import check_new_task
from worker.server.routes.bodies import Changes
from worker.server.routes.common import (
    JSON,
    Admitted,
    admit,
    answers,
    check_attempt,
    is_native,
    sent,
    service_of,
    task_answer,
)
from worker.wire.bodies import CreateBody, without_nulls
from worker.words.activity import AgentActivityThread
from worker.words.actors import AuditAction
from worker.words.attempts import Attempt
from worker.words.errors import Conflict, ModuleException, TaskNotFound, TooLarge, ValidationError
from worker.words.events import note_event
from worker.words.ids import new_id
from worker.words.spelling import misspelled
from worker.words.statuses import TERMINAL, AgentExecutionStatus
from worker.words.tasks import NewTask, TaskRecord, TaskSettings, is_traceparent
from worker.words.texts import encode

router = APIRouter(tags=["tasks"], route_class=JsonRoute)


SAVED = TaskRecord.model_fields.keys() | TaskSettings.model_fields.keys()
"""The names of a task's fields, all of which the public client may send in an update."""

ENDED = TERMINAL - {AgentExecutionStatus.Stopped}  # a stop is written to the audit log by the platform
_UNREAD = (TooLarge.status, ValidationError.status)
"""Status codes for a body that was rejected before parsing; invalid fields raise errors of other classes."""


class SavingRoute(JsonRoute):
    """A route that ends the task of a bare worker if its save is rejected as too large or too deep to parse.

    Such a worker sends no attempt and does not repeat a rejected save, so the task would stay ``executing`` otherwise.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the route's handler, wrapped so that it catches rejected bodies."""
        handle = super().get_route_handler()

        async def watched(request: Request) -> Response:
            try:
                return await handle(request)
            except HTTPException as refused:
                if refused.status_code in _UNREAD and "x-attempt" not in request.headers:
                    access = await admit(request)
                    task_id = request.path_params["task_id"]
                    await access.check_task(task_id)
                    await access.organization.presence.end_refused(task_id, refused.detail)
                raise

        return watched


saving = APIRouter(tags=["tasks"], route_class=SavingRoute)


Writing = Annotated[
    int | None,
    Header(ge=0, le=2**31 - 1, description="Number of the attempt that writes; a stale attempt is rejected with 409."),
]
Origin = Annotated[str | None, Header(description="Name of the delivery handler that saves the task.")]
Trace = Annotated[str | None, Header(description="W3C trace context that the task belongs to.")]
Key = Annotated[
    str | None,
    Header(
        description="Requests with the same key and body create one task; the same key with another body is rejected"
        " with 409.",
        json_schema_extra={"maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$"},
    ),
]


@router.post("/agent-execution/{agent_id}", response_model=TaskRecord, responses=documented(404, 409, 429))
async def create(
    *,
    request: Request,
    access: Admitted,
    agent_id: str,
    body: CreateBody,
    x_agent_version: Annotated[str | None, Header()] = None,
    idempotency_key: Key = None,
    traceparent: Trace = None,
) -> Response:
    """Create a task. If ``id`` names an existing finished task, that task runs again with this input."""
    new = body.new_task(agent_id, x_agent_version)
    if new.traceparent is None and is_traceparent(traceparent):
        new = new.model_copy(update={"traceparent": traceparent})
    await check_new_task(service_of(request), access, new)
    if new.id is not None:
        await access.check_task(new.id)
    await service_of(request).queues.enter(access.organization, agent_id)
    if idempotency_key is None:
        task = await access.organization.tasks.create(new)
    else:
        task = await _create_once(request, access, new, idempotency_key)
    if not body.misspelled or task.last_event > 1:  # a repeated request, or a task that runs again
        return task_answer(request, task)
    await _note_misspelled(access, task.id, body.misspelled)
    return task_answer(request, await access.organization.tasks.get(task.id))


async def _note_misspelled(access: Access, task_id: str, found: list[str]) -> None:
    """Note on a task which fields of a request were ignored and are probably misspelled.

    Other unknown fields are no mistake: the public client may have some that mean nothing here.
    """
    text = f"Unknown fields of the request were ignored: {', '.join(found)}."
    with suppress(Conflict):  # it has ended already
        await access.organization.tasks.push(task_id, [note_event(text, "option")])


async def _create_once(request: Request, access: Access, new: NewTask, key: str) -> TaskRecord:
    """Create a task under an id that is reserved first, so that a repeated request finds or creates the same task."""
    keys = service_of(request).host.keys
    key = scoped(key, new.agent_id)
    organization_id, tasks = access.organization.organization_id, access.organization.tasks
    digest = hashlib.sha256(encode(new.model_dump(exclude={"traceparent"}))).hexdigest()
    task_id, first = await keys.reserve(organization_id, key, digest, new.id or new_id())
    if not first:
        with suppress(TaskNotFound):  # the first request was interrupted before it created the task
            known = await access.task(task_id)
            if new.id is None or known.input == new.input or not known.status.is_terminal:
                return known
    try:
        return await tasks.create(new, under=None if new.id else task_id)
    except ModuleException as error:
        if new.id is None and isinstance(error, Conflict):
            with suppress(TaskNotFound):  # the conflict was a busy conversation
                return await tasks.get(task_id)  # a concurrent repeat has created it
        if new.id is not None:
            await keys.release(organization_id, key, task_id)
        raise


def scoped(key: str, agent_id: str) -> str:
    """Return an Idempotency-Key with its agent's id as a prefix, so that keys of other agents' tasks cannot be probed.

    Raises:
        ValidationError: The key is empty, too long or not printable.
    """
    if not key or len(key) > 255 or not key.isprintable():  # noqa: PLR2004 - the usual limit of such keys
        raise ValidationError("Idempotency-Key must be 1 to 255 printable characters", field="Idempotency-Key")
    return f"{agent_id} {key}"


@router.get("/agent-execution/{task_id}/status", response_model=TaskRecord, responses=documented(404))
async def get(request: Request, access: Admitted, task_id: str) -> Response:
    """Get a task."""
    return task_answer(request, await access.task(task_id))


@saving.patch("/agent-execution/{task_id}/update", response_model=TaskRecord, responses=documented(404, 409))
async def update(
    *,
    request: Request,
    access: Admitted,
    task_id: str,
    body: Changes,
    x_attempt: Writing = None,
    x_origin: Origin = None,
) -> Response:
    """Update fields of a task, or all of them. Fields that are fixed at creation are ignored, and null means unchanged.

    Native clients send only changed fields; from them, null clears a field.
    """
    await check_attempt(request, access, task_id, x_attempt)
    changes = _renamed(body.root if is_native(request) else without_nulls(body.root))
    if x_attempt is None and str(changes.get("status")) in ENDED:  # the value may have any type
        await _audit_end(request, access, task_id, str(changes["status"]))
    found = [] if is_native(request) else misspelled(changes, SAVED)
    if found:  # before the update, which may end the task
        await _note_misspelled(access, task_id, found)
    try:
        task = await access.organization.tasks.update(task_id, changes, attempt=x_attempt, origin=x_origin)
    except (TooLarge, ValidationError) as refused:
        if x_attempt is None and str(changes.get("status")) in TERMINAL:  # the value may have any type
            await access.organization.presence.end_refused(task_id, refused.description)
        raise
    return task_answer(request, task)


async def _audit_end(request: Request, access: Access, task_id: str, status: str) -> None:
    """Write to the audit log that a client ends a task which it does not run itself."""
    task = await access.task(task_id)
    if task.status.is_terminal or task.run_locally:
        return
    if not await claims_of(service_of(request), request.scope, access).owned([(task_id, None)]):
        details = {"status": status}
        await access.organization.audit.write(
            AuditAction.TaskEnded, f"task {task_id}", agent=task.agent_id, details=details
        )


def _renamed(changes: dict[str, Any]) -> dict[str, Any]:
    """Return the changes with the public client's ``tool_call_payload_extension`` merged into ``payload_extension``."""
    rest = dict(changes)
    extension = rest.pop("tool_call_payload_extension", None)
    if extension is None:
        return rest
    if not isinstance(extension, dict):
        raise ValidationError("tool_call_payload_extension must be an object", field="tool_call_payload_extension")
    other = rest.get("payload_extension") or {}
    return {**rest, "payload_extension": {**other, **extension} if isinstance(other, dict) else other}


@router.delete("/agent-execution/{task_id}", response_model=TaskRecord, responses=documented(404))
async def stop(request: Request, access: Admitted, task_id: str) -> Response:
    """Stop a task; a finished task is left unchanged."""
    return task_answer(request, await access.organization.tasks.stop(task_id))


@router.post("/agent-execution/{task_id}/retry", response_model=TaskRecord, responses=documented(404, 409))
async def retry(
    request: Request,
    access: Admitted,
    task_id: str,
    *,
    resume: Annotated[
        bool | None,
        Query(
            description="True continues from the journal, false begins again. Default: a completed task begins"
            " again, any other task continues."
        ),
    ] = None,
) -> Response:
    """Run a finished or paused task again, resumed or from the start; a paused task always resumes."""
    return task_answer(request, await access.organization.tasks.retry(task_id, resume=resume))


@router.get("/agent-execution/{task_id}/attempts", response_model=list[Attempt], responses=documented(404))
async def attempts(access: Admitted, task_id: str) -> Response:
    """List the attempts of a task, oldest first: which worker ran it, when, and the outcome."""
    return answers(list[Attempt], await access.organization.tasks.attempts(task_id))


@router.get("/activity/{agent_id}/{task_id}", response_model=AgentActivityThread, responses=documented(404))
async def activity(request: Request, access: Admitted, agent_id: str, task_id: str) -> Response:
    """Get the activity log of a task."""
    task = await access.task(task_id)
    if task.agent_id != agent_id:
        raise TaskNotFound(task_id)
    return Response(
        sent(request, await access.organization.tasks.activity(task_id), task.organization_id), media_type=JSON
    )
