"""What the routes share: who asks, in which dialect, and records as answers."""

import json
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader
from pydantic import BaseModel, TypeAdapter
from starlette.responses import Response

from worker.server import bare
from worker.server.service import Access, Service
from worker.words.tasks import TaskRecord

KEY = APIKeyHeader(name="x-api-key", auto_error=False, description="a key made by `worker key create`")
NATIVE = "native"
JSON = "application/json"


def service_of(request: Request) -> Service:
    """The server's own state."""
    return request.app.state.service


async def admit(request: Request, key: Annotated[str | None, Security(KEY)] = None) -> Access:
    """Admit a request, or refuse it."""
    service = service_of(request)
    access = await service.admit(key, request.scope.get("organization_id"))
    await service.links.load()
    return access


Admitted = Annotated[Access, Depends(admit)]


def base_of(request: Request) -> str:
    """The address by which clients reach the server: as it was configured, else as it was asked."""
    public = service_of(request).settings.public_url
    return (public or str(request.base_url)).rstrip("/")


def is_native(request: Request) -> bool:
    """Whether the client is one of ours, which fetches uploaded files by their references."""
    return request.headers.get("x-dialect") == NATIVE


def sent(request: Request, record: BaseModel, organization_id: str) -> str:
    """A record as the JSON that this client gets: to all but ours uploaded files are URLs, and all fits its types."""
    if is_native(request):
        return record.model_dump_json(warnings="none")
    told = service_of(request).links.in_value(bare.told(record), organization_id, base_of(request))
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


def task_answer(request: Request, task: TaskRecord) -> Response:
    """A task as an answer."""
    return Response(sent(request, task, task.organization_id), media_type=JSON)


def answers(kind: Any, records: Any) -> Response:
    """Records as an answer."""
    return Response(TypeAdapter(kind).dump_json(records, warnings="none"), media_type=JSON)
