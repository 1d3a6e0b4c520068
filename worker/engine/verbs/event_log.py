"""The log of a task: its events in the past, and new ones as they are logged."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from worker.contracts.bounds import bounded
from worker.contracts.waiting import within
from worker.engine.core import Asked
from worker.engine.database.statements import log as sql_log
from worker.engine.database.statements import tasks as sql_tasks
from worker.engine.state.activity import compose
from worker.engine.state.attempts import attempts_of
from worker.engine.state.records import History, is_renewal
from worker.engine.state.rows import HAS_FORMER_SETTINGS
from worker.engine.state.run_changes import Append
from worker.engine.verbs.client_verbs import ClientVerbs
from worker.words.activity import AgentActivityThread
from worker.words.attempts import Attempt
from worker.words.errors import TaskNotFound
from worker.words.events import NewEvent, TaskUpdateEvent
from worker.words.statuses import TERMINAL, WHOLE_TASK
from worker.words.texts import clean

EVENTS_PER_READ = 500


class EventVerbs(ClientVerbs):
    """The verbs for events, and for views composed from them."""

    @bounded
    async def push(self, task_id: str, events: Sequence[NewEvent], *, attempt: int | None = None) -> None:
        """Append events."""
        if events:
            await self._core.writer.write(Append(self._organization, task_id, attempt, events))

    async def events(self, task_id: str, *, after: int = 0, follow: bool = True) -> AsyncGenerator[TaskUpdateEvent]:
        """Yield a task's events after a number, and wait for more."""

        def log() -> Asked:
            return sql_log.READ_LOG, (after, EVENTS_PER_READ, clean(task_id))

        if follow:
            self._core.listen()
        with self._core.wakeups.watch(task_id) as changed:
            found, changes, rows = await self._core.read_each(*self._history_statements(task_id, after), log())
            history = await self._composed(task_id, found, changes)
            while True:
                for row in rows:
                    if row["number"] is None:
                        continue
                    if is_renewal(row):  # the task's row has the new settings
                        history = await self._history(task_id, after)
                    yield await self._linked(history.event(row))
                    after = row["number"]
                if len(rows) < EVENTS_PER_READ:
                    if not follow or not rows or _is_over(rows[0], after):
                        return
                    await within(changed, self._core.poll)
                changed.clear()
                rows = await self._core.read(*log())

    @bounded
    async def event(self, task_id: str, number: int) -> TaskUpdateEvent:
        """Return one event."""
        (row,) = await self._core.read(sql_log.READ_EVENT, (task_id, number))
        history = await self._history(task_id, number - 1 if row["type"] in WHOLE_TASK else 0)
        return await self._linked(history.event(row))

    async def _history(self, task_id: str, upto: int) -> History:
        """Return the task's history up to an event, ready to fold later ones."""
        found, changes = await self._core.read_each(*self._history_statements(task_id, upto))
        return await self._composed(task_id, found, changes)

    def _history_statements(self, task_id: str, upto: int) -> tuple[Asked, Asked]:
        """Return the statements that read a history: the task, and its changes up to an event."""
        known = clean(task_id)
        return (sql_tasks.GET_TASK, (known, self._organization)), (sql_log.READ_CHANGES, (known, upto))

    async def _composed(
        self, task_id: str, found: Sequence[dict[str, Any]], changes: Sequence[dict[str, Any]]
    ) -> History:
        if not found:
            raise TaskNotFound(task_id)
        renewals: dict[int, dict[str, Any]] = {}
        if found[0]["state"].get(HAS_FORMER_SETTINGS):
            rows = await self._core.read(sql_log.READ_RENEWALS, (task_id,))
            renewals = {each["number"]: each["before"] for each in rows}
        said = await self._core.models.of(self._organization, [found[0]["agent_id"]])
        history = History(found[0], renewals, said[found[0]["agent_id"]])
        for change in changes:
            history.fold(change["number"], change["type"], change["time"], change["data"] or {})
        return history

    @bounded
    async def activity(self, task_id: str) -> AgentActivityThread:
        """Compose the activity log."""
        events = [event async for event in self.events(task_id, follow=False)]
        return compose(await self.get(task_id), events)

    @bounded
    async def attempts(self, task_id: str) -> list[Attempt]:
        """Compose the attempts, the first one first."""
        await self._row(task_id)
        return attempts_of(await self._core.read(sql_log.READ_ATTEMPTS, (task_id,)))


def _is_over(row: Mapping[str, Any], seen: int) -> bool:
    return row["status"] in TERMINAL and row["last_event"] <= seen
