"""Following a task's events across reconnections, each exactly once, until the task ends."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from worker.remote.clients.dialect import Dialect
from worker.remote.http.refusals import BUSY, KEY_REFUSED, Subject
from worker.remote.http.transport import Transport
from worker.wire.records import UnreadableRecord, decode, event_of
from worker.words.errors import ModuleException, TaskNotFound
from worker.words.events import TaskUpdateEvent
from worker.words.statuses import TERMINAL, TaskUpdateEventType
from worker.words.tasks import TaskRecord

if TYPE_CHECKING:
    from httpx_sse import ServerSentEvent

DIGITS = 18  # most digits of an event number; longer ids are not numbers
REMEMBERED = 1000  # most events without a number that are remembered, to detect repetitions after a reconnect


class Following:
    """The events of one task.

    Args:
        transport: The HTTP client of the platform.
        dialect: The protocol of the platform; a native platform ends a stream that is not to be followed.
        path: The path of the task.
        task_id: The task.
        get: Reads the task.
        after: The number of the last event seen.
    """

    def __init__(
        self,
        transport: Transport,
        dialect: Dialect,
        path: str,
        task_id: str,
        *,
        get: Callable[[str], Awaitable[TaskRecord]],
        after: int,
    ) -> None:
        self._transport = transport
        self._dialect = dialect
        self._path = path
        self._task_id = task_id
        self._get = get
        self._after = after
        self._numbered = after > 0
        self._seen: OrderedDict[int, None] = OrderedDict()
        self._before: frozenset[int] = frozenset()  # events received on earlier connections
        self._silence = transport.timings.so_far
        self._pauses = transport.timings.reconnect.pauses()
        self._saw_end = False  # whether the last event with a status had a terminal one

    async def follow(self) -> AsyncGenerator[TaskUpdateEvent]:
        """Yield events until the task ends, reconnecting as often as needed."""
        while True:
            events = self._connection(follow=True)
            try:
                async for event in events:
                    yield event
                    if self._saw_end and not self._numbered and await self._ended():
                        return
            except ModuleException as error:
                if isinstance(error, TaskNotFound) or error.status_code in KEY_REFUSED:
                    raise
                if error.status_code < 500 and error.status_code not in BUSY:  # noqa: PLR2004 - HTTP: a server error
                    self._pauses.at_least(self._silence)  # the stream is refused: poll the task's status instead
            finally:
                await events.aclose()
            ended = await self._ended()
            if ended is not None:
                if not self._saw_end and not self._numbered:
                    yield _finished(ended)
                return
            await asyncio.sleep(self._pauses.next())

    async def so_far(self) -> AsyncGenerator[TaskUpdateEvent]:
        """Yield the events up to now; if the platform cannot mark their end, those until the first silence."""
        limit = None if await self._dialect.native() else self._silence
        events = self._connection(follow=False)
        try:
            while True:
                try:
                    async with asyncio.timeout(limit):
                        event = await anext(events, None)
                except TimeoutError:
                    return
                if event is None:
                    return
                yield event
        finally:
            await events.aclose()

    async def _connection(self, *, follow: bool) -> AsyncGenerator[TaskUpdateEvent]:
        """Yield the new events of one connection."""
        headers = {"last-event-id": str(self._after)} if self._after else {}
        params = {"after": self._after or None, "follow": None if follow else "false"}
        subject = Subject(task_id=self._task_id)
        path = f"{self._path}/events"
        self._before = frozenset(self._seen)
        async with self._transport.stream(path, params=params, headers=headers, subject=subject) as sent:
            async for each in sent:
                event = self._new(each)
                if event is not None:
                    self._pauses.reset()
                    yield event

    def _new(self, sent: "ServerSentEvent") -> TaskUpdateEvent | None:
        """Parse an event; return None if it was seen before or has an unknown type."""
        number = int(sent.id) if sent.id.isdecimal() and len(sent.id) <= DIGITS else None
        if number is not None:
            if number <= self._after:
                return None
            self._after, self._numbered = number, True
        elif self._is_repeated(sent.data):
            return None
        event: TaskUpdateEvent | None = None
        with suppress(UnreadableRecord):
            event = event_of(decode(sent.data, "an event"), number)
        if event is None or event.type is TaskUpdateEventType.Connected:
            return None
        status = getattr(event.data, "status", None)
        if status is not None:
            self._saw_end = status in TERMINAL
        return event

    def _is_repeated(self, data: str) -> bool:
        digest = hash(data)
        self._seen[digest] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return digest in self._before

    async def _ended(self) -> TaskRecord | None:
        """Return the task if it has ended and its last event was seen; None if not, or if the platform does not answer.

        Raises:
            TaskNotFound: The task no longer exists.
        """
        try:
            task = await self._get(self._task_id)
        except TaskNotFound:
            raise
        except ModuleException as error:
            if error.status_code in KEY_REFUSED:
                raise
            return None
        seen_all = not self._numbered or task.last_event <= self._after
        return task if task.status in TERMINAL and seen_all else None


def _finished(task: TaskRecord) -> TaskUpdateEvent:
    """Return an end event for a task that ended while there was no connection."""
    return TaskUpdateEvent(
        type=TaskUpdateEventType.TaskFinished,
        task_id=task.id,
        organization_id=task.organization_id,
        time=task.finished_at or task.updated_at or datetime.now(UTC),
        data=task,
    )
