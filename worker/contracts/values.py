"""Large values of journals: stored as files, by the verbs that every platform has for those."""

from collections.abc import Awaitable, Callable, Iterable, Sequence

from worker.words.errors import FileNotStored
from worker.words.work import JournalEntry, StoredFile

LARGE_BYTES = 256 * 1024  # what a row of a journal holds; a larger value would hold up whoever writes beside it
NULL = "null"

Store = Callable[[str, str, bytes], Awaitable[str]]
"""``Tasks.store_file``."""

Open = Callable[[str], Awaitable[StoredFile]]
"""``Tasks.open_file``."""


async def put_aside(store: Store, entries: Iterable[JournalEntry]) -> Sequence[JournalEntry]:
    """Store large values as files, once however often they come; the entries then refer to them.

    Raises:
        TooLarge: A value is larger than any file may be.
    """
    return [entry if len(entry.value) <= LARGE_BYTES else await _aside(store, entry) for entry in entries]


async def _aside(store: Store, entry: JournalEntry) -> JournalEntry:
    content = entry.value.encode("utf-8", "replace")
    return JournalEntry(entry.key, NULL, await store("journal", "application/json", content))


async def put_back(opened: Open, entries: Iterable[JournalEntry]) -> dict[str, str]:
    """The values by key, large ones read from their files; one whose file is gone is left out, as if never written."""
    values: dict[str, str] = {}
    for key, value, reference in entries:
        try:
            values[key] = value if reference is None else (await opened(reference)).content.decode()
        except FileNotStored:
            continue
    return values
