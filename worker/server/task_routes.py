"""Tasks over HTTP: create, get, list, change, stop, retry, report."""

import hashlib
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any
from uuid import NAMESPACE_URL, uuid5

from fastapi import APIRouter, Depends, Header, Query, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from worker.server.access import Access
from worker.server.bodies import Changes, MetricsBody, ReportBody
from worker.server.common import (
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
from worker.server.failures import documented
from worker.server.json_bodies import JsonRoute
from worker.server.new_tasks import check_files, check_new_task
from worker.wire.bodies import CreateBody, without_nulls
from worker.words.activity import AgentActivityThread
from worker.words.attempts import Attempt
from worker.words.errors import Conflict, ModuleException, TaskNotFound, TooLarge, ValidationError
from worker.words.ids import check_id, new_id
from worker.words.statuses import TERMINAL, AgentExecutionStatus
from worker.words.task_lists import TaskItem, TaskQuery
from worker.words.tasks import AgentExecutionInput, NewTask, TaskRecord, Tokens, is_traceparent
from worker.words.texts import encode

router = APIRouter(tags=["tasks"], route_class=JsonRoute)


class SavingRoute(JsonRoute):
    """Ends the task of a worker without attempts whose save was too large to be read: it would say no other."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's own handling, watched."""
        handle = super().get_route_handler()

        async def watched(request: Request) -> Response:
            try:
                return await handle(request)
            except HTTPException as refused:
                if refused.status_code == TooLarge.status and "x-attempt" not in request.headers:
                    access = await admit(request)
                    task_id = request.path_params["task_id"]
                    await access.check_task(task_id)
                    await access.organization.presence.end_refused(task_id, refused.detail)
                raise

        return watched


saving = APIRouter(tags=["tasks"], route_class=SavingRoute)


Writing = Annotated[int | None, Header(ge=0, le=2**31 - 1, description="the attempt that writes; stale: 409")]
Origin = Annotated[str | None, Header(description="the delivery handler that saves")]
Trace = Annotated[str | None, Header(description="the trace that the task belongs to, as W3C writes it")]
Text = Annotated[str | None, Query()]
Key = Annotated[
    str | None,
    Header(
        description="the same key and body make one task; another body: 409",
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
    """Create a task; an existing finished task's ``id`` runs it again with this input."""
    new = body.new_task(agent_id, x_agent_version)
    if new.traceparent is None and is_traceparent(traceparent):
        new = new.model_copy(update={"traceparent": traceparent})
    await check_new_task(service_of(request), access, new)
    if new.id is not None:
        await access.check_task(new.id)
    await service_of(request).queues.enter(access.organization, agent_id)
    if idempotency_key is None:
        return task_answer(request, await access.organization.tasks.create(new))
    return task_answer(request, await _create_once(request, access, new, idempotency_key))


async def _create_once(request: Request, access: Access, new: NewTask, key: str) -> TaskRecord:
    """Create under an id that is kept beforehand: whoever repeats the wish finds the same task, or makes it."""
    keys = service_of(request).host.keys
    key = scoped(key, new.agent_id)
    organization_id, tasks = access.organization.organization_id, access.organization.tasks
    digest = hashlib.sha256(encode(new.model_dump(exclude={"traceparent"}))).hexdigest()
    task_id, first = await keys.reserve(organization_id, key, digest, new.id or new_id())
    if not first:
        with suppress(TaskNotFound):  # then whoever came first broke off before it was made
            known = await access.task(task_id)
            if new.id is None or known.input == new.input or not known.status.is_terminal:
                return known
    try:
        return await tasks.create(new, under=None if new.id else task_id)
    except ModuleException as error:
        if new.id is None and isinstance(error, Conflict):
            with suppress(TaskNotFound):  # then its conversation is busy
                return await tasks.get(task_id)  # a repeat at the same moment made it
        if new.id is not None:
            await keys.release(organization_id, key, task_id)
        raise


def scoped(key: str, agent_id: str) -> str:
    """An Idempotency-Key within its agent: it tells nobody what others have created.

    Raises:
        ValidationError: The key is none.
    """
    if not key or len(key) > 255 or not key.isprintable():  # noqa: PLR2004 - the length that others allow too
        raise ValidationError("Idempotency-Key must be 1 to 255 printable characters", field="Idempotency-Key")
    return f"{agent_id} {key}"


@router.get("/agent-execution/{task_id}/status", response_model=TaskRecord, responses=documented(404))
async def get(request: Request, access: Admitted, task_id: str) -> Response:
    """Read a task."""
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
    """Save fields of a task, or a whole one; what is fixed at create is ignored, and null means unchanged.

    From a client of ours, which sends what was changed alone, null clears a field.
    """
    await check_attempt(request, access, task_id, x_attempt)
    changes = _renamed(body.root if is_native(request) else without_nulls(body.root))
    try:
        task = await access.organization.tasks.update(task_id, changes, attempt=x_attempt, origin=x_origin)
    except (TooLarge, ValidationError) as refused:
        if x_attempt is None and str(changes.get("status")) in TERMINAL:  # it may be anything
            await access.organization.presence.end_refused(task_id, refused.description)
        raise
    return task_answer(request, task)


def _renamed(changes: dict[str, Any]) -> dict[str, Any]:
    """Changes with the public client's own name of ``payload_extension``."""
    rest = dict(changes)
    extension = rest.pop("tool_call_payload_extension", None)
    if not isinstance(extension, dict):
        return rest
    other = rest.get("payload_extension") or {}
    return {**rest, "payload_extension": {**other, **extension} if isinstance(other, dict) else other}


router.include_router(saving)


@router.delete("/agent-execution/{task_id}", response_model=TaskRecord, responses=documented(404))
async def stop(request: Request, access: Admitted, task_id: str) -> Response:
    """Stop a task; a finished one stays as it is."""
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
            description="go on from what is journaled (true), or begin from the start (false); by default a completed"
            " task begins from its start, any other goes on"
        ),
    ] = None,
) -> Response:
    """Have a finished or paused task done again, where it stood or from its start; a paused one always resumes."""
    return task_answer(request, await access.organization.tasks.retry(task_id, resume=resume))


def _filters(
    *,
    parent_task_id: Text = None,
    triggering_agent_id: Text = None,
    status: Annotated[str | None, Query(description="one or several, with commas between them")] = None,
    internal_status: Text = None,
    error_code: Annotated[str | None, Query(description="what the last try failed of: rate_limited, quota …")] = None,
    finish_reason: Annotated[str | None, Query(description="why the answer ended: length, content_filter, …")] = None,
    text: Annotated[str | None, Query(description="in id, title, input, internal status or result")] = None,
    created_after: Annotated[datetime | None, Query(description="created then or later")] = None,
    created_before: Annotated[datetime | None, Query(description="created earlier")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    before: Annotated[str | None, Query(description="the id of the last task of the page before")] = None,
) -> TaskQuery:
    """What every list can be asked for."""
    return TaskQuery(
        parent_task_id=parent_task_id or None,
        triggering_agent_id=triggering_agent_id or None,
        statuses=_statuses(status),
        internal_status=internal_status or None,
        error_code=error_code or None,
        finish_reason=finish_reason or None,
        text=text or None,
        created_after=created_after,
        created_before=created_before,
        limit=limit,
        before=before or None,
    )


Filters = Annotated[TaskQuery, Depends(_filters)]


@router.get("/agent-execution/{task_id}/attempts", response_model=list[Attempt], responses=documented(404))
async def attempts(access: Admitted, task_id: str) -> Response:
    """List who ran a task when, and how that ended: the first attempt first."""
    return answers(list[Attempt], await access.organization.tasks.attempts(task_id))


@router.get(
    "/agent-execution/executions/history/user/{user_id}", response_model=list[TaskItem], responses=documented(404)
)
async def of_user(access: Admitted, user_id: str, query: Filters) -> Response:
    """List tasks done for a user, newest first."""
    return await _found(access, query, user_id=user_id)


@router.get("/agent-execution/executions/history/{agent_id}", response_model=list[TaskItem], responses=documented(404))
async def of_agent(access: Admitted, agent_id: str, query: Filters, user_id: Text = None) -> Response:
    """List an agent's tasks, newest first."""
    return await _found(access, query, agent_id=agent_id, user_id=user_id or None)


@router.get("/agent-execution/executions/history", response_model=list[TaskItem], responses=documented(404))
async def of_all(access: Admitted, query: Filters, agent_id: Text = None, user_id: Text = None) -> Response:
    """List tasks of every agent within reach, newest first."""
    return await _found(access, query, agents=_listed(agent_id), user_id=user_id or None)


@router.get("/agent-execution/executions/counts", response_model=dict[str, int], responses=documented())
async def counts(access: Admitted, query: Filters, agent_id: Text = None, user_id: Text = None) -> Response:
    """Count the tasks that fit, by status, among the newest 10,000 of each."""
    asked = query.model_copy(update={"agents": _listed(agent_id), "user_id": user_id or None})
    return answers(dict[str, int], await access.organization.tasks.counts(access.within(asked)))


async def _found(access: Access, query: TaskQuery, **more: Any) -> Response:
    found = await access.organization.tasks.find(access.within(query.model_copy(update=more)))
    return answers(list[TaskItem], found)


def _listed(text: str | None) -> tuple[str, ...] | None:
    return tuple(each for each in text.split(",") if each) or None if text else None


def _statuses(text: str | None) -> tuple[AgentExecutionStatus, ...]:
    try:
        return tuple(AgentExecutionStatus(each) for each in (text or "").lower().split(",") if each)
    except ValueError:
        raise ValidationError(f"status must be one of {', '.join(AgentExecutionStatus)}", field="status") from None


@router.get("/activity/{agent_id}/{task_id}", response_model=AgentActivityThread, responses=documented(404))
async def activity(request: Request, access: Admitted, agent_id: str, task_id: str) -> Response:
    """Read the activity log of a task."""
    task = await access.task(task_id)
    if task.agent_id != agent_id:
        raise TaskNotFound(task_id)
    return Response(
        sent(request, await access.organization.tasks.activity(task_id), task.organization_id), media_type=JSON
    )


@router.post("/agent-execution/{agent_id}/report_task", response_model=TaskRecord, responses=documented(404, 409))
async def report(request: Request, access: Admitted, agent_id: str, body: ReportBody) -> Response:
    """Record a run that took place elsewhere. Reported again under the id it had there, it is the same task."""
    task = await _reported(access, agent_id, body)
    changes: dict[str, Any] = {
        "status": "completed" if body.is_success else "failed",
        "result": body.result if body.result is not None else body.llm_response,
        "tokens": _tokens(body.tokens),
        "duration": body.duration,
        "used_tools": body.used_tools or None,
    }
    try:
        ended = await access.organization.tasks.update(task.id, without_nulls(changes))
    except (TooLarge, ValidationError) as refused:
        await access.organization.presence.end_refused(task.id, refused.description)
        raise
    return task_answer(request, ended)


async def _reported(access: Access, agent_id: str, body: ReportBody) -> TaskRecord:
    """The task of a report: one of that id that this key reaches, or one that was never dispatched.

    A new one is never under the reported id, which would tell whether that is free where this key does not reach. Its
    id is made of it instead: the same each time that the run is reported.
    """
    own = None
    if body.id is not None:
        check_id(body.id)
        own = str(uuid5(NAMESPACE_URL, f"{access.organization.organization_id} {agent_id} {body.id}"))
        for each in (body.id, own):
            with suppress(TaskNotFound):
                task = await access.task(each)
                if task.agent_id == agent_id:
                    return task
    given = (
        AgentExecutionInput(text=body.input or "(a run reported without its input)")
        if not isinstance(body.input, AgentExecutionInput)
        else body.input
    )
    await check_files(access, given)
    new = NewTask(agent_id=agent_id, input=given, run_locally=True, worker_id="report", source="report")
    try:
        return await access.organization.tasks.create(new, under=own)
    except Conflict:
        return await access.task(own or "")  # another report of it at the same moment has made it


def _tokens(given: dict[str, Any] | None) -> dict[str, Any] | None:
    """Token counts in either of the forms that are sent; what is no count is passed over."""
    if given is None:
        return None
    worker = given.get("worker")
    counts: dict[str, Any] = worker if isinstance(worker, dict) else given
    fit = {
        name: counts[name]
        for name in Tokens.model_fields
        if isinstance(counts.get(name), int) and not isinstance(counts.get(name), bool) and 0 <= counts[name] < 2**53
    }
    return fit or None


@router.post("/agents-metrics/{agent_id}/execution", responses=documented(404))
async def metrics(access: Admitted, agent_id: str, body: MetricsBody) -> dict[str, str]:
    """Take the figures of a run; the task itself has what is kept of them."""
    del access, agent_id, body
    return {}
