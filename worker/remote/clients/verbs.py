"""The base class of the verbs of clients, and functions for paths."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from worker.remote.clients.dialect import Dialect
from worker.remote.http.refusals import Subject
from worker.remote.http.transport import Repeat, Transport
from worker.wire.records import decode, task_of
from worker.words.errors import TaskNotFound, Unsupported
from worker.words.tasks import TaskRecord
from worker.words.texts import clean

EXECUTION = "/agent-execution"


class Verbs:
    """Base class of the verbs of clients, with the routes of the public protocol.

    Args:
        transport: The HTTP client of the platform.
        dialect: The protocol of the platform.
        organization_id: The organization that owns the tasks.
    """

    def __init__(self, transport: Transport, dialect: Dialect, organization_id: str) -> None:
        self._transport = transport
        self._dialect = dialect
        self._organization = organization_id

    async def _task(
        self,
        method: str,
        task_id: str,
        path: str = "",
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        subject: Subject | None = None,
        repeat: Repeat = Repeat.ALWAYS,
    ) -> TaskRecord:
        answer = await self._transport.call(
            method,
            task_path(task_id) + path,
            body=body,
            headers=headers,
            subject=subject or Subject(task_id=task_id),
            repeat=repeat,
        )
        return task_of(decode(answer.content, "a task"))

    async def _read(self, path: str, what: str, **options: Any) -> Any:
        """Return the JSON at a path; for ``options``, see ``Transport.call``."""
        return decode((await self._transport.call("GET", path, **options)).content, what)

    async def _require_native(self, what: str) -> None:
        """Raise Unsupported if the platform speaks only the bare protocol, in which it cannot do this."""
        if not await self._dialect.native():
            raise self._unsupported(what)

    def _unsupported(self, what: str) -> Unsupported:
        return Unsupported(what, self._transport.addresses.shown)


def task_path(task_id: str) -> str:
    """Return the path of a task.

    Raises:
        TaskNotFound: The id is empty.
    """
    if not task_id:
        raise TaskNotFound(task_id)
    return f"{EXECUTION}/{in_path(task_id)}"


def in_path(text: str) -> str:
    """Return a text as one segment of a path; dots are escaped where they would mean a parent directory."""
    quoted = quote(clean(text), safe="")
    return quoted.replace(".", "%2E") if quoted.strip(".") == "" else quoted
