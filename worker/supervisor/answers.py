"""Resolution of a handler's return value: coroutines are awaited, generators are consumed."""

import asyncio
import inspect
import json
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Sequence,
)
from contextlib import aclosing
from typing import Any

from worker.agents.event_buffer import EventBuffer, plain
from worker.agents.journal import discard_text
from worker.agents.translation.translation import Translation
from worker.agents.translation.workflow_steps import Said
from worker.current import Run
from worker.face.pump import pass_on
from worker.face.task import Task
from worker.words.events import NewEvent, TaskUpdateEvent
from worker.words.statuses import WHOLE_TASK, TaskUpdateEventType
from worker.words.work import JournalEntry

InThread = Callable[[Callable[[], Any]], Awaitable[Any]]


class _End:
    """Marks the end of a generator."""


END = _End()


async def resolve_result(value: Any, run: Run, task: Task, in_thread: InThread) -> Any:
    """Await awaitables and consume generators until there is a result.

    The text that a handler yields is joined into the result, and streamed if the task asks for that. Events of Agno are
    translated as in ``run_agent``. A ``TaskUpdateEvent`` of the handler's own is emitted, except that ``chunk`` counts
    as text, and the ``data`` of ``task_finished`` becomes the result. The last other item, if there is one, becomes the
    result instead of the text.

    Args:
        value: The value that a handler returned.
        run: The attempt.
        task: The task.
        in_thread: Calls a function in a handler thread, since plain generators may block.
    """
    while inspect.isawaitable(value):
        value = await value
    if inspect.isgenerator(value):
        return await _followed(_stepped(value, run, in_thread), run, task)
    return await _followed(value, run, task) if isinstance(value, AsyncGenerator) else value


async def _stepped(items: Generator[Any, Any, Any], run: Run, in_thread: InThread) -> AsyncIterator[Any]:
    """Yield the items of a plain generator, and its return value as the last item."""

    def step() -> Any:
        try:
            return next(items)
        except StopIteration as end:
            returned.append(end.value)
            return END

    returned: list[Any] = []
    while not isinstance(item := await in_thread(step), _End):
        if run.stopping:
            raise asyncio.CancelledError(run.stopping.reason)
        yield item
    yield returned[0]


async def _followed(items: AsyncIterator[Any], run: Run, task: Task) -> Any:
    said, result = _Said(run, task), None
    async with said, aclosing(pass_on(items)) as each_item:
        async for item in each_item:
            if isinstance(item, str):
                await said.text(item)
            elif isinstance(getattr(item, "event", None), str):
                await said.event(item)
            elif isinstance(item, TaskUpdateEvent):
                result = await said.own(item, result)
            elif item is not None:
                result = item
        await said.rest()
    return result if result is not None else "".join(said.pieces)


class _Said:
    """The text that a handler yields, on its way to the task's event log."""

    def __init__(self, run: Run, task: Task) -> None:
        self.pieces: list[str] = []
        self._run = run
        self._translation = Translation(repeats=True)  # text of an earlier attempt is discarded
        self._streams = run.attempt is not None and task.events_streaming
        self._buffer = EventBuffer(self._emit, run.store_within)

    async def __aenter__(self) -> None:
        if self._streams and (self._run.attempt or 0) > 1:
            self._buffer.add([discard_text()])  # the text of the previous attempt

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None or isinstance(error, Exception):
            await self._buffer.settle()
        else:
            await self._buffer.abandon()

    async def text(self, text: str) -> None:
        """Add a chunk of the answer."""
        self.pieces.append(text)
        if self._streams:
            await self._buffer.put_text(text)

    async def event(self, event: Any) -> None:
        """Add an event of Agno: its text, or the events that it translates to."""
        await self._take(self._translation.translate(event))

    async def rest(self) -> None:
        """Add everything that the translation still holds back."""
        await self._take(self._translation.rest())

    async def _take(self, said: Iterable[Said]) -> None:
        for each in said:
            if isinstance(each, str):
                await self.text(each)
            elif self._run.attempt is not None:
                self._buffer.add([each])

    async def own(self, event: TaskUpdateEvent, result: Any) -> Any:
        """Add an event that the handler created, and return the new result."""
        if event.type is TaskUpdateEventType.Chunk:
            await self.text(event.data if isinstance(event.data, str) else json.dumps(plain(event.data)))
        elif event.type is TaskUpdateEventType.TaskFinished:
            return event.data.get("result", event.data) if isinstance(event.data, dict) else event.data
        elif event.type not in WHOLE_TASK and self._run.attempt is not None:
            self._buffer.add([NewEvent(type=event.type, data=plain(event.data))])
        return result

    async def _emit(self, events: Sequence[NewEvent], rows: Sequence[JournalEntry] = ()) -> None:
        await self._run.work.emit(self._run.task_id, self._run.attempt or 0, events, rows)
