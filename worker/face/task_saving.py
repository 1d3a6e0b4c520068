"""What of a task is changed and not saved, and how it is saved."""

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
    """A task that remembers how it was last saved."""

    result: Any = None

    MUTABLE: ClassVar[frozenset[str]] = MUTABLE
    """What a save may change; all else is fixed when the task is created."""

    _agent_runs: int = PrivateAttr(default=0)
    _saved: Snapshot = PrivateAttr(default_factory=dict)

    async def aset_status(self, status: AgentExecutionStatus, result: Any = None) -> None:
        """Change the status, and that alone: other changes stay unsaved.

        Args:
            status: The new one.
            result: What is saved with it; None means nothing.

        Raises:
            ModuleException: 422: it is no status; 409: this run no longer owns the task.
        """
        changes = _status_and(status, result)
        sending, before = self._sending(checked(changes)), self._now(*changes)
        self._absorb(await bridge.across(sending, self._configuration), before)

    def set_status(self, status: AgentExecutionStatus, result: Any = None) -> None:
        """Change the status, as ``aset_status`` does."""
        changes = _status_and(status, result)
        sending, before = self._sending(checked(changes)), self._now(*changes)
        self._absorb(bridge.block(sending, self._configuration), before)

    async def asave(self, with_deep_plan_update: bool | None = False) -> Self:
        """Save what was changed since the task was loaded or last saved, and nothing else.

        ``with_deep_plan_update`` has no meaning: a plan that was changed is saved as all that was.

        Within a run of this task the save carries the run's attempt, also where the task was loaded afresh.

        Returns:
            This task, as the platform has it now.

        Raises:
            ModuleException: 422: a value does not fit (``internal_status`` has at most 255 characters) or a field is
                fixed at create, nothing was sent; 409: this run no longer owns the task.
        """
        del with_deep_plan_update
        sent = self._pending()
        return self._absorb(await bridge.across(self._saving(sent), self._configuration), sent)

    def save(self, with_deep_plan_update: bool | None = False) -> Self:
        """Save what was changed, as ``asave`` does."""
        del with_deep_plan_update
        sent = self._pending()
        return self._absorb(bridge.block(self._saving(sent), self._configuration), sent)

    def unsaved(self, *, by_handler: bool = False) -> dict[str, Any]:
        """Answer what was changed and not saved yet, in the form in which it would be sent.

        Args:
            by_handler: Whether a handler has done so, which may change the input for its runs.

        Raises:
            ValidationError: A changed field is fixed at create, or its value does not fit.
        """
        found = self._pending()
        if by_handler:
            found.pop("input", None)
        return sendable(self, found)

    def _pending(self) -> Snapshot:
        """What was changed and not saved yet, as it stands; what a handler makes of the input is for its runs alone."""
        found, run = pending(self, self._saved), run_in_hand.get()
        if self._agent_runs or (run is not None and run.task_id == self.id):
            found.pop("input", None)
        return found

    def _now(self, *names: str) -> Snapshot:
        now = snapshot(self)
        return {name: now[name] for name in names}

    def _saving(self, sent: Snapshot) -> Verb[TaskRecord]:
        """Check what is to be saved, here and now, and answer the call that sends it."""
        return self._sending(sendable(self, sent)) if sent else loading(self.id)

    def _sending(self, changes: Mapping[str, Any]) -> Verb[TaskRecord]:
        attempt, origin = writer_of(self.id)

        async def send(platform: Platform) -> TaskRecord:
            await _store_held(self.id)
            return await platform.tasks.update(self.id, changes, attempt=attempt, origin=origin)

        return send

    def _absorb(self, record: TaskRecord, before: Snapshot) -> Self:
        """Become what the platform answered; what was not sent, or was changed since it was, stays changed.

        Args:
            record: The answer.
            before: What the answer takes the place of, as it stood when it was sent.
        """
        pending = self._pending()
        kept = {name: vars(self)[name] for name in changed(pending, before)}
        kept |= {name: vars(self)[name] for name in TaskRecord.SECRET if getattr(record, name) is None}
        vars(self).update(effective(dict(vars(record))))
        self._saved = snapshot(self)
        vars(self).update(kept)
        return self


def writer_of(task_id: str) -> tuple[int | None, str | None]:
    """Attempt and origin that a save of a task carries: those of the run in hand, where it is of this task."""
    run = run_in_hand.get()
    return (run.attempt, run.origin) if run is not None and run.task_id == task_id else (None, None)


async def _store_held(task_id: str) -> None:
    """What the run in hand has yet to note comes before what it saves."""
    run = run_in_hand.get()
    if run is not None and run.task_id == task_id and run.journal is not None:
        await run.journal.deferred.store()


def _status_and(status: AgentExecutionStatus, result: Any) -> dict[str, Any]:
    return {"status": status} if result is None else {"status": status, "result": result}


def loading(task_id: str) -> Verb[TaskRecord]:
    """Return the call that reads a task."""
    return lambda platform: platform.tasks.get(task_id)
