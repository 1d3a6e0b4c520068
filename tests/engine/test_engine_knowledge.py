"""How knowledge bases are kept: with and without pgvector, sealed or not, and how their words are weighed."""

import math

import pytest

from tests.conftest import execute
from tests.contract.test_contract_knowledge import add, found, made
from worker.engine.engine import Engine
from worker.engine.verbs.knowledge import vectors
from worker.engine.verbs.knowledge.languages import mark_of
from worker.words.errors import Unsupported
from worker.words.knowledge import Chunk, NewKnowledgeBase
from worker.words.notices import Notice, VectorsMissing, subscribe

KEY = "wek_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"


async def test_without_pgvector_words_alone_count_which_is_said_once(database_url: str) -> None:
    execute(database_url, "drop table worker.knowledge_vectors; drop extension vector")
    heard: list[Notice] = []
    end = subscribe(heard.append)
    engine = Engine(database_url)
    await engine.open()
    try:
        for name in ("one", "two"):
            base = await made(engine, name, embedder="openai:text-embedding-3-small")
            assert not base.has_vectors
        await add(engine, base, [Chunk("Zebras have stripes.", vector=(1.0, 0.0))])
        assert await found(engine, base, "stripes") == ["Zebras have stripes."]
        assert len([each for each in heard if isinstance(each, VectorsMissing)]) == 1
        await engine.migrate()  # the server has it after all
        assert (await engine.knowledge.get(base.id)).has_vectors
    finally:
        end()
        await engine.close()


async def test_many_vectors_get_an_index_which_goes_with_them(
    engine: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectors, "MANY", 3)
    base = await made(engine, embedder="test:vectors")
    await add(engine, base, [Chunk(f"passage {number}", vector=(float(number), 1.0)) for number in range(5)])
    await engine.work._storing.vectors.idle()
    named = "select count(*) from pg_indexes where schemaname = 'worker' and indexname like 'knowledge_vectors_%'"
    assert execute(database_url, named) == [(2,)]  # with the primary key's

    async def embed(name: str, text: str) -> tuple[float, ...]:
        del name, text
        return 4.0, 1.0

    assert (await found(engine, base, "?", 1, embed=embed)) == ["passage 4"]
    execute(
        database_url,
        "insert into worker.knowledge_editions (base, document, task_id, attempt, language)"
        " values (999, 'd', 't', 1, 'simple')",
    )  # a crash left it
    await engine.knowledge.delete(base.id)
    await engine.knowledge.vectors.idle()
    assert execute(database_url, named) == [(1,)]
    for table in ("chunks", "vectors", "terms", "editions", "documents"):
        assert execute(database_url, f"select count(*) from worker.knowledge_{table}") == [(0,)]  # noqa: S608 - constants


async def test_what_is_searched_is_not_kept_where_all_is_sealed(database_url: str) -> None:
    from worker.engine.database.vault import new_key

    engine = Engine(database_url, encryption_key=new_key(), encrypt_all=True)
    await engine.open()
    try:
        with pytest.raises(Unsupported, match="WORKER_ENCRYPT is all"):
            await engine.knowledge.create(NewKnowledgeBase(name="x"))
    finally:
        await engine.close()


async def test_a_passage_is_weighed_by_bm25(engine: Engine) -> None:
    base = await made(engine, language="simple")
    texts = ["a a a b c", "a b c d e f g h", "b c", "d e f"]
    await add(engine, base, texts)
    lengths = [len(each.split()) for each in texts]
    average = sum(lengths) / len(texts)
    weight = math.log(1 + (4 - 2 + 0.5) / (2 + 0.5))
    results = await engine.knowledge.search(base.id, "a", 5)
    assert [each.content for each in results] == texts[:2]
    for result, often, length in zip(results, (3, 1), lengths, strict=False):
        k = 1.2 * (0.25 + 0.75 * length / average)
        assert result.score == pytest.approx(weight * often * 2.2 / (often + k) / (weight * 2.2), rel=1e-6)


def test_no_mark_is_the_beginning_of_another() -> None:
    marks = [mark_of(base, language) for base in (1, 10, 36, 361, 1297) for language in ("simple", "english", "german")]
    assert not any(one != other and one.startswith(other) for one in marks for other in marks)
