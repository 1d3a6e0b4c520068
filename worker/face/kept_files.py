"""Stored copies of the files that an attempt fetched from a task's URLs, so that a retry reads the same content."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from worker.contracts import Platform
from worker.current import repeat_in_attempt, run_in_hand
from worker.settings import Settings
from worker.words.errors import FileNotStored, TaskNotFound, TooLarge, Unavailable
from worker.words.events import NewEvent, note_event
from worker.words.media_types import UNKNOWN, is_media_type
from worker.words.notices import PlatformTrouble, announce
from worker.words.work import KeptFile, url_digest

if TYPE_CHECKING:
    from worker.inputs import Fetched

MEDIA_TYPE_CHARACTERS = 255  # of a Content-Type; real ones are shorter


class TaskFileStore:
    """Stores one task's files on its platform. Any reader may recall them; only the task's owner stores them.

    Args:
        platform: The task's platform.
        task_id: The task's id.
    """

    def __init__(self, platform: Platform, task_id: str) -> None:
        run = run_in_hand.get()
        self._platform = platform
        self._task_id = task_id
        self._attempt = run.attempt if run is not None and run.task_id == task_id else None
        self._known: dict[str, KeptFile] | None = None
        self._listing = asyncio.Lock()

    async def recall(self, url: str) -> "Fetched | None":
        """Return the stored content of a URL, if an earlier attempt has stored it."""
        from worker.inputs import Fetched

        file = (await self._stored_files()).get(url_digest(url))
        if file is None:
            return None
        try:
            stored = await repeat_in_attempt(
                lambda: self._platform.tasks.open_file(file.reference), "reading a task's files"
            )
        except FileNotStored:
            return None
        return Fetched(stored.content, file.media_type, file.name)

    async def keep(self, files: "Sequence[tuple[str, Fetched]]") -> None:
        """Store the content of URLs, up to ``WORKER_KEEP_BYTES`` per task. An event names files that are not stored.

        If the platform is unavailable, the run continues without storing, and a retry fetches the files again.

        Raises:
            LeaseLost: The attempt no longer owns its task.
        """
        most = Settings().keep_bytes
        if not files or self._attempt is None or not self._platform.capabilities.keeps_files or not most:
            return
        try:
            left = most - sum(file.size for file in (await self._stored_files()).values())
            kept, refused = await self._stored(files, left)
            await self._platform.work.keep_files(self._task_id, self._attempt, kept)
            if refused:
                await self._platform.work.emit(self._task_id, self._attempt, [_not_stored_note(refused, most)])
        except Unavailable as error:
            announce(PlatformTrouble(doing="storing a task's files", error=error))

    async def _stored(self, files: "Sequence[tuple[str, Fetched]]", left: int) -> tuple[list[KeptFile], list[str]]:
        """Store the files that there is room for, one at a time, since each passes through memory once more."""
        from worker.inputs import name_of

        kept, refused = list[KeptFile](), list[str]()
        for url, fetched in files:
            name, size = fetched.name or name_of(url), len(fetched.content)
            reference = await self._store(name, fetched) if size <= left else None
            if reference is None:
                refused.append(name)
                continue
            left -= size
            media_type = fetched.declared[:MEDIA_TYPE_CHARACTERS]
            kept.append(KeptFile(url_digest(url), reference, media_type, fetched.name, size))
        return kept, refused

    async def _store(self, name: str, fetched: "Fetched") -> str | None:
        """Store a file; return None if it is too large for the platform."""
        media_type = fetched.declared.partition(";")[0].strip().lower()
        known = media_type if is_media_type(media_type) else UNKNOWN
        try:
            return await self._platform.tasks.store_file(name, known, fetched.content)
        except TooLarge:
            return None

    async def _stored_files(self) -> dict[str, KeptFile]:
        async with self._listing:
            if self._known is None:
                self._known = {file.url_digest: file for file in await self._ask()}
        return self._known

    async def _ask(self) -> list[KeptFile]:
        if self._attempt == 1 or not self._platform.capabilities.keeps_files:
            return []
        try:
            return await repeat_in_attempt(
                lambda: self._platform.tasks.kept_files(self._task_id), "listing a task's files"
            )
        except TaskNotFound:  # the task was deleted, but a caller who still holds it may read its URLs
            return []


def _not_stored_note(names: Sequence[str], most: int) -> NewEvent:
    """Return the event that names the files that a retry would have to fetch again."""
    from worker.inputs import size_words

    text = (
        f"{', '.join(names)} could not be stored for a retry, which will fetch them again: at most"
        f" {size_words(most)} of a task's files are stored (WORKER_KEEP_BYTES)."
    )
    return note_event(text, "attachment")
