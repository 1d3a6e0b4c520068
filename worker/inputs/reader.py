"""Reads the files of a task: concurrently, each once, within limits; a file that cannot be read becomes a note."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from worker.inputs.addresses import Resolve, resolve
from worker.inputs.allowance import Allowance
from worker.inputs.attachments import Attachment, Attachments, Kind, OpenStored
from worker.inputs.causes import TooLargeError, UnreadableError
from worker.inputs.classify import Classified, claims, classify
from worker.inputs.data_urls import Fetched, read_data_url
from worker.inputs.limits import Limits
from worker.inputs.names import display_url, file_name, is_data_url, name_of, size_words
from worker.inputs.pdfs import check_pdf
from worker.inputs.pictures import is_complete
from worker.inputs.shares import Shares
from worker.inputs.threads import examine

if TYPE_CHECKING:
    import httpx

STORED_SCHEME = "worker:"


class Reader:
    """Turns the URLs of a task into attachments; one per process, used on one event loop.

    It holds one HTTP client, opened when the first http or https URL comes, and the process's allowance of bytes.
    """

    def __init__(
        self, limits: Limits | None = None, *, open_stored: OpenStored | None = None, resolve: Resolve = resolve
    ) -> None:
        """Read within `limits`.

        Arguments:
            limits: the bounds of a file, a task and the process.
            open_stored: opens the `worker:` references of uploaded files; without it they are unreadable.
            resolve: turns a host name into addresses; what it answers is checked and connected to.
        """
        self.limits = limits or Limits()
        self.allowance = Allowance(self.limits.process_bytes)
        self._open_stored = open_stored
        self._resolve = resolve
        self._client: httpx.AsyncClient | None = None

    async def read(self, urls: Sequence[str]) -> Attachments:
        """Read every file of a task, in its order; one that is named twice is read once and is there once.

        Waits first until the process may hold what these files may need at most, and keeps only what they do need.
        The same files give the same attachments and the same notes, whatever comes first: a retried task must find
        the message that it had before.

        Returns: the attachments; release them when the task is done.
        Raises: nothing for a bad file, which becomes `unreadable` with a note; what `open_stored` raises apart from
            LookupError is not the file's fault and comes through.
        """
        names = list(dict.fromkeys(urls))
        if not names:
            return Attachments()
        hold = await self.allowance.take(min(self.limits.task_bytes, len(names) * self.limits.file_bytes))
        try:
            items = await self._read_all(names)
        except BaseException:
            hold.release()
            raise
        hold.shrink(sum(item.size for item in items))
        return Attachments(items, hold)

    async def aclose(self) -> None:
        """Close the connections; the reader can be used again afterwards."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _read_all(self, urls: list[str]) -> tuple[Attachment, ...]:
        shares = Shares(self.limits.file_bytes, self.limits.task_bytes)
        reading: list[asyncio.Task[Attachment]] = []
        try:
            async with asyncio.TaskGroup() as group:
                for url in urls[: self.limits.files]:
                    most = await shares.next()
                    reading.append(group.create_task(self._read_one(url, most, shares)))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None  # the store's own error, for the caller to classify
        late = f"a task may have {self.limits.files} files"
        rest = (_unreadable(url, late) for url in urls[self.limits.files :])
        return (*(task.result() for task in reading), *rest)

    async def _read_one(self, url: str, most: int, shares: Shares) -> Attachment:
        size = 0
        try:
            attachment = await self._examine(url, await self._fetch(url, most))
            size = attachment.size
        except TooLargeError as cause:
            together = f"with it the task's files are larger than {size_words(self.limits.task_bytes)}"
            return _unreadable(url, together if most < self.limits.file_bytes else str(cause))
        except UnreadableError as cause:
            return _unreadable(url, str(cause))
        else:
            return attachment
        finally:
            shares.done(size)

    async def _fetch(self, url: str, most: int) -> Fetched:
        if is_data_url(url):
            return await examine(lambda: read_data_url(url, most))
        if url.startswith(STORED_SCHEME):
            return await self._fetch_stored(url, most)
        if not url.lower().startswith(("http://", "https://")):
            raise UnreadableError("only http:, https: and data: URLs and uploaded files can be read")
        from worker.inputs.download import download

        return await download(self._open_client(), url, self.limits, most)

    async def _fetch_stored(self, url: str, most: int) -> Fetched:
        if self._open_stored is None:
            raise UnreadableError("uploaded files cannot be read here")
        limit = asyncio.timeout(self.limits.seconds)
        try:
            async with limit:
                stored = await self._open_stored(url)
        except LookupError:
            raise UnreadableError("no such file was uploaded") from None
        except TimeoutError:
            if not limit.expired():
                raise
            raise UnreadableError(f"it did not arrive within {self.limits.seconds:g} seconds") from None
        if len(stored.content) > most:
            raise TooLargeError(most)
        return Fetched(stored.content, stored.media_type, file_name(stored.name))

    def _open_client(self) -> "httpx.AsyncClient":
        if self._client is None:
            from worker.inputs.transport import open_client

            limits = self.limits
            self._client = open_client(self._resolve, allow_private=limits.allow_private, seconds=limits.seconds)
        return self._client

    async def _examine(self, url: str, fetched: Fetched) -> Attachment:
        name = fetched.name or name_of(url)
        if not fetched.content:
            raise UnreadableError("it is empty (0 bytes)")
        found = await examine(lambda: classify(fetched.content, fetched.declared, name))
        if found.kind is Kind.PDF:
            await check_pdf(fetched.content)
        if found.kind is Kind.IMAGE and not is_complete(fetched.content, found.media_type):
            raise UnreadableError("it is truncated: its end is missing")
        return Attachment(
            url=shown(url),
            kind=found.kind,
            media_type=found.media_type,
            name=name,
            content=fetched.content,
            encoding=found.encoding,
            note=_remark(name, found, claims(fetched.declared, name)),
        )


def shown(url: str) -> str:
    """Return a URL as messages cite it: the task's own, except that a `data:` URL is only described."""
    return display_url(url) if is_data_url(url) else url


def _unreadable(url: str, cause: str) -> Attachment:
    name = name_of(url)
    return Attachment(shown(url), Kind.UNREADABLE, "", name, note=f"{name} could not be read: {cause}.")


def _remark(name: str, found: Classified, claimed: str) -> str | None:
    if found.kind is Kind.OTHER:
        return f"{name} could not be attached: {found.media_type} is not a type that can be read."
    if found.kind is Kind.TEXT and found.media_type != claimed and _claims_binary(claimed):
        return f"{name} is not {claimed} as it claims to be: it holds {found.media_type}, which is included as text."
    return None


def _claims_binary(claimed: str) -> bool:
    return claimed == "application/pdf" or (claimed.startswith("image/") and not claimed.endswith("+xml"))
