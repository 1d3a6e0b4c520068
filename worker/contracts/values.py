"""Large journal values, stored as files through verbs that every platform has."""

from collections.abc import Awaitable, Callable, Iterable, Sequence

from worker.words.errors import FileNotStored
from worker.words.work import JournalEntry, StoredFile

LARGE_BYTES = 256 * 1024  # limit for a value in a journal row; larger ones would delay concurrent writes
NULL = "null"

Store = Callable[[str, str, bytes], Awaitable[str]]
"""``Tasks.store_file``."""

Open = Callable[[str], Awaitable[StoredFile]]
"""``Tasks.open_file``."""


async def put_aside(store: Store, entries: Iterable[JournalEntry]) -> Sequence[JournalEntry]:
    """Store large values as files, identical ones only once, and return entries that refer to the files.

    Raises:
        TooLarge: A value is larger than any file may be.
    """
    return [entry if len(entry.value) <= LARGE_BYTES else await _aside(store, entry) for entry in entries]


async def _aside(store: Store, entry: JournalEntry) -> JournalEntry:
    content = entry.value.encode("utf-8", "replace")
    return JournalEntry(entry.key, NULL, await store("journal", "application/json", content))


async def put_back(opened: Open, entries: Iterable[JournalEntry]) -> dict[str, str]:
    """Return the values by key, reading large ones from their files. A value whose file is gone is omitted."""
    values: dict[str, str] = {}
    for key, value, reference in entries:
        try:
            values[key] = value if reference is None else (await opened(reference)).content.decode()
        except FileNotStored:
            continue
    return values
