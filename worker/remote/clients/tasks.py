"""The verbs of tasks over HTTP, with the routes of the public protocol."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from worker.contracts.bounds import bounded
from worker.remote.clients.files import FileVerbs
from worker.remote.clients.following import Following
from worker.remote.clients.lists import ListVerbs
from worker.remote.clients.verbs import EXECUTION, in_path, task_path
from worker.remote.http.refusals import UNKNOWN_ROUTE, Subject
from worker.remote.http.transport import Repeat, Unanswered
from worker.wire.records import decode, task_of
from worker.words.activity import AgentActivityThread
from worker.words.attempts import Attempt
from worker.words.changes import check_changes
from worker.words.errors import ModuleException
from worker.words.events import NewEvent, TaskUpdateEvent
from worker.words.ids import new_id
from worker.words.messages import NewMessage
from worker.words.requests import InputAnswer
from worker.words.signals import NewSignal
from worker.words.tasks import NewTask, TaskRecord
from worker.words.watching import Creation, watched

SaveOfARun = Callable[[str, Mapping[str, Any], int, str | None], Awaitable[TaskRecord | None]]
"""Saves a run's changes, given task id, changes, attempt and handler; returns None if an ordinary save must do it."""


class RemoteTasks(ListVerbs, FileVerbs):
    """The verbs of clients over HTTP."""

    save_of_a_run: SaveOfARun

    @bounded
    async def create(self, new: NewTask, *, key: str | None = None) -> TaskRecord:
        """Create a pending task; with a ``key`` only once, on a platform that supports idempotency keys.

        The request is repeated if the platform certainly did not process it. If it may have, the request is repeated
        only on a platform that supports the idempotency key that every create carries.
        """
        with watched(Creation(agent_id=new.agent_id, task_id=new.id, traceparent=new.traceparent)) as creation:
            if creation.traceparent != new.traceparent:
                new = new.model_copy(update={"traceparent": creation.traceparent})
            task = await self._create_once(new, key)
            creation.task_id = task.id
            return task

    async def _create_once(self, new: NewTask, key: str | None) -> TaskRecord:
        headers = {"idempotency-key": key or new_id()}
        if new.agent_version is not None and new.agent_version.isascii():  # the body contains it, too
            headers["x-agent-version"] = new.agent_version
        try:
            return await self._create(new, headers, Repeat.UNSENT)
        except Unanswered:
            if not await self._dialect.native():
                raise
            return await self._create(new, headers, Repeat.ALWAYS)

    async def _create(self, new: NewTask, headers: Mapping[str, str], repeat: Repeat) -> TaskRecord:
        subject = Subject(task_id=new.id) if new.id is not None else Subject(agent_id=new.agent_id)
        body = new.model_dump(exclude={"agent_id"})
        answer = await self._transport.call(
            "POST", f"{EXECUTION}/{in_path(new.agent_id)}", body=body, headers=headers, subject=subject, repeat=repeat
        )
        return task_of(decode(answer.content, "a task"))

    @bounded
    async def get(self, task_id: str) -> TaskRecord:
        """Return a task."""
        return await self._task("GET", task_id, "/status")

    @bounded
    async def update(
        self, task_id: str, changes: Mapping[str, Any], *, attempt: int | None = None, origin: str | None = None
    ) -> TaskRecord:
        """Update fields of a task, and return the task."""
        changes = check_changes(changes)
        if None in changes.values() and not await self._dialect.native():
            raise self._unsupported("clear a field of a task (null leaves a field unchanged there)")
        if attempt is not None:
            saved = await self.save_of_a_run(task_id, changes, attempt, origin)
            if saved is not None:
                return saved
        headers = {"x-attempt": None if attempt is None else str(attempt), "x-origin": origin}
        return await self._task(
            "PATCH",
            task_id,
            "/update",
            body=changes,
            headers={name: value for name, value in headers.items() if value is not None},
            subject=Subject(task_id=task_id, attempt=attempt),
        )

    @bounded
    async def stop(self, task_id: str) -> TaskRecord:
        """Stop a task."""
        return await self._task("DELETE", task_id)

    @bounded
    async def retry(self, task_id: str, *, resume: bool | None = None) -> TaskRecord:
        """Queue a finished or paused task again, resumed or from the start."""
        try:
            query = "" if resume is None else f"?resume={str(resume).lower()}"
            return await self._task("POST", task_id, f"/retry{query}", repeat=Repeat.UNSENT)
        except ModuleException as error:
            if error.status_code not in UNKNOWN_ROUTE or await self._dialect.native():
                raise
        await self.get(task_id)
        raise self._unsupported("retry a task")

    @bounded
    async def answer(self, task_id: str, answers: Sequence[InputAnswer]) -> TaskRecord:
        """Answer the requests of a paused task."""
        await self._require_native("answer a paused task")
        body = {"answers": [each.model_dump(mode="json", exclude_none=True) for each in answers]}
        is_safe = all(each.id is not None for each in answers)  # without an id, a repeat could answer another request
        repeat = Repeat.ALWAYS if is_safe else Repeat.UNSENT
        return await self._task("POST", task_id, "/answer", body=body, repeat=repeat)

    @bounded
    async def signal(self, task_id: str, signal: NewSignal) -> TaskRecord:
        """Send a named signal to a task."""
        await self._require_native("send signals to tasks")
        body = signal.model_dump(mode="json")
        return await self._task("POST", task_id, "/signals", body=body, repeat=Repeat.UNSENT)

    @bounded
    async def send(self, task_id: str, message: NewMessage) -> TaskRecord:
        """Send a message to a task's agent."""
        await self._require_native("deliver messages to tasks")
        body = message.model_dump(mode="json")
        return await self._task("POST", task_id, "/messages", body=body, repeat=Repeat.UNSENT)

    @bounded
    async def skip(self, task_id: str) -> TaskRecord:
        """Let the other tasks of its conversation pass a waiting task."""
        await self._require_native("skip the turn of a task in a conversation")
        return await self._task("POST", task_id, "/skip", repeat=Repeat.UNSENT)

    @bounded
    async def push(self, task_id: str, events: Sequence[NewEvent], *, attempt: int | None = None) -> None:
        """Append events to a task."""
        if not events:
            return
        time = datetime.now(UTC)
        body = [
            {
                "type": each.type,
                "task_id": task_id,
                "organization_id": self._organization,
                "time": time,
                "data": each.data,
            }
            for each in events
        ]
        await self._transport.call(
            "POST",
            f"{task_path(task_id)}/events/push",
            body=body,
            headers={} if attempt is None else {"x-attempt": str(attempt)},
            subject=Subject(task_id=task_id, attempt=attempt),
            repeat=Repeat.UNSENT,  # a repeat would append the events twice
        )

    async def events(self, task_id: str, *, after: int = 0, follow: bool = True) -> AsyncGenerator[TaskUpdateEvent]:
        """Yield a task's events after a number; with ``follow``, wait for further ones until the task ends."""
        if not after and not follow:
            await self.get(task_id)  # raises TaskNotFound, where some platforms return an empty stream
        following = Following(self._transport, self._dialect, task_path(task_id), task_id, get=self.get, after=after)
        events = following.follow() if follow else following.so_far()
        try:
            async for event in events:
                yield event
        finally:
            await events.aclose()

    @bounded
    async def activity(self, task_id: str) -> AgentActivityThread:
        """Return the activity log of a task."""
        task = await self.get(task_id)
        path = f"/activity/{in_path(task.agent_id)}/{in_path(task_id)}"
        found = await self._read(path, "an activity log", subject=Subject(task_id=task_id))
        return AgentActivityThread.model_validate(found)

    @bounded
    async def attempts(self, task_id: str) -> list[Attempt]:
        """Return the attempts of a task."""
        path = f"{task_path(task_id)}/attempts"
        try:
            found = await self._read(path, "attempts", subject=Subject(task_id=task_id))
        except ModuleException as error:
            if error.status_code not in UNKNOWN_ROUTE or await self._dialect.native():
                raise
            raise self._unsupported("return a task's attempts") from None
        return [Attempt.model_validate(each) for each in cast("list[Any]", found)]
