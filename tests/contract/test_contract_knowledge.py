"""Knowledge bases: documents are read by a task, passages are found by words and vectors, however they are reached."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import pytest

from tests.contract.conftest import OpenPlatform, Sql
from tests.contract.steps import AGENT, card, claim, create, finish
from worker.contracts import Platform
from worker.words.errors import LeaseLost, NotFound, ValidationError
from worker.words.ids import new_id
from worker.words.knowledge import AGENT as KNOWLEDGE
from worker.words.knowledge import (
    Chunk,
    DocumentPart,
    DocumentStatus,
    KnowledgeBaseNotFound,
    KnowledgeBaseRecord,
    NewKnowledgeBase,
    ingestion_of,
)
from worker.words.outcomes import HandBack
from worker.words.work import Assignment, Demand, WorkerCard

READERS = WeakKeyDictionary[Platform, WorkerCard]()
HANDBOOK = "https://example.com/handbook.md"
ENGLISH = (
    "The service knows several authentication methods: keys, signed cookies and tokens of a provider.",
    "Invoices are sent on the first of every month, and have to be paid within two weeks.",
    "The cafeteria is open from eight to three, and the kitchen of it until two.",
)
GERMAN = "Die Rechnungen werden am ersten Tag des Monats verschickt, und sie sind in zwei Wochen zu bezahlen."


async def made(platform: Platform, name: str = "docs", **more: Any) -> KnowledgeBaseRecord:
    return await platform.knowledge.create(NewKnowledgeBase(name=name, **more))


async def reader(platform: Platform) -> WorkerCard:
    """The worker of this platform."""
    if platform not in READERS:
        READERS[platform] = replace(card(), reads_documents=True)
        await platform.work.register(READERS[platform])
    return READERS[platform]


async def take(platform: Platform, by: WorkerCard) -> Assignment:
    (assignment,) = await claim(platform, by, agents={KNOWLEDGE: 1})
    return assignment


def part(base: KnowledgeBaseRecord, document_id: str, texts: Sequence[str | Chunk], **more: Any) -> DocumentPart:
    chunks = tuple(each if isinstance(each, Chunk) else Chunk(each) for each in texts)
    given: dict[str, Any] = {"first": 0, "chunks": chunks, "is_last": True, **more}
    return DocumentPart(base.id, document_id, **given)


async def add(
    platform: Platform, base: KnowledgeBaseRecord, texts: Sequence[str | Chunk], url: str = HANDBOOK, **more: Any
) -> str:
    """Add a document as a worker would; its id."""
    (document,) = await platform.knowledge.add(base.id, [url])
    task, attempt = await take(platform, await reader(platform))
    await platform.work.store_document(task.id, attempt, part(base, document.id, texts, **more))
    await finish(platform, Assignment(task, attempt), result="read")
    return document.id


async def found(platform: Platform, base: KnowledgeBaseRecord, query: str, top_k: int = 5, **more: Any) -> list[str]:
    return [each.content for each in await platform.knowledge.search(base.id, query, top_k, **more)]


async def test_a_knowledge_base_is_made_listed_and_deleted(platform: Platform) -> None:
    base = await made(platform, "b", description="what we know")
    other = await made(platform, "a")
    assert (base.name, base.description, base.type, base.total_documents) == ("b", "what we know", "managed", 0)
    assert [each.id for each in await platform.knowledge.list()] == [other.id, base.id]
    assert await platform.knowledge.get(base.id) == base
    assert (await platform.knowledge.delete(base.id)).id == base.id
    assert [each.id for each in await platform.knowledge.list()] == [other.id]
    for verb in (platform.knowledge.get, platform.knowledge.delete, platform.knowledge.documents):
        with pytest.raises(KnowledgeBaseNotFound):
            await verb(base.id)
    with pytest.raises(KnowledgeBaseNotFound):
        await platform.knowledge.search(base.id, "x", 5)
    with pytest.raises(KnowledgeBaseNotFound):
        await platform.knowledge.add(base.id, [HANDBOOK])


async def test_its_name_looks_as_it_is(platform: Platform) -> None:
    made = await platform.knowledge.create(NewKnowledgeBase(name="a\u202eb\u200b\U000e0041\x1b"))
    assert made.name == "ab"
    with pytest.raises(ValidationError):
        await platform.knowledge.create(NewKnowledgeBase(name="\u202e"))


async def test_passages_are_found_with_where_they_are_from(platform: Platform) -> None:
    base = await made(platform)
    chunks = [Chunk(ENGLISH[0], "Handbook > Security", 3), *ENGLISH[1:]]
    document = await add(platform, base, chunks, name="handbook.md")
    results = await platform.knowledge.search(base.id, "authentication methods", 5)
    (best,) = results
    assert best.content == ENGLISH[0]
    assert (best.document_id, best.document_url, best.document_name) == (document, HANDBOOK, "handbook.md")
    assert (best.heading, best.page) == ("Handbook > Security", 3)
    several = await platform.knowledge.search(base.id, "When are invoices of the kitchen sent?", 5)
    assert [each.content for each in several] == [ENGLISH[1], ENGLISH[2]]
    assert 1 >= several[0].score > several[1].score > 0
    assert len(await found(platform, base, "invoices kitchen", top_k=1)) == 1
    assert await found(platform, base, "zebra") == []
    assert await found(platform, base, "") == []
    with pytest.raises(ValidationError):
        await platform.knowledge.search(base.id, "x", 0)


async def test_each_document_is_found_in_its_own_language(platform: Platform) -> None:
    base = await made(platform)
    await add(platform, base, ENGLISH)
    await add(platform, base, [GERMAN], "https://example.com/regeln.txt")
    await add(platform, base, ["知识库可以搜索多种语言的文件。"], "https://example.com/zh.txt")
    assert await found(platform, base, "Rechnung") == [GERMAN]  # by its stem
    assert await found(platform, base, "RECHNUNGEN bezahlt") == [GERMAN]
    assert await found(platform, base, "paying an invoice") == [ENGLISH[1]]
    assert await found(platform, base, "搜索") == ["知识库可以搜索多种语言的文件。"]


async def test_a_language_that_is_given_is_every_documents(platform: Platform) -> None:
    base = await made(platform, language="german")
    await add(platform, base, ["Häuser"])
    assert await found(platform, base, "Haus") == ["Häuser"]
    with pytest.raises(ValidationError, match="language"):
        await made(platform, language="klingon")


async def test_adding_a_document_again_replaces_it(platform: Platform) -> None:
    base = await made(platform)
    first = await add(platform, base, ["The old rules are about zebras.", "And about lions."])
    (pending,) = await platform.knowledge.add(base.id, [HANDBOOK])
    assert (pending.id, pending.status) == (first, DocumentStatus.Pending)
    assert await found(platform, base, "zebras") == ["The old rules are about zebras."]  # until the new one is whole
    by = await reader(platform)
    task, attempt = await take(platform, by)
    half = part(base, first, ["The new rules are about otters."], is_last=False)
    await platform.work.store_document(task.id, attempt, half)
    assert await found(platform, base, "otters") == []
    assert await found(platform, base, "rules") == ["The old rules are about zebras."]
    rest = part(base, first, ["And about seals."], first=1)
    for _ in range(2):  # the answer was lost
        await platform.work.store_document(task.id, attempt, rest)
    assert await found(platform, base, "zebras lions") == []
    assert await found(platform, base, "otters") == ["The new rules are about otters."]
    (document,) = await platform.knowledge.documents(base.id)
    assert (document.id, document.status, document.chunks, document.task_id) == (first, "ready", 2, task.id)


async def test_a_document_that_cannot_be_read_says_why_and_stays_as_it_was(platform: Platform) -> None:
    base = await made(platform)
    document = await add(platform, base, ["The old rules are about zebras."])
    note = "handbook.md could not be read: it is empty (0 bytes)."
    await add(platform, base, [], is_unreadable=True, note=note, name="handbook.md")
    (known,) = await platform.knowledge.documents(base.id)
    assert (known.id, known.status, known.note, known.name) == (document, "unreadable", note, "handbook.md")
    assert await found(platform, base, "zebras") == ["The old rules are about zebras."]


async def test_documents_are_removed(platform: Platform, sql: Sql) -> None:
    base = await made(platform)
    document = await add(platform, base, ENGLISH)
    other = await add(platform, base, [GERMAN], "https://example.com/regeln.txt")
    assert await platform.knowledge.remove(base.id, [document, "doc-nobody"]) == 1
    assert [each.id for each in await platform.knowledge.documents(base.id)] == [other]
    assert await found(platform, base, "authentication invoices") == []
    assert await platform.knowledge.remove(base.id, [other]) == 1
    assert await sql("select sum(chunks), sum(length) from worker.knowledge_terms") == [
        (0, 0)
    ]  # nothing counts any more
    for table in ("chunks", "editions", "documents"):
        assert await sql(f"select count(*) from worker.knowledge_{table}") == [(0,)]  # noqa: S608 - constants


async def test_only_the_owner_of_the_task_stores_a_document(platform: Platform) -> None:
    base = await made(platform)
    (document,) = await platform.knowledge.add(base.id, [HANDBOOK])
    by = await reader(platform)
    task, attempt = await take(platform, by)
    await platform.work.store_document(task.id, attempt, part(base, document.id, ENGLISH[:2], is_last=False))
    await platform.work.hand_back(task.id, attempt, HandBack())
    with pytest.raises(LeaseLost):
        await platform.work.store_document(task.id, attempt, part(base, document.id, ENGLISH[2:], first=2))
    task, attempt = await take(platform, by)
    await platform.work.store_document(task.id, attempt, part(base, document.id, ENGLISH[2:]))
    assert await found(platform, base, "authentication invoices cafeteria") == [ENGLISH[2]]  # it began anew
    await platform.tasks.stop(task.id)
    with pytest.raises(LeaseLost):
        await platform.work.store_document(task.id, attempt, part(base, document.id, ENGLISH))


async def test_a_task_of_an_agent_stores_no_documents(platform: Platform) -> None:
    base = await made(platform)
    await platform.knowledge.add(base.id, [HANDBOOK])
    await create(platform)
    by = card(AGENT)
    await platform.work.register(by)
    (assignment,) = await claim(platform, by)
    with pytest.raises(LeaseLost):
        await platform.work.store_document(assignment.task.id, assignment.attempt, part(base, "doc-x", ENGLISH))


async def test_a_document_that_is_gone_is_stored_no_more(platform: Platform) -> None:
    base = await made(platform)
    (document,) = await platform.knowledge.add(base.id, [HANDBOOK])
    by = await reader(platform)
    task, attempt = await take(platform, by)
    await platform.knowledge.remove(base.id, [document.id])
    with pytest.raises(NotFound):
        await platform.work.store_document(task.id, attempt, part(base, document.id, ENGLISH))
    await platform.knowledge.delete(base.id)
    with pytest.raises(NotFound):
        await platform.work.store_document(task.id, attempt, part(base, document.id, ENGLISH))


async def test_a_handler_for_any_agent_is_given_no_documents_to_read(platform: Platform) -> None:
    base = await made(platform)
    by = card(any_agent=True)
    await platform.work.register(by)
    await platform.knowledge.add(base.id, [HANDBOOK])
    assert await platform.work.assignments(by.id, lambda: Demand(5, {}, others=5), 0.05) == []
    assert await platform.tasks.list_agents() == []
    (assignment,) = await claim(platform, by, agents={KNOWLEDGE: 1})
    read = ingestion_of(assignment.task)
    assert read is not None
    assert (read.knowledge_base_id, list(read.documents.values())) == (base.id, [HANDBOOK])


async def test_what_is_uploaded_is_known_by_its_name(platform: Platform) -> None:
    base = await made(platform)
    old = await platform.tasks.store_file("rules.txt", "text/plain", b"old")
    new = await platform.tasks.store_file("rules.txt", "text/plain", b"new")
    (first,) = await platform.knowledge.add(base.id, [old])
    (second,) = await platform.knowledge.add(base.id, [new])
    assert (first.id, first.name) == (second.id, "rules.txt")
    with pytest.raises(ValidationError, match="two documents are named"):
        await platform.knowledge.add(base.id, [old, new])
    for wrong in ([], ["/etc/passwd"], ["file:///etc/passwd"], ["ftp://example.com/x"]):
        with pytest.raises(ValidationError):
            await platform.knowledge.add(base.id, wrong)


async def test_another_organizations_knowledge_is_not_found(platform: Platform, open_platform: OpenPlatform) -> None:
    base = await made(platform)
    await add(platform, base, ENGLISH)
    strangers = await open_platform("strangers")
    assert await strangers.knowledge.list() == []
    for verb in (strangers.knowledge.get, strangers.knowledge.delete, strangers.knowledge.documents):
        with pytest.raises(KnowledgeBaseNotFound):
            await verb(base.id)
    with pytest.raises(KnowledgeBaseNotFound):
        await strangers.knowledge.search(base.id, "invoices", 5)
    with pytest.raises(KnowledgeBaseNotFound):
        await strangers.knowledge.remove(base.id, ["doc"])
    assert await found(platform, base, "invoices") == [ENGLISH[1]]


async def test_hostile_texts_are_stored_and_searched(platform: Platform) -> None:
    base = await made(platform, "a\0b")
    texts = ["it's a \\ 'quoted' \"word\" \0 & | ! <-> :* back\\slash", "x" * 19_000, "\ud800 lone", "🙂 ' || ''"]
    await add(platform, base, [Chunk(each, "a 'heading' \\") for each in texts])
    for query in ("quoted", "back\\slash", "it's", "' | !", "\0", "a:* <-> (", "\ud800", "🙂", "x" * 5_000):
        await found(platform, base, query)
    assert (await found(platform, base, "quoted word"))[0].startswith("it's a \\ 'quoted'")


class TestVectors:
    """Three dimensions: animals, money, food."""

    ANIMALS = Chunk("Zebras and otters.", vector=(1.0, 0.1, 0.0))
    MONEY = Chunk("Invoices and salaries.", vector=(0.0, 1.0, 0.1))
    FOOD = Chunk("Soup and bread.", vector=(0.1, 0.0, 1.0))

    async def embed(self, name: str, text: str) -> Sequence[float] | None:
        assert name == "test:vectors"
        return {"what lives in a zoo": (1.0, 0.0, 0.0), "bread": (0.0, 1.0, 0.05)}.get(text)

    async def test_words_and_vectors_are_fused(self, engine: Any) -> None:
        platform: Platform = engine
        base = await made(platform, embedder="test:vectors")
        assert base.has_vectors
        await add(platform, base, [self.ANIMALS, self.MONEY, self.FOOD])
        asked: dict[str, Any] = {"embed": self.embed}
        assert (await found(platform, base, "what lives in a zoo", **asked))[0] == self.ANIMALS.content
        assert set((await found(platform, base, "bread", **asked))[:2]) == {self.FOOD.content, self.MONEY.content}
        results = await platform.knowledge.search(base.id, "bread", 5, embed=self.embed)
        scores = [each.score for each in results]
        assert scores == sorted(scores, reverse=True)
        assert all(0 <= each <= 1 for each in scores)
        assert await found(platform, base, "bread") == [self.FOOD.content]  # without an embedder words alone
        assert await found(platform, base, "soup", **asked) == [self.FOOD.content]  # one that fails is as none

    async def test_vectors_of_another_size_are_refused(self, platform: Platform) -> None:
        base = await made(platform, embedder="test:vectors")
        await add(platform, base, [self.ANIMALS])
        with pytest.raises(ValidationError, match="3 dimensions"):
            await add(platform, base, [Chunk("x", vector=(1.0, 0.0))], f"https://example.com/{new_id()}")
