"""Storage of a document's passages by the task that reads it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from worker.engine.core import Core
from worker.engine.verbs.knowledge import statements
from worker.engine.verbs.knowledge.languages import LONGEST_WORD, mark_of, recognized
from worker.engine.verbs.knowledge.vectors import DIMENSIONS, Vectors, literal
from worker.words.errors import LeaseLost, ValidationError
from worker.words.knowledge import AGENT, Chunk, DocumentGone, DocumentPart, DocumentStatus, KnowledgeBaseNotFound
from worker.words.search_texts import searchable
from worker.words.texts import clean

if TYPE_CHECKING:
    from psycopg import AsyncConnection

PART_SECONDS = 60.0
CONTENT_CHARACTERS = 20_000  # per passage
NOTE_CHARACTERS = 1_000


class Storing:
    """Stores the passages that workers have read, for one organization."""

    def __init__(self, core: Core, organization_id: str) -> None:
        self._core = core
        self._organization = organization_id
        self.vectors = Vectors(core)

    async def store(self, task_id: str, attempt: int, part: DocumentPart) -> None:
        """Store a part of a document, in one transaction; the last part makes the new edition replace the former one.

        Raises:
            LeaseLost: The attempt no longer owns the task, or its edition was removed.
            KnowledgeBaseNotFound: The knowledge base is gone.
            NotFound: The document is gone.
            ValidationError: The vectors have wrong dimensions.
        """
        place = await self.vectors.place()
        base: int
        known: int | None
        async with self._core.connection(PART_SECONDS) as connection, connection.transaction():
            await self._check_owner(connection, task_id, attempt)
            base, dimensions, known = await self._base(connection, part, place)
            keys = {"base": base, "document": part.document_id, "task": task_id, "attempt": attempt}
            if part.is_unreadable:
                await connection.execute(
                    statements.UNREADABLE, {**keys, **_name_and_note(part), "status": DocumentStatus.Unreadable}
                )
                await _drop(connection, base, await _unfinished(connection, keys), place)
                return
            if part.is_last and part.first and await self._is_whole(connection, keys):
                return  # it was stored before, and its answer was lost
            edition, language = await self._edition(connection, keys, part, place)
            if part.chunks:
                await self._insert(
                    connection, base, edition, part, language=language, place=place if dimensions else None
                )
            if part.is_last:
                former = await _rows(connection, statements.FORMER, {**keys, "edition": edition})
                counted = {**keys, "edition": edition, "language": language, "skip": len(mark_of(base, language)) + 1}
                await connection.execute(statements.COUNT, counted)
                await connection.execute(statements.GO_LIVE, {**keys, **_name_and_note(part), "edition": edition})
                await _drop(connection, base, [row[0] for row in former], place)
        if part.is_last and known is not None:
            self.vectors.index(base, known)

    async def _check_owner(self, connection: "AsyncConnection[Any]", task_id: str, attempt: int) -> None:
        owned = await _rows(connection, statements.OWNER, (task_id, self._organization, attempt, AGENT))
        if not owned:
            raise LeaseLost(task_id, attempt)

    async def _base(
        self, connection: "AsyncConnection[Any]", part: DocumentPart, place: str | None
    ) -> tuple[int, int | None, int | None]:
        """Return the base's number, the dimensions of the vectors to store, and those of the base's vectors."""
        rows = await _rows(connection, statements.BASE, (self._organization, clean(part.knowledge_base_id)))
        if not rows:
            raise KnowledgeBaseNotFound(part.knowledge_base_id)
        number, known = rows[0]
        sizes = {len(each.vector) for each in part.chunks if each.vector is not None}
        if not sizes or place is None:
            return number, None, known
        size = sizes.pop()
        if sizes or not 0 < size <= DIMENSIONS or known not in (None, size) or any(not c.vector for c in part.chunks):
            raise ValidationError(
                f"all vectors of this knowledge base must have {known or size} dimensions, and at most {DIMENSIONS:,}",
                field="vector",
            )
        if known is None:
            await connection.execute(
                "update worker.knowledge_bases set dimensions = %s where number = %s", (size, number)
            )
        return number, size, size

    @staticmethod
    async def _is_whole(connection: "AsyncConnection[Any]", keys: dict[str, Any]) -> bool:
        """Return whether this attempt has already stored the whole document."""
        return any(is_live for *_, is_live in await _rows(connection, statements.EDITION, keys))

    async def _edition(
        self, connection: "AsyncConnection[Any]", keys: dict[str, Any], part: DocumentPart, place: str | None
    ) -> tuple[int, str]:
        """Return the edition that this attempt writes, which its first part begins, and its language."""
        if part.first:
            rows = await _rows(connection, statements.EDITION, keys)
            if not rows:
                raise LeaseLost(keys["task"], keys["attempt"])  # it was removed, or another attempt has restarted
            number, language, _ = rows[0]
            return number, language
        if not await _rows(connection, statements.DOCUMENT, keys):
            raise DocumentGone
        await _drop(connection, keys["base"], await _unfinished(connection, keys), place)
        (row,) = await _rows(connection, statements.LANGUAGE, keys)
        language = row[0] or await recognized(connection, [searchable(each.content) for each in part.chunks])
        (row,) = await _rows(connection, statements.NEW_EDITION, {**keys, "language": language})
        return row[0], language

    async def _insert(
        self,
        connection: "AsyncConnection[Any]",
        base: int,
        edition: int,
        part: DocumentPart,
        *,
        language: str,
        place: str | None,
    ) -> None:
        numbers = list(range(part.first, part.first + len(part.chunks)))
        columns = {
            "base": base,
            "edition": edition,
            "language": language,
            "mark": mark_of(base, language),
            "longest": LONGEST_WORD,
            "numbers": numbers,
            "headings": [clean(each.heading) for each in part.chunks],
            "pages": [each.page for each in part.chunks],
            "contents": [clean(each.content[:CONTENT_CHARACTERS]) for each in part.chunks],
            "texts": [_searched(each) for each in part.chunks],
        }
        await connection.execute(statements.INSERT_CHUNKS, columns)
        if place is not None:
            vectors = [literal(each.vector or ()) for each in part.chunks]
            await connection.execute(
                statements.insert_vectors(place),
                {"base": base, "edition": edition, "numbers": numbers, "vectors": vectors},
            )


async def drop_editions(
    connection: "AsyncConnection[Any]", base: int, documents: Sequence[str], place: str | None
) -> None:
    """Delete all passages of documents."""
    rows = await _rows(connection, statements.EDITIONS_OF, {"base": base, "documents": list(documents)})
    await _drop(connection, base, [row[0] for row in rows], place)


async def _unfinished(connection: "AsyncConnection[Any]", keys: dict[str, Any]) -> list[int]:
    return [row[0] for row in await _rows(connection, statements.UNFINISHED, keys)]


async def _drop(connection: "AsyncConnection[Any]", base: int, editions: Sequence[int], place: str | None) -> None:
    """Delete editions, and subtract their words from the counts."""
    if not editions:
        return
    keys = {"base": base, "editions": list(editions)}
    for language in [row[0] for row in await _rows(connection, statements.LANGUAGES_OF, keys)]:
        mark = mark_of(base, language)
        await connection.execute(statements.UNCOUNT, {**keys, "language": language, "skip": len(mark) + 1})
    if place is not None:
        await connection.execute(statements.DROP_VECTORS, keys)
    await connection.execute(statements.DROP_CHUNKS, keys)
    await connection.execute(statements.DROP_EDITIONS, keys)


def _searched(chunk: Chunk) -> str:
    """Return the searchable text of a passage, which includes its own heading."""
    heading = (chunk.heading or "").rpartition(" > ")[2]
    return searchable(clean(f"{heading}\n{chunk.content[:CONTENT_CHARACTERS]}"))


def _name_and_note(part: DocumentPart) -> dict[str, Any]:
    note = clean(part.note[:NOTE_CHARACTERS]) if part.note else None
    return {"name": clean(part.name[:NOTE_CHARACTERS]), "note": note}


async def _rows(connection: "AsyncConnection[Any]", statement: Any, parameters: Any) -> list[tuple[Any, ...]]:
    return await (await connection.execute(statement, parameters)).fetchall()
