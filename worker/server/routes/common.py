"""What the routes share: who asks, in which dialect, and records as answers."""

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

KEY = APIKeyHeader(name="x-api-key", auto_error=False, description="a key made by `worker key create`")
NATIVE = "native"
JSON = "application/json"


def service_of(request: Request) -> Service:
    """The server's own state."""
    return request.app.state.service


async def admit(request: Request, key: Annotated[str | None, Security(KEY)] = None) -> Access:
    """What the gate has let a request reach; the key is named here for the document."""
    del key
    access = await maybe_admit(request)
    if access is None:
        raise RuntimeError("the route asks for what its row in the table does not give")
    return access


async def maybe_admit(request: Request) -> Access | None:
    """What the gate has let a request reach; none where it is not decided yet, or needs no key."""
    row = f"{request.method} {request.scope['route'].path}"
    if request.scope["row"] not in (row, row.replace("HEAD ", "GET ", 1)):
        raise RuntimeError(f"{row} went through the gate as {request.scope['row']}")
    return request.scope["access"]


Admitted = Annotated[Access, Depends(admit)]
MaybeAdmitted = Annotated[Access | None, Depends(maybe_admit)]


async def check_attempt(request: Request, access: Access, task_id: str, attempt: int | None) -> None:
    """Let whoever names an attempt write only if a worker of its own session has claimed it. Raises: LeaseLost."""
    if attempt is not None:
        await claims_of(service_of(request), request.scope, access).attempt(task_id, attempt, access.permit(SAVE))


def base_of(request: Request) -> str:
    """The address by which clients reach the server: as it was configured, else as it was asked."""
    public = service_of(request).settings.public_url
    return (public or str(request.base_url)).rstrip("/")


def is_native(request: Request) -> bool:
    """Whether the client is one of ours, which fetches uploaded files by their references."""
    return request.headers.get("x-dialect") == NATIVE


def sent(request: Request, record: BaseModel, organization_id: str) -> str:
    """A record as the JSON that this client gets: to all but ours uploaded files are URLs, and all fits its types."""
    if isinstance(record, TaskRecord | TaskUpdateEvent | OpenRequest):
        record = service_of(request).answer_links.told(record, request.scope["access"], base_of(request))
    if is_native(request):
        return record.model_dump_json(warnings="none")
    told = service_of(request).links.in_record(record, bare.told(record), organization_id, base_of(request))
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


def task_answer(request: Request, task: TaskRecord) -> Response:
    """A task as an answer."""
    return Response(sent(request, task, task.organization_id), media_type=JSON)


def answers(kind: Any, records: Any) -> Response:
    """Records as an answer."""
    return Response(TypeAdapter(kind).dump_json(records, warnings="none"), media_type=JSON)
