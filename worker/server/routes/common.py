"""Shared parts of the routes: dependencies for permissions, detection of native clients, responses."""

import json
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader
from pydantic import BaseModel, TypeAdapter
from starlette.responses import Response

from worker.contracts.access import SAVE
from worker.server import bare
from worker.server.authorization import claims_of
from worker.server.identity.access import Access
from worker.server.service import Service
from worker.words.events import TaskUpdateEvent
from worker.words.requests import OpenRequest
from worker.words.tasks import TaskRecord

KEY = APIKeyHeader(name="x-api-key", auto_error=False, description="An API key, as created by `worker key create`.")
NATIVE = "native"
JSON = "application/json"


def service_of(request: Request) -> Service:
    """Return the state of the server."""
    return request.app.state.service


async def admit(request: Request, key: Annotated[str | None, Security(KEY)] = None) -> Access:
    """Return the permissions that the gate granted; ``key`` is a parameter only for the OpenAPI document."""
    del key
    access = await maybe_admit(request)
    if access is None:
        raise RuntimeError("the route requires an access that its rule in the table does not grant")
    return access


async def maybe_admit(request: Request) -> Access | None:
    """Return the permissions that the gate granted, or None if no key is needed or the decision is still pending."""
    row = f"{request.method} {request.scope['route'].path}"
    if request.scope["row"] not in (row, row.replace("HEAD ", "GET ", 1)):
        raise RuntimeError(f"{row} passed the gate as {request.scope['row']}")
    return request.scope["access"]


Admitted = Annotated[Access, Depends(admit)]
MaybeAdmitted = Annotated[Access | None, Depends(maybe_admit)]


async def check_attempt(request: Request, access: Access, task_id: str, attempt: int | None) -> None:
    """If a request names an attempt, check that a worker of the sender's session claimed that attempt.

    Raises:
        LeaseLost: The attempt belongs to another session.
        TaskNotFound: There is no such task, or the key cannot reach it.
    """
    if attempt is not None:
        await claims_of(service_of(request), request.scope, access).attempt(task_id, attempt, access.permit(SAVE))


def base_of(request: Request) -> str:
    """Return the server's base URL for clients: the configured public URL, or else the one of the request."""
    public = service_of(request).settings.public_url
    return (public or str(request.base_url)).rstrip("/")


def is_native(request: Request) -> bool:
    """Return whether the client is one of ours, which downloads uploaded files by their references."""
    return request.headers.get("x-dialect") == NATIVE


def sent(request: Request, record: BaseModel, organization_id: str) -> str:
    """Return a record as JSON for this client.

    Clients other than ours get uploaded files as URLs, and only values that the public client's types allow.
    """
    if isinstance(record, TaskRecord | TaskUpdateEvent | OpenRequest):
        record = service_of(request).answer_links.with_links(record, request.scope["access"], base_of(request))
    if is_native(request):
        return record.model_dump_json(warnings="none")
    body = service_of(request).links.in_record(record, bare.client_json(record), organization_id, base_of(request))
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def task_answer(request: Request, task: TaskRecord) -> Response:
    """Return a task as a response."""
    return Response(sent(request, task, task.organization_id), media_type=JSON)


def answers(kind: Any, records: Any) -> Response:
    """Return records as a JSON response."""
    return Response(TypeAdapter(kind).dump_json(records, warnings="none"), media_type=JSON)
