"""Change tracking of a task: which fields are unsaved, and how they are saved."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar, Self, TypeVar

from pydantic import PrivateAttr

from worker.contracts import Platform
from worker.current import run_in_hand
from worker.face import bridge
from worker.face.changes import Snapshot, changed, checked, pending, sendable, snapshot
from worker.face.task_files import TaskFiles
from worker.words.changes import MUTABLE
from worker.words.statuses import AgentExecutionStatus
from worker.words.tasks import TaskRecord, effective

T = TypeVar("T")
Verb = Callable[[Platform], Awaitable[T]]


class SavedTask(TaskFiles):
    """A task that remembers its last saved state."""

    result: Any = None

    MUTABLE: ClassVar[frozenset[str]] = MUTABLE
    """The fields that a save may change; all others are fixed when the task is created."""

    _agent_runs: int = PrivateAttr(default=0)
    _saved: Snapshot = PrivateAttr(default_factory=dict)

    async def aset_status(self, status: AgentExecutionStatus, result: Any = None) -> None:
        """Change the status and, if given, the result. Other changes remain unsaved.

        Args:
            status: The new status.
            result: The result to save with the status; None leaves it unchanged.

        Raises:
            ModuleException: 422 if ``status`` is not a status; 409 if this run no longer owns the task.
        """
        changes = {"status": status} if result is None else {"status": status, "result": result}
        sending, before = self._sending(checked(changes)), self._now(*changes)
        self._absorb(await bridge.across(sending, self._configuration), before)

    set_status = bridge.blocking(aset_status)

    async def asave(self, with_deep_plan_update: bool | None = False) -> Self:
        """Save the fields that have changed since the task was loaded or last saved, and no others.

        Within a run of this task, the save carries the run's attempt, even if the task was loaded again meanwhile.

        Args:
            with_deep_plan_update: Ignored; accepted for xpander-sdk. A changed plan is saved like any other field.

        Returns:
            This task, updated from the platform.

        Raises:
            ModuleException: 422 if a value is invalid (``internal_status`` has at most 255 characters) or a changed
                field is fixed at creation, in which case nothing was sent; 409 if this run no longer owns the task.
        """
        del with_deep_plan_update
        sent = self._pending()
        return self._absorb(await bridge.across(self._saving(sent), self._configuration), sent)

    save = bridge.blocking(asave)

    def unsaved(self, *, by_handler: bool = False) -> dict[str, Any]:
        """Return the unsaved changes, in the form in which they would be sent.

        Args:
            by_handler: Leave out ``input``, which a handler may change for its own runs.

        Raises:
            ValidationError: A changed field is fixed at creation, or a value is invalid.
        """
        found = self._pending(copied=False)
        if by_handler:
            found.pop("input", None)
        return sendable(self, found)

    def _pending(self, *, copied: bool = True) -> Snapshot:
        """Return the unsaved changes, without ``input`` if a handler may have changed it for its own runs."""
        found, run = pending(self, self._saved, copied=copied), run_in_hand.get()
        if self._agent_runs or (run is not None and run.task_id == self.id):
            found.pop("input", None)
        return found

    def _now(self, *names: str) -> Snapshot:
        now = snapshot(self)
        return {name: now[name] for name in names}

    def _saving(self, sent: Snapshot) -> Verb[TaskRecord]:
        """Validate the changes now, and return the call that saves them (or loads the task if nothing has changed)."""
        return self._sending(sendable(self, sent)) if sent else loading(self.id)

    def _sending(self, changes: Mapping[str, Any]) -> Verb[TaskRecord]:
        attempt, origin = writer_of(self.id)

        async def send(platform: Platform) -> TaskRecord:
            await _store_held(self.id)
            return await platform.tasks.update(self.id, changes, attempt=attempt, origin=origin)

        return send

    def _absorb(self, record: TaskRecord, before: Snapshot) -> Self:
        """Update this task from the platform's answer, except for fields that were not sent, or changed after sending.

        Args:
            record: The answer.
            before: The values, as they were sent, that the answer replaces.
        """
        pending = self._pending()
        kept = {name: vars(self)[name] for name in changed(pending, before)}
        kept |= {name: vars(self)[name] for name in TaskRecord.SECRET if getattr(record, name) is None}
        vars(self).update(effective(dict(vars(record))))
        self._saved = snapshot(self)
        vars(self).update(kept)
        return self


def writer_of(task_id: str) -> tuple[int | None, str | None]:
    """Return the attempt and origin that a save of a task carries: the current run's, if it runs this task."""
    run = run_in_hand.get()
    return (run.attempt, run.origin) if run is not None and run.task_id == task_id else (None, None)


async def _store_held(task_id: str) -> None:
    """Store the rows that the current run has deferred: they must be written before the save."""
    run = run_in_hand.get()
    if run is not None and run.task_id == task_id and run.journal is not None:
        await run.journal.deferred.store()


def loading(task_id: str) -> Verb[TaskRecord]:
    """Return the call that reads a task."""
    return lambda platform: platform.tasks.get(task_id)
