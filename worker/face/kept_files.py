"""What a task's URLs held when an attempt first read them, kept with the task: a retry does not depend on them."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from worker.contracts import Platform
from worker.current import asked_by_run, run_in_hand
from worker.settings import Settings
from worker.words.errors import FileNotStored, TaskNotFound, TooLarge, Unavailable
from worker.words.events import NewEvent, Note
from worker.words.media_types import UNKNOWN, is_media_type
from worker.words.notices import PlatformTrouble, announce
from worker.words.statuses import TaskUpdateEventType
from worker.words.work import KeptFile, url_digest

if TYPE_CHECKING:
    from worker.inputs import Fetched

MEDIA_TYPE_CHARACTERS = 255  # of a Content-Type; longer ones say nothing


class TaskKeeper:
    """Keeps one task's files on its platform. Whoever reads them recalls; only the attempt that owns the task keeps.

    Args:
        platform: Where the task lives.
        task_id: The task.
    """

    def __init__(self, platform: Platform, task_id: str) -> None:
        run = run_in_hand.get()
        self._platform = platform
        self._task_id = task_id
        self._attempt = run.attempt if run is not None and run.task_id == task_id else None
        self._known: dict[str, KeptFile] | None = None
        self._asking = asyncio.Lock()

    async def recall(self, url: str) -> "Fetched | None":
        """What a URL held, if an earlier attempt has kept it."""
        from worker.inputs import Fetched

        file = (await self._kept()).get(url_digest(url))
        if file is None:
            return None
        try:
            stored = await asked_by_run(
                lambda: self._platform.tasks.open_file(file.reference), "reading a task's files"
            )
        except FileNotStored:
            return None
        return Fetched(stored.content, file.media_type, file.name)

    async def keep(self, files: "Sequence[tuple[str, Fetched]]") -> None:
        """Keep what URLs hold, as far as ``WORKER_KEEP_BYTES`` goes; of what is not kept, an event tells.

        A platform that is away just now does not end the run for it: a retry would fetch again. Raises: LeaseLost.
        """
        most = Settings().keep_bytes
        if not files or self._attempt is None or not self._platform.capabilities.keeps_files or not most:
            return
        try:
            left = most - sum(file.size for file in (await self._kept()).values())
            kept, refused = await self._stored(files, left)
            await self._platform.work.keep_files(self._task_id, self._attempt, kept)
            if refused:
                await self._platform.work.emit(self._task_id, self._attempt, [_not_kept(refused, most)])
        except Unavailable as error:
            announce(PlatformTrouble(doing="keeping a task's files", error=error))

    async def _stored(self, files: "Sequence[tuple[str, Fetched]]", left: int) -> tuple[list[KeptFile], list[str]]:
        """Store what there is room for; one after another, since each passes through memory once more."""
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
        """Store a file; None means the platform takes none so large."""
        media_type = fetched.declared.partition(";")[0].strip().lower()
        known = media_type if is_media_type(media_type) else UNKNOWN
        try:
            return await self._platform.tasks.store_file(name, known, fetched.content)
        except TooLarge:
            return None

    async def _kept(self) -> dict[str, KeptFile]:
        async with self._asking:
            if self._known is None:
                self._known = {file.url_digest: file for file in await self._ask()}
        return self._known

    async def _ask(self) -> list[KeptFile]:
        if self._attempt == 1 or not self._platform.capabilities.keeps_files:
            return []
        try:
            return await asked_by_run(
                lambda: self._platform.tasks.kept_files(self._task_id), "looking for a task's files"
            )
        except TaskNotFound:  # its time is over, but whoever still holds it may read its URLs
            return []


def _not_kept(names: Sequence[str], most: int) -> NewEvent:
    """The event that says what a retry would have to fetch again."""
    from worker.inputs import size_words

    text = (
        f"{', '.join(names)} could not be kept for a retry, which would fetch again:"
        f" of a task's files {size_words(most)} are kept (WORKER_KEEP_BYTES)."
    )
    return NewEvent(type=TaskUpdateEventType.Note, data=Note(text=text, kind="attachment").model_dump())
