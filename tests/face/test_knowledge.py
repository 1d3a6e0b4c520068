"""Knowledge bases as code has them: no worker is needed, files are read as a task's are, agents search them."""

import asyncio
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from agno.agent import Agent as AgnoAgent
from agno.knowledge.document import Document
from agno.knowledge.embedder.base import Embedder
from fpdf import FPDF
from PIL import Image, ImageDraw, ImageFont

from worker import (
    Agent,
    Agents,
    Backend,
    KnowledgeBase,
    KnowledgeBases,
    KnowledgeBaseSearchResult,
    ModuleException,
    Tasks,
)
from worker.face import bridge
from worker.inputs import recognition
from worker.knowledge import embedders, named
from worker.testing import Call, ScriptedModel
from worker.words.agents import AgentRecord
from worker.words.errors import ConfigurationError
from worker.words.statuses import AgentExecutionStatus
from worker.words.task_lists import TaskQuery

pytestmark = pytest.mark.usefixtures("place")

RULES = (
    "# Rules\n\n## Security\n\nThe authentication methods are keys and tokens.\n\n## Food\n\nSoup is served at noon.\n"
)


def write(name: str, text: str) -> Path:
    path = Path(name)
    path.write_text(text)
    return path


async def rules() -> KnowledgeBase:
    base = await KnowledgeBases().acreate("rules", "what we may do")
    await base.aadd_documents([write("rules.md", RULES)])
    return base


async def test_a_script_needs_no_worker() -> None:
    base = await rules()
    results = await base.asearch("authentication methods", top_k=5)
    assert [type(each) for each in results] == [KnowledgeBaseSearchResult]
    (best,) = results
    assert (best.content, best.heading, best.document_name) == (
        "The authentication methods are keys and tokens.",
        "Rules > Security",
        "rules.md",
    )
    assert 0 < best.score <= 1
    (document,) = await base.alist_documents()
    assert (document.status, document.chunks, document.name) == ("ready", 2, "rules.md")
    (task,) = await bridge.across(lambda platform: platform.tasks.find(TaskQuery()))
    assert (task.status, task.title) == (AgentExecutionStatus.Completed, "Add a document to rules")
    write("rules.md", "# Rules\n\nNone.")
    (again,) = await base.aadd_documents(Path("rules.md"))
    assert again.id == document.id
    assert await base.asearch("authentication") == []
    await base.adelete_document(again)
    with pytest.raises(ModuleException) as refused:
        await base.adelete_document(again)
    assert refused.value.status_code == 404
    assert await base.alist_documents() == []


def test_every_method_has_a_twin_that_blocks() -> None:
    bases = KnowledgeBases()
    base = bases.create("rules")
    (document,) = base.add_documents([write("rules.md", RULES)])
    assert [each.heading for each in base.search("soup", top_k=3)] == ["Rules > Food"]
    assert [each.id for each in base.list_documents()] == [document.id]
    assert [each.id for each in bases.list()] == [bases.get(base.id).id] == [base.id]
    assert bases.get(base.id).total_documents == 1
    base.delete_document(document.id)
    base.delete()
    assert bases.list() == []


async def test_a_document_removes_itself() -> None:
    base = await KnowledgeBases().acreate("rules")
    first, second = await base.aadd_documents(document_urls=[write("a.md", RULES), write("b.md", RULES)])
    await first.adelete()
    (left,) = await base.alist_documents()
    assert left.id == second.id
    await left.delete()
    assert await base.alist_documents() == []
    with pytest.raises(ModuleException) as refused:
        left.delete()
    assert refused.value.status_code == 404


async def test_documents_that_cannot_be_read_are_named() -> None:
    base = await KnowledgeBases().acreate("rules")
    good, bad = write("rules.md", RULES), write("empty.txt", "   ")
    documents = {each.name: each for each in await base.aadd_documents([good, bad])}
    assert documents["rules.md"].status == "ready"
    assert documents["empty.txt"].status == "unreadable"
    assert "empty.txt could not be read: it contains only white space" in (documents["empty.txt"].note or "")
    with pytest.raises(ModuleException, match=r"empty\.txt could not be read") as refused:
        await base.aadd_documents([bad])
    assert refused.value.status_code == 422
    with pytest.raises(ModuleException, match=r"127\.0\.0\.1"):
        await base.aadd_documents(["http://127.0.0.1:1/x"])  # no private addresses


def test_a_passage_of_a_pdf_knows_its_page() -> None:
    document = FPDF()
    for text in ("About zebras.", "About otters."):
        document.add_page()
        document.set_font("Helvetica", size=12)
        document.cell(text=text)
    Path("animals.pdf").write_bytes(bytes(document.output()))
    base = KnowledgeBases().create("animals")
    base.add_documents([Path("animals.pdf")])
    (best,) = base.search("otters")
    assert (best.page, best.document_name) == (2, "animals.pdf")


async def test_whoever_does_not_wait_finds_documents_pending() -> None:
    base = await KnowledgeBases().acreate("rules")
    (document,) = await base.aadd_documents([write("rules.md", RULES)], sync=False)
    assert document.status == "pending"
    assert await base.asearch("soup") == []


class Animals(Embedder):
    """Two dimensions: whether it is about animals, or about food."""

    id = "zoo"

    def get_embedding(self, text: str) -> list[float]:
        if "broken" in text:
            raise ValueError("no vector today")
        return [1.0 if any(each in text.lower() for each in ("zebra", "stripes")) else 0.0, 0.2]


async def test_an_embedder_finds_what_has_other_words() -> None:
    base = await KnowledgeBases().acreate("zoo", embedder=Animals())
    assert (base.embedder, base.has_vectors) == ("Animals:zoo", True)
    await base.aadd_documents([write("zoo.md", "# A\n\nZebras live here.\n\n# B\n\nSoup is served.")])
    assert (await base.asearch("who has stripes?"))[0].content == "Zebras live here."
    assert [each.content for each in await base.asearch("broken soup")] == ["Soup is served."]  # words alone
    results = await base.asearch("zebras")
    assert results[0].score == 1.0  # first by words, and by vectors
    embedders._known.pop("Animals:zoo")
    assert [each.content for each in await base.asearch("soup")] == ["Soup is served."]  # as in another process


async def test_an_embedder_that_fails_fails_the_task_and_not_the_documents() -> None:
    base = await KnowledgeBases().acreate("zoo", embedder=Animals())
    await base.aadd_documents([write("zoo.md", "Zebras.")])
    await base.aadd_documents([write("zoo.md", "broken")])
    (task, _) = await bridge.across(lambda platform: platform.tasks.find(TaskQuery()))
    assert (task.status, task.result) == (AgentExecutionStatus.Error, "no vector today")
    assert [each.status for each in await base.alist_documents()] == ["pending"]
    assert [each.content for each in await base.asearch("zebras")] == ["Zebras."]


def test_an_embedder_is_known_by_a_name_and_never_imported_by_it() -> None:
    assert named("openai:text-embedding-3-small") == "openai:text-embedding-3-small"
    for wrong in ("os:system", "worker.cli:main", "nobody"):
        with pytest.raises(ConfigurationError):
            named(wrong)
    assert asyncio.run(embedders.embed("os:system", "x")) is None


async def agent_with(base: KnowledgeBase) -> Agent:
    record = AgentRecord(id="clerk", name="Clerk", unique_name="clerk")
    await bridge.across(lambda platform: platform.tasks.save_agent(record))
    agent = await Agents().aget("clerk")
    agent.attach_knowledge_base(base)
    agent.attach_knowledge_base(knowledge_base_id=base.id)
    await agent.asave()
    return agent


async def test_an_agent_searches_by_itself() -> None:
    base = await rules()
    agent = await agent_with(base)
    assert [each.id for each in (await Agents().aget("clerk")).knowledge_bases] == [base.id]
    assert [each.name for each in await agent.aget_knowledge_bases()] == ["rules"]
    assert agent.search_knowledge
    seen: list[str] = []

    async def note(messages: Any) -> None:
        seen.extend(str(each.content) for each in messages if each.role == "tool")

    model = ScriptedModel([Call("search_knowledge_base", {"query": "authentication"}), "Keys."], before=note)
    task = await Tasks().acreate("clerk", "Which methods?")
    arguments = await Backend().aget_args("clerk", task=task, override={"model": model})
    output = await AgnoAgent(**arguments).arun("Which methods?")
    assert output.content == "Keys."
    assert "keys and tokens" in seen[0]
    assert "Rules > Security" in seen[0]
    kinds = [str(each.type) async for each in bridge.aiterate(lambda p: p.tasks.events(task.id, follow=False))]
    assert (kinds.count("tool_call_request"), kinds.count("tool_call_result")) == (1, 1)
    arguments["model"] = again()
    assert "keys and tokens" in str(AgnoAgent(**arguments).run("Which?").messages)


def again() -> ScriptedModel:
    return ScriptedModel([Call("search_knowledge_base", {"query": "authentication"}), "Keys."])


class OwnKnowledge:
    """What Agno's Knowledge is to an agent."""

    max_results = 3

    def search(self, query: str, **_: Any) -> list[dict[str, str]]:
        return [{"content": f"its own on {query}"}]


class UsersKnowledge(OwnKnowledge):
    """One that keeps its documents apart by user."""

    async def asearch(self, query: str, max_results: int, filters: Any, user_id: str | None) -> list[Document]:
        return [Document(content=f"{user_id}'s on {query}: {max_results} {filters}")]


async def test_agnos_own_knowledge_is_asked_for_what_is_the_users() -> None:
    agent = await agent_with(await rules())
    holder = AgnoAgent(knowledge=UsersKnowledge(), telemetry=False)  # pyright: ignore[reportArgumentType] - as to searches it is one
    retrieve = agent.knowledge_bases_retriever()
    found = await retrieve(query="authentication", num_documents=3, agent=holder, filters={"a": 1}, user_id="ann")
    assert found[1]["content"] == "ann's on authentication: 3 {'a': 1}"


async def test_agnos_own_knowledge_works_beside_it() -> None:
    agent = await agent_with(await rules())
    retrieve = agent.knowledge_bases_retriever()

    class Holder:
        knowledge = OwnKnowledge()

    found = await retrieve(query="authentication", num_documents=5, agent=Holder())
    assert [each["content"] for each in found] == [
        "The authentication methods are keys and tokens.",
        "its own on authentication",
    ]
    assert json.loads(json.dumps(found)) == found
    assert retrieve is not None
    same = await asyncio.to_thread(retrieve, query="authentication", agent=Holder())
    assert same == found


async def test_a_picture_says_why_it_cannot_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.inputs.recognition.is_installed", lambda: False)
    await asyncio.to_thread(Image.new("RGB", (8, 8), "red").save, "picture.png")
    base = await KnowledgeBases().acreate("pictures")
    with pytest.raises(
        ModuleException, match=r"picture\.png could not be read: it is an image; to have the text in it"
    ):
        await base.aadd_documents([Path("picture.png")])


@pytest.mark.skipif(not recognition.is_installed(), reason="needs the extra ocr and Tesseract's data")
@pytest.mark.parametrize("name", ["letter.png", "letter.pdf"])
async def test_a_picture_and_a_scan_are_found_by_the_text_in_them(name: str) -> None:
    drawn = Image.new("RGB", (1240, 400), "white")
    font = ImageFont.load_default(56)
    for number, line in enumerate(("Invoice of the harbour office", "Total due on Tuesday")):
        ImageDraw.Draw(drawn).text((60, 80 + 120 * number), line, "black", font)
    if name.endswith("png"):
        await asyncio.to_thread(drawn.save, name)
    else:
        scan = FPDF()
        scan.add_page()
        scan.image(drawn, w=190)
        await asyncio.to_thread(Path(name).write_bytes, bytes(scan.output()))
    base = await KnowledgeBases().acreate("letters")
    (document,) = await base.aadd_documents([Path(name)])
    assert "recognized" in (document.note or "")
    (best,) = await base.asearch("harbour invoice")
    assert (best.document_name, "harbour" in best.content) == (name, True)


async def test_a_file_in_an_archive_is_found_under_its_own_name() -> None:
    with zipfile.ZipFile("all.zip", "w") as archive:
        archive.writestr("rules.md", RULES)
        archive.writestr("none.bin", b"\0\1\2")
    base = await KnowledgeBases().acreate("archive")
    (document,) = await base.aadd_documents([Path("all.zip")])
    assert "none.bin" in (document.note or "")
    (best,) = await base.asearch("soup")
    assert (best.document_name, best.heading) == ("all.zip", "all.zip/rules.md > Rules > Food")
