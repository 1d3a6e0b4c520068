"""``worker kb …``: knowledge bases, their documents, and searches in them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli import output
from worker.cli.arguments import AsJson
from worker.cli.platform import ask, read_settings
from worker.words.errors import NotFound

if TYPE_CHECKING:
    from worker.contracts import Platform
    from worker.words.agents import AgentRecord
    from worker.words.knowledge import KnowledgeBaseDocumentItem, KnowledgeBaseRecord, KnowledgeBaseSearchResult

knowledge = typer.Typer(no_args_is_help=True, help="Knowledge bases: create, add documents, search, remove.")

Base = Annotated[
    str, typer.Argument(metavar="KB", help="Id of the knowledge base, or its name if unique.", show_default=False)
]

SHOWN = 300  # characters of a passage; --json shows all of it


@knowledge.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="For people.", show_default=False)],
    description: Annotated[str | None, typer.Option(help="What the knowledge base contains.")] = None,
    language: Annotated[
        str | None, typer.Option(help="Language of all documents, such as german. Default: detected for each document.")
    ] = None,
    embedder: Annotated[
        str | None,
        typer.Option(
            metavar="PROVIDER:MODEL",
            help="Embedder. Default: WORKER_EMBEDDER; without one, search matches words only.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Create a knowledge base, and print its id."""
    from worker.face.knowledge import new_base

    new = new_base(name, description, language, embedder or read_settings().embedder)
    made = ask(lambda platform: platform.knowledge.create(new), quiet=as_json)
    if as_json:
        output.print_json(made)
    else:
        output.say(made.id)


@knowledge.command("list")
def list_knowledge(
    base: Annotated[
        str | None,
        typer.Argument(metavar="[KB]", help="List the documents of this knowledge base.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List knowledge bases, or the documents of one."""
    if base is None:
        found = ask(lambda platform: platform.knowledge.list(), quiet=as_json)
        headings = ("knowledge base", "name", "documents", "embedder")
        output.print_list(found, headings, _base_row, as_json=as_json)
    else:
        _print(ask(lambda platform: _documents(platform, base), quiet=as_json), as_json=as_json)


@knowledge.command()
def add(
    base: Base,
    documents: Annotated[
        list[str], typer.Argument(metavar="FILE_OR_URL...", help="Files and URLs to add.", show_default=False)
    ],
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait until the documents have been read.")] = False,
    as_json: AsJson = False,
) -> None:
    """Add documents, replacing those that exist. Without a running worker, this command reads them itself."""
    from worker.face.knowledge import add_documents

    sources = [each if "://" in each or each.startswith("data:") else Path(each) for each in documents]

    async def call(platform: "Platform") -> "list[KnowledgeBaseDocumentItem]":
        found = await _one(platform, base)
        return await add_documents(found.id, sources, platform, waits=not no_wait)

    added = ask(call, quiet=as_json)
    _print(added, as_json=as_json)
    if any(each.status == "unreadable" for each in added):
        raise typer.Exit(1)


@knowledge.command()
def search(
    base: Base,
    query: Annotated[str, typer.Argument(metavar="QUESTION", help="A question or search words.", show_default=False)],
    top_k: Annotated[int, typer.Option("--top-k", min=1, max=100, help="The number of passages.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Search a knowledge base, and print the passages that answer best, the best first."""

    async def call(platform: "Platform") -> "list[KnowledgeBaseSearchResult]":
        from worker.knowledge import embed

        return await platform.knowledge.search((await _one(platform, base)).id, query, top_k, embed=embed)

    found = ask(call, quiet=as_json)
    if as_json:
        output.print_json(found)
        return
    for each in found:
        output.say(f"{each.score:.3f}  {_place(each)}\n       {output.one_line(each.content, SHOWN)}")
    if not found:
        output.aside("no passages found")


@knowledge.command()
def remove(
    base: Base,
    documents: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="DOCUMENT...", help="Ids or names of documents, as shown in the list.", show_default=False
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Remove the whole knowledge base.")] = False,
) -> None:
    """Remove documents from a knowledge base, or the whole knowledge base."""
    if everything == bool(documents):
        raise typer.BadParameter("give documents or --all", param_hint="DOCUMENT")

    async def call(platform: "Platform") -> str:
        found = await _one(platform, base)
        if everything:
            await platform.knowledge.delete(found.id)
            return f"{found.id} removed"
        ids = await _named(platform, found, documents or [])
        return f"{await platform.knowledge.remove(found.id, ids)} removed"

    output.say(ask(call))


@knowledge.command()
def attach(
    base: Base,
    agent: Annotated[str, typer.Argument(metavar="AGENT", help="Its id.", show_default=False)],
) -> None:
    """Let an agent search a knowledge base on its own, if its handler uses the arguments of ``Backend``."""
    from worker.words.knowledge import AgentKnowledgeBase

    async def call(platform: "Platform") -> "AgentRecord":
        found, record = await _one(platform, base), await platform.tasks.get_agent(agent)
        if not any(each.id == found.id for each in record.knowledge_bases):
            record.knowledge_bases.append(AgentKnowledgeBase(id=found.id))
        return await platform.tasks.save_agent(record)

    saved = ask(call)
    output.say(f"{saved.id} version {saved.version}")


async def _one(platform: "Platform", named: str) -> "KnowledgeBaseRecord":
    """Return the knowledge base with this id or name. Raise BadParameter if several have the name."""
    every = await platform.knowledge.list()
    found = [each for each in every if each.id == named] or [each for each in every if each.name == named]
    if not found:
        raise NotFound(f"There is no knowledge base {named[:128]!r}. See `worker kb list`.")
    if len(found) > 1:
        ids = ", ".join(each.id for each in found)
        raise typer.BadParameter(f"several knowledge bases are named {named}: {ids}; use an id", param_hint="KB")
    return found[0]


async def _documents(platform: "Platform", base: str) -> "list[KnowledgeBaseDocumentItem]":
    return await platform.knowledge.documents((await _one(platform, base)).id)


async def _named(platform: "Platform", base: "KnowledgeBaseRecord", named: list[str]) -> list[str]:
    """Return the ids of the named documents. Raise NotFound if one is missing."""
    known = await platform.knowledge.documents(base.id)
    ids: list[str] = []
    for each in named:
        found = [one.id for one in known if each in (one.id, one.name, one.document_url)]
        if not found:
            raise NotFound(f"There is no document {each[:128]!r} in {base.name}. See `worker kb list KB`.")
        ids += found
    return ids


def _print(documents: "list[KnowledgeBaseDocumentItem]", *, as_json: bool) -> None:
    output.print_list(documents, ("document", "name", "status", "passages", "note"), _document_row, as_json=as_json)


def _base_row(each: "KnowledgeBaseRecord") -> tuple[str, ...]:
    return each.id, each.name, str(each.total_documents), each.embedder or ""


def _document_row(each: "KnowledgeBaseDocumentItem") -> tuple[str, ...]:
    return each.id, each.name or output.one_line(each.document_url), each.status, str(each.chunks), each.note or ""


def _place(found: "KnowledgeBaseSearchResult") -> str:
    """Describe where a passage comes from."""
    page = None if found.page is None else f"page {found.page}"
    return ", ".join(each for each in (found.document_name or found.document_url, found.heading, page) if each)
