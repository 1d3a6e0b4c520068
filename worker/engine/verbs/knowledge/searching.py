"""Searches by words and by vectors, and the fusion of their results by rank."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, LiteralString, NamedTuple

from worker.contracts.bounds import remaining
from worker.engine.core import BY_INDEX, Core
from worker.engine.verbs.knowledge import statements
from worker.engine.verbs.knowledge.languages import LONGEST_WORD, mark_of
from worker.engine.verbs.knowledge.vectors import Vectors, literal
from worker.words.knowledge import QUERY_CHARACTERS, KnowledgeBaseSearchResult
from worker.words.search_texts import searchable

DEPTH = 50  # passages that each kind of search ranks
LOOKED_AT = 1_000  # candidates for ranking, which have the most selective words: some 10 ms
MOST = 10_000  # candidates, if even the most selective word occurs in more
WORDS = 32  # of a question; the least selective ones are ignored
FUSION = 60  # Cormack, Clarke and Büttcher 2009: the 1st and the 2nd rank differ only a little

Place = tuple[int, int]
"""The key of a passage: its edition and its number."""

Ranked = tuple[Place, float]
"""A passage that was found, and its score from 0 to 1."""


class Term(NamedTuple):
    """A word of a question, in one language."""

    word: str
    weight: float
    chunks: int


class Search:
    """A search of one knowledge base.

    Args:
        core: The database.
        base: The number of the knowledge base.
        limit: The number of passages wanted.
    """

    def __init__(self, core: Core, base: int, limit: int) -> None:
        self._core = core
        self._base = base
        self._depth = max(DEPTH, limit)
        self._limit = limit

    async def by_words(self, query: str) -> list[Ranked]:
        """Return the passages that contain words of a question, the best first, each with a score up to 1."""
        asked = {"base": self._base, "query": searchable(query[:QUERY_CHARACTERS]), "longest": LONGEST_WORD}
        rows = await self._core.read(statements.TERMS, asked)
        found: list[Ranked] = []
        for language in dict.fromkeys(row["language"] for row in rows):
            found += await self._ranked(language, [row for row in rows if row["language"] == language])
        return sorted(found, key=lambda each: (-each[1], each[0]))[: self._depth]

    async def _ranked(self, language: str, rows: Sequence[Mapping[str, Any]]) -> list[Ranked]:
        total, length = rows[0]["total"], rows[0]["length"]
        terms = [Term(row["lexeme"], _weight(total, row["chunks"]), row["chunks"]) for row in rows]
        terms = sorted(terms, key=lambda each: (-each.weight, each.word))[:WORDS]
        known = [each for each in terms if each.chunks > 0]
        if not known:
            return []
        mark = mark_of(self._base, language)
        asked = {
            "average": max(1.0, length / total),
            "candidates": " | ".join(_quoted(mark, each.word) for each in _telling(known)),
            "most": MOST,
            "terms": [_quoted(mark, each.word) for each in known],
            "weights": [each.weight for each in known],
            "best": 2.2 * sum(each.weight for each in terms),
            "limit": self._depth,
        }
        found = await _by_index(self._core, statements.RANK, asked)
        return [((row["edition"], row["number"]), _within(row["score"])) for row in found]

    async def by_vector(self, vectors: Vectors, vector: Sequence[float]) -> list[Ranked]:
        """Return the passages whose vectors are nearest, the nearest first."""
        place = await vectors.place()
        if place is None:
            return []
        asked = {"vector": literal(list(vector)), "limit": self._depth}
        rows = await self._core.read(statements.nearest(place, self._base, len(vector)), asked)
        return [((row["edition"], row["number"]), _within(row["score"])) for row in rows]

    async def passages(self, found: Sequence[Ranked]) -> list[KnowledgeBaseSearchResult]:
        """Return the contents of the passages found."""
        wanted = dict(found[: self._limit])
        asked = {
            "base": self._base,
            "editions": [edition for edition, _ in wanted],
            "numbers": [number for _, number in wanted],
        }
        rows = {(row["edition"], row["number"]): row for row in await self._core.read(statements.FETCH, asked)}
        return [
            KnowledgeBaseSearchResult(score=score, **{name: rows[place][name] for name in _FIELDS})
            for place, score in wanted.items()
            if place in rows
        ]


async def _by_index(core: Core, sql: LiteralString, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Run a search by words, forcing the use of an index. For a frequent word the planner would read the whole table.

    It assumes that the passages of a knowledge base are spread evenly over the table, but they lie together.
    """

    async def ask() -> list[dict[str, Any]]:
        async with core.connection() as connection, connection.pipeline(), connection.transaction():
            await connection.execute(BY_INDEX)
            cursor = await connection.cursor(row_factory=dict_row).execute(sql, parameters)
            return await cursor.fetchall()

    from psycopg.rows import dict_row

    return await core.bounds.within(ask, remaining())


_FIELDS = ("content", "heading", "page", "document_id", "document_url", "document_name")


def fused(*lists: Sequence[Ranked]) -> list[Ranked]:
    """Fuse ranked lists into one by reciprocal ranks; a passage that is first in every list has the score 1."""
    scores: dict[Place, float] = {}
    for each in lists:
        for rank, (place, _) in enumerate(each):
            scores[place] = scores.get(place, 0.0) + (FUSION + 1) / ((FUSION + 1 + rank) * len(lists))
    return sorted(((place, _within(score)) for place, score in scores.items()), key=lambda each: (-each[1], each[0]))


def _telling(terms: Sequence[Term]) -> list[Term]:
    """Return the most selective terms as long as few passages contain them, but at least the first."""
    chosen, count = list(terms[:1]), terms[0].chunks
    for each in terms[1:]:
        count += each.chunks
        if count > LOOKED_AT:
            break
        chosen.append(each)
    return chosen


def _weight(total: int, chunks: int) -> float:
    """Return the weight of a word that occurs in ``chunks`` of ``total`` passages: its inverse document frequency."""
    return math.log(1 + (max(total, chunks) - chunks + 0.5) / (chunks + 0.5))


def _quoted(mark: str, word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace("'", "''")
    return f"'{mark}{escaped}'"


def _within(score: float) -> float:
    return min(1.0, max(0.0, float(score)))
