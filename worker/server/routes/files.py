"""Routes of uploaded files."""

import re
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Security
from pydantic import BaseModel
from starlette.datastructures import UploadFile
from starlette.responses import Response

from worker.contracts import Organization
from worker.inputs.names import file_name
from worker.server.identity.access import Unauthorized
from worker.server.limits.failures import documented, response
from worker.server.limits.json_bodies import JsonRoute
from worker.server.routes.common import KEY, Admitted, MaybeAdmitted, answers, base_of, service_of
from worker.words.artifacts import Artifact
from worker.words.errors import ModuleException, ValidationError
from worker.words.media_types import UNKNOWN
from worker.words.work import KeptFile, StoredFile

router = APIRouter(tags=["files"], route_class=JsonRoute)

_MEDIA_TYPE = re.compile(r"[\w.+-]{1,64}/[\w.+-]{1,64}(;\s*charset=[\w-]{1,32})?", re.ASCII)
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
FORM = "multipart/form-data"
FORM_FIELDS = 20  # other fields of the form, which are ignored


class Uploaded(BaseModel):
    """A stored file."""

    reference: str
    url: str


@router.post(
    "/files",
    responses=documented(),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"*/*": {"schema": {"type": "string", "format": "binary", "minLength": 1}}},
        }
    },
)
async def store(request: Request, access: Admitted, name: Annotated[str, Query(max_length=255)] = "file") -> Uploaded:
    """Store a file, sent as the raw body or as a form's only file. A task's files can name its reference."""
    media_type = request.headers.get("content-type", "")
    if media_type.lower().startswith(FORM):
        name, media_type, content = await _of_form(request, name)
    else:
        content = await request.body()
    media_type = media_type if _MEDIA_TYPE.fullmatch(media_type) else UNKNOWN
    reference = await access.store_file(name, media_type, content)
    url = service_of(request).links.url(reference, access.organization.organization_id, base_of(request))
    return Uploaded(reference=reference, url=url)


async def _of_form(request: Request, name: str) -> tuple[str, str, bytes]:
    """Return the name, type and content of a form's only file (``curl -F file=@report.pdf``)."""
    async with request.form(max_files=2, max_fields=FORM_FIELDS) as form:
        files = [each for _, each in form.multi_items() if isinstance(each, UploadFile)]
        if len(files) != 1:
            raise ValidationError("the form must contain exactly one file; send one request per file", field="file")
        sent = file_name(files[0].filename or "")
        return sent or name, files[0].content_type or "", await files[0].read()


@router.get(
    "/files/{sha256}/{name:path}",
    response_class=Response,
    responses={
        200: {"description": "The file.", "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}},
        206: {
            "description": "Part of the file.",
            "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}},
        },
        **documented(404, 416),
    },
)
async def fetch(
    *,
    request: Request,
    sha256: str,
    name: str,
    access: MaybeAdmitted,
    key: Annotated[str | None, Security(KEY)] = None,
    organization: Annotated[str | None, Query()] = None,
    expires: Annotated[int | None, Query(ge=0, le=2**53)] = None,
    signature: Annotated[str | None, Query(max_length=128)] = None,
) -> Response:
    """Download a file or a range of it, authorized by a key or by the signature in the URL."""
    del key  # the gate has read it; it is a parameter only for the OpenAPI document
    if access is not None:
        await access.check_files([f"worker:{sha256}"])
        owner = access.organization
    else:
        owner = await _signed(
            request, sha256, name, organization=organization or "", expires=expires or 0, signature=signature or ""
        )
    file = await owner.tasks.open_file(f"worker:{sha256}/{quote(name, safe='')}")
    return _part(file, request.headers.get("range"))


@router.get("/agent-execution/{task_id}/files", response_model=list[KeptFile], responses=documented(404))
async def of_task(access: Admitted, task_id: str) -> Response:
    """List the stored files of a task: its uploads, and copies of the URLs that a native worker has downloaded."""
    return answers(list[KeptFile], await access.organization.tasks.kept_files(task_id))


@router.get("/agent-execution/{task_id}/artifacts", response_model=list[Artifact], responses=documented(404))
async def artifacts(request: Request, access: Admitted, task_id: str) -> Response:
    """List the files that a task's runs have produced, each with a temporary URL."""
    task = await access.task(task_id)
    links = service_of(request).links
    await links.load()
    organization, base = access.organization.organization_id, base_of(request)
    found = [each.model_copy(update={"url": links.url(each.url, organization, base)}) for each in task.artifacts]
    return answers(list[Artifact], found)


async def _signed(
    request: Request, sha256: str, name: str, *, organization: str, expires: int, signature: str
) -> Organization:
    """Return the organization that owns the file, after verifying the signature."""
    service = service_of(request)
    service.check_open()
    await service.links.load()
    if not service.links.fits(organization, sha256, name, expires, signature):
        raise Unauthorized(description="The signature of this URL is wrong or has expired.")
    return service.host.organization(organization)


def _part(file: StoredFile, wanted: str | None) -> Response:
    headers = {
        "accept-ranges": "bytes",
        "cache-control": "private, max-age=3600",
        "content-disposition": f"attachment; filename*=UTF-8''{quote(file.name, safe='')}",
        "content-security-policy": "sandbox",
        "x-content-type-options": "nosniff",
    }
    media_type = file.media_type if _MEDIA_TYPE.fullmatch(file.media_type) else UNKNOWN
    size = len(file.content)
    match = _RANGE.fullmatch(wanted or "")
    if match is None or not (match[1] or match[2]):
        return Response(file.content, 200, headers, media_type)
    if match[1]:
        first, last = int(match[1]), min(int(match[2]) if match[2] else size - 1, size - 1)
    else:
        first, last = max(0, size - int(match[2])), size - 1
    if first > last:
        refused = response(ModuleException(416, f"The file has only {size} bytes."))
        refused.headers["content-range"] = f"bytes */{size}"
        return refused
    headers["content-range"] = f"bytes {first}-{last}/{size}"
    return Response(file.content[first : last + 1], 206, headers, media_type)
