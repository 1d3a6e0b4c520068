"""The verbs of a run: events, saved fields, reads, children, artifacts and outcomes."""

from collections.abc import Awaitable
from dataclasses import fields, replace
from typing import Any
from uuid import UUID

from worker.server.new_tasks import check_new_task
from worker.server.verbs.verbs import WorkerVerbs
from worker.wire.bodies import storable
from worker.wire.forms import RunForm, TaskForm
from worker.wire.records import task_json
from worker.wire.verbs import (
    ChildrenForm,
    CrashedForm,
    EmitForm,
    FinishForm,
    HandBackForm,
    KeepFilesForm,
    MakeChildrenForm,
    MessagesForm,
    OutcomeForm,
    SaveArtifactsForm,
    SaveForm,
    StoreDocumentForm,
)
from worker.words.artifacts import Artifact
from worker.words.errors import LeaseLost, ModuleException, TaskNotFound, ValidationError
from worker.words.events import NewEvent
from worker.words.outcomes import HandBack, Outcome
from worker.words.statuses import TaskUpdateEventType
from worker.words.work import JournalEntry

RANDOM = (4, 7)  # versions of UUIDs that nobody can guess


class RunVerbs(WorkerVerbs):
    """Verbs about a run that this worker has claimed."""

    async def emit(self, asked: EmitForm) -> None:
        """Append events and journal entries."""
        events = [NewEvent(type=_type(each.type), data=each.data) for each in asked.events]
        journal = [JournalEntry(*entry) for entry in asked.journal]
        await self._access.check_files(each.reference for each in journal if each.reference is not None)
        await self._organization.work.emit(asked.task_id, asked.attempt, events, journal, sequence=asked.sequence)

    async def keep_files(self, asked: KeepFilesForm) -> None:
        """Record with a task the files that were downloaded from its URLs."""
        await self._access.check_files(each.reference for each in asked.files)
        await self._organization.work.keep_files(asked.task_id, asked.attempt, [each.file() for each in asked.files])

    async def store_document(self, asked: StoreDocumentForm) -> None:
        """Store a part of a document that a task reads for a knowledge base."""
        await self._organization.work.store_document(asked.task_id, asked.attempt, asked.part())

    async def save(self, asked: SaveForm) -> Any:
        """Save changed fields of a task."""
        task = await self._organization.tasks.update(
            asked.task_id, await self._whole(asked), attempt=asked.attempt, origin=asked.origin, sequence=asked.sequence
        )
        return task_json(task)

    async def _whole(self, asked: SaveForm | OutcomeForm) -> dict[str, Any]:
        """Return the changes, with long texts that were uploaded as files put back into their fields."""
        await self._access.check_files(asked.files.values())
        read = {name: await self._organization.tasks.open_file(reference) for name, reference in asked.files.items()}
        return {**asked.changes, **{name: file.content.decode("utf-8", "replace") for name, file in read.items()}}

    async def journal(self, asked: TaskForm) -> dict[str, Any]:
        """Return a task's journal; a large value is replaced by its reference."""
        return {
            key: value if reference is None else {"reference": reference}
            for key, value, reference in await self._organization.work.entries(asked.task_id)
        }

    async def messages(self, asked: MessagesForm) -> list[dict[str, Any]]:
        """Return the messages sent to a task."""
        found = await self._organization.work.messages(asked.task_id, asked.after)
        return [each.model_dump(mode="json") for each in found]

    async def earlier_events(self, asked: RunForm) -> list[str]:
        """Return the events that earlier attempts have already sent."""
        return await self._organization.work.earlier_events(asked.task_id, asked.attempt)

    async def finish(self, asked: FinishForm) -> None:
        """End or pause an attempt with its outcome."""
        last_word = Outcome(asked.outcome.status, await self._whole(asked.outcome), asked.outcome.taken)
        write = self._organization.work.finish(asked.task_id, asked.attempt, last_word, sequence=asked.sequence)
        await self._ending(asked, write)

    async def hand_back(self, asked: HandBackForm) -> None:
        """Hand back a task, so that it is queued again."""
        back = HandBack(**{each.name: getattr(asked, each.name) for each in fields(HandBack)})
        if back.waits_for is not None:
            back = replace(back, waits_for=self._kept_as(back.waits_for))
        write = self._organization.work.hand_back(asked.task_id, asked.attempt, back, sequence=asked.sequence)
        await self._ending(asked, write)

    async def make_children(self, asked: MakeChildrenForm) -> None:
        """Create the children of a run."""
        for each in asked.children:
            _check_unguessable(each.child_id)
        made = {each.child_id: each.new_task(each.agent_id, None) for each in asked.children}
        for new in made.values():
            self._access.check(new.agent_id)
            await check_new_task(self._service, self._access, new)
            await self._service.queues.enter(self._organization, new.agent_id)
        await self._organization.work.make_children(asked.task_id, asked.attempt, made)

    async def save_artifacts(self, asked: SaveArtifactsForm) -> None:
        """Record files that a run has produced."""
        made = [Artifact.model_validate(storable(each.model_dump())) for each in asked.artifacts]
        await self._access.check_files(each.url for each in made)
        await self._organization.work.save_artifacts(asked.task_id, asked.attempt, made)

    async def children(self, asked: ChildrenForm) -> Any:
        """Return some children of a task."""
        return [task_json(each) for each in await self._organization.work.children(asked.task_id, asked.children)]

    async def crashed(self, asked: CrashedForm) -> None:
        """Charge a task with the death of the process that ran it alone."""
        write = self._organization.work.crashed(
            asked.task_id, asked.attempt, asked.reason, asked.delay, sequence=asked.sequence
        )
        await self._ending(asked, write)

    async def _ending(self, run: RunForm, last_word: Awaitable[None]) -> None:
        holdings = self._service.holdings.get(self._claims.worker_id or "", {})
        known = holdings.pop(run.task_id, None)  # the worker ends the attempt itself, so no ``task-stop`` is needed
        try:
            await last_word
        except ModuleException as error:
            if known is not None and not isinstance(error, LeaseLost | TaskNotFound):
                holdings[run.task_id] = known
            raise


def _type(text: str) -> TaskUpdateEventType:
    try:
        return TaskUpdateEventType(text)
    except ValueError:
        raise ValidationError("unknown event type", field="events.type") from None


def _check_unguessable(child_id: str) -> None:
    """Check that a child's id is a random UUID: others can be guessed, and an error would reveal whether they exist.

    The ids of tasks with an idempotency key are such others: they are derived from agent and key (version 5).
    """
    try:
        is_random = UUID(child_id).version in RANDOM
    except ValueError:
        is_random = False
    if not is_random:
        raise ValidationError("this must be a random UUID (version 4 or 7)", field="children.child_id")
