"""The pages of knowledge bases, for adding and removing documents and trying searches."""

import re
from typing import Any

from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response

from worker.dashboard.request_context import RequestContext, text_of
from worker.inputs.names import file_name, size_words
from worker.knowledge import embed
from worker.words.errors import ModuleException, Unavailable, ValidationError
from worker.words.knowledge import (
    AGENT,
    DESCRIPTION_CHARACTERS,
    NAME_CHARACTERS,
    KnowledgeBaseNotFound,
    KnowledgeBaseRecord,
    NewKnowledgeBase,
)

FOUND = 5  # passages shown for a search
SHOWN = 500  # documents listed; further ones are still searched


async def bases(context: RequestContext) -> Response:
    """List the knowledge bases that the visitor can reach."""
    return await _list(context)


async def create(context: RequestContext) -> Response:
    """Create a knowledge base."""
    form = await context.form()
    given = {"name": text_of(form, "name"), "description": text_of(form, "description")}
    if not given["name"] or len(given["name"]) > NAME_CHARACTERS or len(given["description"]) > DESCRIPTION_CHARACTERS:
        return await _list(context, 422, given=given, wrong=f"Enter a name of at most {NAME_CHARACTERS} characters.")
    agents = None if context.access.agents is None else sorted(context.access.agents)
    new = NewKnowledgeBase(
        name=given["name"], description=given["description"] or None, embedder=context.server.embedder
    )
    try:
        made = await context.access.organization.knowledge.create(new, agents=agents)
    except Unavailable:
        raise
    except ModuleException as error:
        return await _list(context, error.status_code, given=given, wrong=error.description)
    return await context.go(f"/ui/knowledge/{made.id}")


async def base(context: RequestContext) -> Response:
    """Show a knowledge base: its documents, and the results of a search."""
    return await _base(context)


async def add(context: RequestContext) -> Response:
    """Add documents."""
    form = await context.form()
    links = text_of(form, "links")
    try:
        await _add(context, form, links)
    except (Unavailable, KnowledgeBaseNotFound):
        raise
    except ModuleException as error:
        return await _base(context, error.status_code, links=links, wrong=error.description)
    return await context.go(f"/ui/knowledge/{_id(context)}", notice="reading")


async def remove(context: RequestContext) -> Response:
    """Remove a document."""
    form = await context.form()
    await context.access.organization.knowledge.remove(_id(context), [text_of(form, "document")])
    return await context.go(f"/ui/knowledge/{_id(context)}", notice="removed")


async def _list(context: RequestContext, status: int = 200, **values: Any) -> Response:
    found = await context.access.organization.knowledge.list()
    if context.access.agents is not None:
        within = await context.access.knowledge_bases()
        found = [each for each in found if each.id in within]
    shown: dict[str, Any] = {"given": {"name": "", "description": ""}, "wrong": None, **values}
    return await context.page("knowledge.html", status, bases=found, **shown)


async def _base(context: RequestContext, status: int = 200, **values: Any) -> Response:
    knowledge = context.access.organization.knowledge
    found: KnowledgeBaseRecord = await knowledge.get(_id(context))
    documents = await knowledge.documents(found.id)
    question = context.request.query_params.get("question", "").strip()
    passages = await knowledge.search(found.id, question, FOUND, embed=embed) if question else []
    shown: dict[str, Any] = {"links": "", "wrong": None, **values}
    return await context.page(
        "knowledge_base.html",
        status,
        base=found,
        documents=documents[:SHOWN],
        others=max(0, len(documents) - SHOWN),
        is_reading=any(each.status == "pending" for each in documents),
        question=question,
        passages=passages,
        **shown,
    )


def _id(context: RequestContext) -> str:
    return context.request.path_params["knowledge_base_id"][:128]


async def _add(context: RequestContext, form: FormData, links: str) -> None:
    """Store uploaded files, and add them and the links as documents."""
    uploads = [each for each in form.getlist("files") if isinstance(each, UploadFile) and (each.filename or each.size)]
    urls = [each for each in re.split(r"\s+", links) if each]
    if not uploads and not urls:
        raise ValidationError("Choose a file, or enter a link.", field="files")
    for upload in uploads:
        if (upload.size or 0) > context.server.file_bytes:
            most, size = size_words(context.server.file_bytes), size_words(upload.size or 0)
            raise ValidationError(f"{upload.filename} has {size}; the maximum is {most}.", field="files")
    if any(not each.lower().startswith(("http://", "https://")) for each in urls):
        raise ValidationError("A link must begin with http:// or https://.", field="links")
    await context.access.organization.knowledge.get(_id(context))
    await context.server.enter_queue(context.access, AGENT)
    for upload in uploads:
        name = file_name(upload.filename or "") or "file"
        urls.append(await context.access.store_file(name, upload.content_type or "", await upload.read()))
    await context.access.organization.knowledge.add(_id(context), urls)
