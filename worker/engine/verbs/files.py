"""Stored files: by digest, once for an organization; and which of them are a task's.

Their bytes never pass through the grouped writer: it would hold everybody else up. What it writes is which task a
file belongs to, in one transaction with the change that says so.
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

FILE_SECONDS = 60.0  # that one file may take on its way to the database or from it


class FileStore:
    """The stored files of one organization.

    Args:
        core: The database.
        organization_id: Whose.
        patient: A live attempt asks, which waits as long as the database is away.
    """

    def __init__(self, core: Core, organization_id: str, *, patient: bool = False) -> None:
        self._core = core
        self._organization = organization_id
        self._patient = patient

    async def store(self, name: str, media_type: str, content: bytes) -> str:
        """Store a file by its digest; what is there already is not sent again. Returns: its reference."""
        if not content:
            raise ValidationError(f"{name} is empty", field="file")
        if len(content) > FILE_BYTES:
            raise TooLarge(f"{name} has {len(content)} bytes; at most {FILE_BYTES} are taken")
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
        """See that files are stored, and have them stay for a while. Raises: FileNotStored."""
        for reference in references:
            keys = {"organization": self._organization, "sha256": Reference.stored(reference).sha256}
            if not await self._core.read(sql_files.USE_FILE, keys, patient=self._patient):
                raise FileNotStored(reference)

    async def open(self, reference: str) -> StoredFile:
        """Read a file. Raises: FileNotStored, ConfigurationError (it is sealed)."""
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
        """What is stored of a task's files."""
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
