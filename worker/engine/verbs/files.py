"""Stored files: each stored once per organization, by digest, and linked to tasks.

Their contents never pass through the grouped writer, which they would block. The writer stores only the link between a
task and a file, in one transaction with the change that refers to the file.
"""

import asyncio
import hashlib
from collections.abc import Iterable
from typing import Any

from worker.engine.core import Core
from worker.engine.database.statements import files as sql_files
from worker.words.errors import FileNotStored, TooLarge, ValidationError
from worker.words.limits import FILE_BYTES
from worker.words.references import Reference, reference_of
from worker.words.texts import clean
from worker.words.work import KeptFile, StoredFile

FILE_SECONDS = 60.0  # for sending one file to the database, or reading it


class FileStore:
    """The stored files of one organization.

    Args:
        core: The database.
        organization_id: The organization.
        patient: Whether a live attempt asks, which waits as long as the database is unavailable.
    """

    def __init__(self, core: Core, organization_id: str, *, patient: bool = False) -> None:
        self._core = core
        self._organization = organization_id
        self._patient = patient

    async def store(self, name: str, media_type: str, content: bytes) -> str:
        """Store a file by its digest, unless it is already stored, and return its reference."""
        if not content:
            raise ValidationError(f"{name} is empty", field="file")
        if len(content) > FILE_BYTES:
            raise TooLarge(f"{name} has {len(content)} bytes; the maximum is {FILE_BYTES}")
        digest = await asyncio.to_thread(lambda: hashlib.sha256(content).hexdigest())
        keys: dict[str, Any] = {"organization": self._organization, "sha256": digest}
        if not await self._core.read(sql_files.USE_FILE, keys, patient=self._patient):
            vault = self._core.vault
            stored = await asyncio.to_thread(vault.seal_bytes, content) if vault.everything else content
            row = {**keys, "media_type": clean(media_type), "size": len(content), "content": stored}
            row["sealed"] = vault.everything
            await self._core.read(sql_files.STORE_FILE, row, patient=self._patient, seconds=FILE_SECONDS)
        return reference_of(digest, name)

    async def check(self, references: Iterable[str]) -> None:
        """Check that files are stored, and mark them as used so that they stay for a while.

        Raises:
            FileNotStored: One of them is not stored.
        """
        for reference in references:
            keys = {"organization": self._organization, "sha256": Reference.stored(reference).sha256}
            if not await self._core.read(sql_files.USE_FILE, keys, patient=self._patient):
                raise FileNotStored(reference)

    async def open(self, reference: str) -> StoredFile:
        """Read a file.

        Raises:
            FileNotStored: The file is not stored.
            ConfigurationError: The file is encrypted, and the key is missing or another one.
        """
        digest, name = Reference.stored(reference)
        keys = self._organization, digest
        rows = await self._core.read(sql_files.OPEN_FILE, keys, patient=self._patient, seconds=FILE_SECONDS)
        if not rows:
            raise FileNotStored(reference)
        content = rows[0]["content"]
        if rows[0]["sealed"]:
            content = await asyncio.to_thread(self._core.vault.open_bytes, content)
        return StoredFile(reference, name, rows[0]["media_type"], content)

    async def kept(self, task_id: str) -> list[KeptFile]:
        """Return the stored files of a task."""
        rows = await self._core.read(sql_files.KEPT_FILES, (clean(task_id), self._organization))
        return [
            KeptFile(
                url_digest=row["url_digest"],
                reference=reference_of(row["sha256"], row["name"]),
                media_type=row["media_type"],
                name=row["name"],
                size=row["size"],
            )
            for row in rows
        ]
