"""Routes of knowledge bases, part of the public protocol and used by our clients as well."""

import json
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field, RootModel
from starlette.responses import Response

from worker.knowledge import embed
from worker.server.identity.access import Access
from worker.server.limits.failures import documented
from worker.server.limits.json_bodies import JsonRoute
from worker.server.routes.common import Admitted, answers, is_native, service_of
from worker.wire.bodies import Body, SpelledBody, Storable
from worker.words.errors import ValidationError
from worker.words.knowledge import (
    AGENT,
    DOCUMENTS,
    MAX_RESULTS,
    TOP_K,
    KnowledgeBaseDocumentItem,
    KnowledgeBaseRecord,
    KnowledgeBaseSearchResult,
    NewKnowledgeBase,
)

IDS = {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": DOCUMENTS}
"""The schema of a list of document ids."""

router = APIRouter(tags=["knowledge bases"], route_class=JsonRoute)


class KnowledgeBaseBody(SpelledBody, Body, NewKnowledgeBase):
    """A knowledge base to create."""

    def record(self) -> NewKnowledgeBase:
        """Return the knowledge base as a record of the platform."""
        return NewKnowledgeBase.model_validate(self.model_dump())


class DocumentBody(BaseModel):
    """A document to add."""

    document_url: str


class DocumentsBody(Storable, RootModel[Annotated[list[DocumentBody], Field(max_length=DOCUMENTS)]]):
    """Documents to add."""


class Removal(BaseModel):
    """The number of documents that were removed."""

    removed: int


@router.get("/knowledge_bases", response_model=list[KnowledgeBaseRecord], responses=documented())
async def list_bases(access: Admitted) -> Response:
    """List the knowledge bases that the key can reach, by name."""
    return answers(list[KnowledgeBaseRecord], await bases_of(access))


async def bases_of(access: Access) -> list[KnowledgeBaseRecord]:
    """Return the knowledge bases that the key can reach, by name."""
    found = await access.organization.knowledge.list()
    if access.agents is None:
        return found
    within = await access.knowledge_bases()
    return [each for each in found if each.id in within]


@router.post("/knowledge_bases/create", response_model=KnowledgeBaseRecord, responses=documented(404))
async def create(request: Request, access: Admitted, body: KnowledgeBaseBody) -> Response:
    """Create a knowledge base."""
    agents = None if access.agents is None else sorted(access.agents)
    new = body.record()
    if new.embedder is None:
        new.embedder = service_of(request).settings.embedder
    return answers(KnowledgeBaseRecord, await access.organization.knowledge.create(new, agents=agents))


@router.get(
    "/knowledge_bases/{knowledge_base_id}/details", response_model=KnowledgeBaseRecord, responses=documented(404)
)
async def details(access: Admitted, knowledge_base_id: str) -> Response:
    """Get a knowledge base."""
    return answers(KnowledgeBaseRecord, await access.organization.knowledge.get(knowledge_base_id))


@router.delete(
    "/knowledge_bases/{knowledge_base_id}/erase", response_model=KnowledgeBaseRecord, responses=documented(404)
)
async def erase(access: Admitted, knowledge_base_id: str) -> Response:
    """Delete a knowledge base and all of its contents."""
    return answers(KnowledgeBaseRecord, await access.organization.knowledge.delete(knowledge_base_id))


@router.get(
    "/knowledge_bases/{knowledge_base_id}/list",
    response_model=list[KnowledgeBaseDocumentItem],
    responses=documented(404),
)
async def documents(access: Admitted, knowledge_base_id: str) -> Response:
    """List the documents of a knowledge base, including those that are still to be read, newest first."""
    return answers(list[KnowledgeBaseDocumentItem], await access.organization.knowledge.documents(knowledge_base_id))


@router.post(
    "/knowledge_bases/{knowledge_base_id}",
    response_model=list[KnowledgeBaseDocumentItem],
    responses=documented(404, 429),
)
async def add(request: Request, access: Admitted, knowledge_base_id: str, body: DocumentsBody) -> Response:
    """Add documents, each read by a task that its result names. A document that already exists is replaced."""
    urls = [each.document_url for each in body.root]
    await access.check_files(urls)
    await service_of(request).queues.enter(access.organization, AGENT)
    return answers(list[KnowledgeBaseDocumentItem], await access.organization.knowledge.add(knowledge_base_id, urls))


@router.get(
    "/knowledge_bases/{knowledge_base_id}",
    response_model=list[KnowledgeBaseSearchResult],
    responses=documented(404),
)
async def search(
    access: Admitted,
    knowledge_base_id: str,
    search_query: Annotated[str, Query(description="A question or search words.")] = "",
    top_k: Annotated[int, Query(ge=1, le=MAX_RESULTS)] = TOP_K,
) -> Response:
    """Return the passages that best match a query, best first."""
    found = await access.organization.knowledge.search(knowledge_base_id, search_query, top_k, embed=embed)
    return answers(list[KnowledgeBaseSearchResult], found)


@router.delete(
    "/knowledge_bases/{knowledge_base_id}",
    responses=documented(404),
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": IDS}}}},
)
async def remove(request: Request, access: Admitted, knowledge_base_id: str) -> Removal:
    """Remove documents; the body is a list of their ids."""
    ids = await _ids(request)
    if not ids and not is_native(request):
        said = "the body must be a list of document ids (xpander-sdk sends no body here)"
        raise ValidationError(f"{said}; nothing was removed", field="body")
    return Removal(removed=await access.organization.knowledge.remove(knowledge_base_id, ids))


async def _ids(request: Request) -> list[str]:
    try:
        given = await request.json() if await request.body() else []
    except json.JSONDecodeError:
        given = None
    if not isinstance(given, list) or not all(isinstance(each, str) for each in given) or len(given) > DOCUMENTS:
        raise ValidationError("the body must be a list of document ids", field="body")
    return given
