"""The reader of a task's files: concurrent, each file once, within limits. Unreadable files become notes."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from worker.inputs.addresses import Resolve, resolve
from worker.inputs.allowance import Allowance
from worker.inputs.attachments import Attachment, Attachments, Fetched, Keeper, Kind, OpenStored
from worker.inputs.causes import TooLargeError, UnreadableError
from worker.inputs.data_urls import read_data_url
from worker.inputs.examining import examined
from worker.inputs.limits import Limits
from worker.inputs.names import STORED_SCHEME, file_name, is_data_url, labels, name_of, size_words
from worker.inputs.shares import Shares
from worker.inputs.threads import examine

if TYPE_CHECKING:
    import httpx


class Reader:
    """A reader that turns the URLs of a task into attachments. One per process, used on one event loop.

    It owns an HTTP client, opened for the first http or https URL, and the process's allowance of bytes.
    """

    def __init__(
        self, limits: Limits | None = None, *, open_stored: OpenStored | None = None, resolve: Resolve = resolve
    ) -> None:
        """Create a reader.

        Args:
            limits: The limits per file, task and process.
            open_stored: Opens ``worker:`` references of uploaded files; without it they are unreadable.
            resolve: Resolves host names; the addresses are checked before a connection is made to one of them.
        """
        self.limits = limits or Limits()
        self.allowance = Allowance(self.limits.process_bytes)
        self._open_stored = open_stored
        self._resolve = resolve
        self._client: httpx.AsyncClient | None = None

    async def read(self, urls: Sequence[str], keeper: Keeper | None = None) -> Attachments:
        """Read every file of a task, in its order; a file that is named twice is read and returned once.

        The call first waits until the process may hold the most that these files may need, and afterwards keeps only
        what they do need. The same files produce the same attachments and notes, whatever the timing, so that a retried
        task finds the same message. For this reason, content that an earlier attempt stored is used in place of the
        URL.

        Args:
            urls: The task's files, as it names them.
            keeper: The store of what earlier attempts fetched; it also stores what is fetched now.

        Returns:
            The attachments; release them when the task is done. A bad file is ``unreadable`` with a note and raises
            nothing.

        Raises:
            Exception: An error of ``open_stored``, except LookupError, or of the keeper, since it is not the file's
                fault.
        """
        names = list(dict.fromkeys(urls))
        if not names:
            return Attachments()
        hold = await self.allowance.take(min(self.limits.task_bytes, len(names) * self.limits.file_bytes))
        try:
            items = await self._read_all(names, keeper)
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

    async def _read_all(self, urls: list[str], keeper: Keeper | None) -> tuple[Attachment, ...]:
        shares = Shares(self.limits.file_bytes, self.limits.task_bytes)
        called = labels(urls)
        reading: list[asyncio.Task[_Reading]] = []
        try:
            async with asyncio.TaskGroup() as group:
                for url in urls[: self.limits.files]:
                    most = await shares.next()
                    reading.append(group.create_task(self._read_one(_Reading(url, called[url], most, keeper), shares)))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None  # an error of the store, for the caller to classify
        done = [task.result() for task in reading]
        if keeper is not None:
            await keeper.keep([(each.url, each.fresh) for each in done if each.fresh is not None])
        late = f"a task may have at most {self.limits.files} files"
        rest = (_unreadable(url, called[url], late) for url in urls[self.limits.files :])
        return (*(item for each in done for item in each.attachments), *rest)

    async def _read_one(self, reading: "_Reading", shares: Shares) -> "_Reading":
        try:
            fetched = await self._fetch(reading)
            reading.attachments = await examined(
                reading.url, fetched, reading.most, reading.label, self.limits.document_pictures
            )
        except TooLargeError as cause:
            together = f"with it, the task's files would exceed {size_words(self.limits.task_bytes)}"
            reading.fail(together if reading.most < self.limits.file_bytes else str(cause))
        except UnreadableError as cause:
            reading.fail(str(cause))
        finally:
            shares.done(sum(each.size for each in reading.attachments))
        return reading

    async def _fetch(self, reading: "_Reading") -> Fetched:
        url, most = reading.url, reading.most
        if is_data_url(url):
            return await examine(lambda: read_data_url(url, most))
        if url.startswith(STORED_SCHEME):
            return await self._fetch_stored(url, most)
        if not url.lower().startswith(("http://", "https://")):
            raise UnreadableError("only http:, https: and data: URLs and uploaded files can be read")
        known = await reading.keeper.recall(url) if reading.keeper is not None else None
        if known is not None:
            return _at_most(known, most)
        from worker.inputs.download import download

        reading.fresh = await download(self._open_client(), url, self.limits, most)
        return reading.fresh

    async def _fetch_stored(self, url: str, most: int) -> Fetched:
        if self._open_stored is None:
            raise UnreadableError("uploaded files cannot be read here")
        try:
            stored = await self._open_stored(url)  # the store applies its own time limit
        except LookupError:
            raise UnreadableError("there is no such uploaded file") from None
        return _at_most(Fetched(stored.content, stored.media_type, file_name(stored.name)), most)

    def _open_client(self) -> "httpx.AsyncClient":
        if self._client is None:
            from worker.inputs.transport import open_client

            limits = self.limits
            self._client = open_client(self._resolve, allow_private=limits.allow_private, seconds=limits.seconds)
        return self._client


class _Reading:
    """The state of reading one file.

    Args:
        url: The URL as the task names it.
        label: The name that messages use for it.
        most: The maximum size in bytes.
        keeper: The store of earlier content.
    """

    def __init__(self, url: str, label: str, most: int, keeper: Keeper | None) -> None:
        self.url = url
        self.label = label
        self.most = most
        self.keeper = keeper
        self.fresh: Fetched | None = None  # freshly downloaded content, if it is readable
        self.attachments: tuple[Attachment, ...] = (_unreadable(url, label, ""),)

    def fail(self, cause: str) -> None:
        self.fresh = None
        self.attachments = (_unreadable(self.url, self.label, cause),)


def _at_most(fetched: Fetched, most: int) -> Fetched:
    if len(fetched.content) > most:
        raise TooLargeError(most)
    return fetched


def _unreadable(url: str, label: str, cause: str) -> Attachment:
    name = label if url.startswith(STORED_SCHEME) else name_of(url)
    return Attachment(
        label if is_data_url(url) else url, Kind.UNREADABLE, "", name, note=f"{name} could not be read: {cause}."
    )
