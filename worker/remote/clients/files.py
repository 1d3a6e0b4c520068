"""The verbs of files over HTTP."""

from urllib.parse import quote

from worker.contracts.bounds import bounded
from worker.remote.clients.verbs import Verbs, task_path
from worker.remote.http.refusals import Subject
from worker.remote.http.transport import FILE_SECONDS
from worker.wire.records import decode, kept_of
from worker.words.errors import TooLarge, ValidationError
from worker.words.limits import FILE_BYTES
from worker.words.references import Reference
from worker.words.work import KeptFile, StoredFile


class FileVerbs(Verbs):
    """The verbs of stored files and of the files of a task."""

    async def store_file(self, name: str, media_type: str, content: bytes) -> str:
        """Upload a file and return its reference."""
        if not content:
            raise ValidationError(f"{name} is empty", field="file")
        if len(content) > FILE_BYTES:
            raise TooLarge(f"{name} has {len(content)} bytes; the maximum is {FILE_BYTES}")
        answer = await self._transport.call(
            "POST",
            "/files",
            params={"name": name},
            headers={"content-type": media_type},
            content=content,
            seconds=FILE_SECONDS,
            needed_to="store files; use a URL instead",
        )
        return str(decode(answer.content, "a reference")["reference"])

    async def open_file(self, reference: str) -> StoredFile:
        """Download a stored file."""
        digest, name = Reference.stored(reference)
        answer = await self._transport.call(
            "GET", f"/files/{digest}/{quote(name, safe='')}", subject=Subject(reference=reference), seconds=FILE_SECONDS
        )
        media_type = answer.headers.get("content-type", "application/octet-stream")
        return StoredFile(reference, name, media_type, answer.content)

    @bounded
    async def kept_files(self, task_id: str) -> list[KeptFile]:
        """Return the stored files of a task; none on a platform that stores none."""
        if not await self._dialect.native():
            return []
        subject = Subject(task_id=task_id)
        return kept_of(await self._read(f"{task_path(task_id)}/files", "a list of files", subject=subject))
