"""The verbs of clients, on PostgreSQL."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from worker.contracts.bounds import bounded
from worker.engine.commit.batch import NewRow, settings_columns
from worker.engine.state.client_changes import Renewal, Retry, Skip, Stop
from worker.engine.state.families import PARENT
from worker.engine.state.records import SECRETS, split, task_item, task_record
from worker.engine.state.references import uploads
from worker.engine.state.rows import TAKES_TURNS, Change, text_size
from worker.engine.state.run_changes import Save
from worker.engine.verbs import conversation_views, input_answers, queries, tool_calls
from worker.engine.verbs.agents import EngineAgentVerbs
from worker.engine.verbs.children import stop_children
from worker.engine.verbs.event_log import EventVerbs
from worker.words.actors import AuditAction
from worker.words.changes import check_changes
from worker.words.conversations import (
    PARALLEL,
    STEER,
    WAITS_FOR_TURN,
    ConversationItem,
    ConversationQuery,
    ConversationRecord,
)
from worker.words.digests import digest
from worker.words.errors import Conflict, TaskNotFound, ValidationError
from worker.words.ids import new_id
from worker.words.messages import NewMessage
from worker.words.requests import InputAnswer, OpenRequest, RequestQuery
from worker.words.secrets import check_secrets
from worker.words.signals import NewSignal
from worker.words.statuses import AgentExecutionStatus
from worker.words.task_lists import TaskItem, TaskQuery
from worker.words.tasks import NewTask, TaskRecord
from worker.words.tools import ToolInvocationResult
from worker.words.watching import Creation, watched
from worker.words.work import KeptFile, StoredFile


class EngineTasks(EventVerbs, EngineAgentVerbs):
    """The verbs of clients, for one organization."""

    @bounded
    async def create(self, new: NewTask, *, under: str | None = None, key: str | None = None) -> TaskRecord:
        """Create a pending task; with the id of a finished task, run that again with the new input.

        Args:
            new: The task to create.
            under: An id for the new task, if the caller has to know it beforehand.
            key: An idempotency key that the id is derived from: a second create with it returns the first one's task.
        """
        if key is not None and new.id is None:
            under = str(uuid5(NAMESPACE_URL, f"{self._organization} {new.agent_id} {key}"))
            if (made := await self._found(under)) is not None:
                return made
        with watched(Creation(agent_id=new.agent_id, task_id=new.id or under, traceparent=new.traceparent)) as creation:
            if creation.traceparent != new.traceparent:
                new = new.model_copy(update={"traceparent": creation.traceparent})
            try:
                task = await self._create(new, under)
            except Conflict:  # another create with the same key may have been faster
                made = await self._found(under) if key is not None and under is not None else None
                if made is None:
                    raise
                task = made
            creation.task_id = task.id
            return task

    async def _found(self, task_id: str) -> TaskRecord | None:
        with suppress(TaskNotFound):
            return await self.get(task_id)
        return None

    async def _create(self, new: NewTask, under: str | None) -> TaskRecord:
        has_secrets = new.user_tokens is not None or new.user_oidc_token is not None
        check_secrets(new.user_tokens, new.user_oidc_token)
        if has_secrets or self._core.vault.everything:
            await self._core.check_key()
        new = await self._in_conversation(new)
        mode = None
        if new.conversation_id is not None and not (new.run_locally and new.worker_id):
            mode = await self.conversations.enter(new)
        if mode == STEER and (steered := await self._steered(new, under)) is not None:
            return steered
        settings, state = split(new, self._core.vault)
        if new.parent_execution is not None:
            state[PARENT] = new.parent_execution
        if mode is not None and new.conversation_id is not None and mode != PARALLEL:
            state[TAKES_TURNS] = new.conversation_id
        if new.id is not None:
            task = await self._renew(new.id, new, settings, state)
        else:
            task = await self._make(new, under, settings, state)
        if mode is not None and new.conversation_id is not None:
            await self.conversations.settle(mode, task, new.conversation_id, is_new=new.id is None)
        return task

    async def _steered(self, new: NewTask, under: str | None) -> TaskRecord | None:
        """Send the text to the task that has the turn, only once if repeated; None if no task has it."""
        key = None if under is None else digest(under)[:16]
        if key is not None and (known := await self.conversations.steered(new, key)) is not None:
            return await self.get(known)
        while (task_id := await self.conversations.steer(new)) is not None:
            with suppress(Conflict, TaskNotFound):  # the task has just ended
                return await self._send(task_id, NewMessage(text=new.input.text or ""), key)
        return None

    async def _in_conversation(self, new: NewTask) -> NewTask:
        """Add the conversation of the task that a new one continues; raise ValidationError if it names another."""
        if new.id is None:
            return new
        known = (await self._row(new.id))["settings"].get("conversation_id")
        if new.conversation_id not in (None, known or new.id):
            what = "does not belong to a conversation" if known is None else f"belongs to conversation {known!r}"
            raise ValidationError(f"Task {new.id!r} {what}.", field="conversation_id")
        return new if known is None else new.model_copy(update={"conversation_id": known})

    async def _renew(self, task_id: str, new: NewTask, settings: dict[str, Any], state: dict[str, Any]) -> TaskRecord:
        place = await self.conversations.place() if TAKES_TURNS in state else None
        renewal = Renewal(new.agent_id, settings_columns(settings), state, uploads(settings), place)
        change = Retry(self._organization, task_id, renewal, text_size(settings))
        return await self._changed(AuditAction.TaskRetried, task_id, change, with_new_input=True)

    async def _make(
        self, new: NewTask, under: str | None, settings: dict[str, Any], state: dict[str, Any]
    ) -> TaskRecord:
        row = NewRow(
            under or new_id(),
            self._organization,
            new.agent_id,
            settings,
            state,
            text_size([settings, state]),
            files=uploads(settings),
            queued=TAKES_TURNS in state,
        )
        if new.run_locally and new.worker_id:  # the caller runs the task itself, so it is not queued
            row = replace(row, status="executing", attempt=1)
        created_at = await self._core.writer.write(row)
        made = TaskRecord.model_validate(
            {
                **{name: value for name, value in settings.items() if name != SECRETS},
                **state,
                "id": row.id,
                "agent_id": row.agent_id,
                "organization_id": self._organization,
                "status": row.status,
                "execution_attempts": row.attempt,
                "created_at": created_at,
                "updated_at": created_at,
                "started_at": created_at if row.attempt else None,
                "last_event": 1,
                "waiting_for": WAITS_FOR_TURN if row.queued else None,
            }
        )
        return await self._with_model(made)

    @bounded
    async def find(self, query: TaskQuery) -> list[TaskItem]:
        """Return the matching tasks, newest first."""
        return [task_item(row) for row in await queries.find(self._core, self._organization, query)]

    @bounded
    async def counts(self, query: TaskQuery) -> dict[AgentExecutionStatus, int]:
        """Return the number of matching tasks by status."""
        return await queries.counts(self._core, self._organization, query)

    @bounded
    async def update(
        self,
        task_id: str,
        changes: Mapping[str, Any],
        *,
        attempt: int | None = None,
        origin: str | None = None,
        sequence: int | None = None,
    ) -> TaskRecord:
        """Store changed fields, and return the resulting task."""
        checked = check_changes(changes)
        if checked or attempt is not None:
            save = Save(self._organization, task_id, attempt, checked, origin, sequence)
            if attempt is None and checked.get("status") == AgentExecutionStatus.Stopped:
                async with self._audit.of(AuditAction.TaskStopped, f"task {task_id}", task=task_id):
                    await self._core.writer.write(save)
            else:
                await self._core.writer.write(save)
            if attempt is None and checked.get("status") == AgentExecutionStatus.Executing:
                self._core.announce("", [task_id])  # there may be no event of this, but its worker's stream must notice
        task = await self._with_model(task_record(await self._row(task_id, patient=attempt is not None)))
        return task if attempt is not None or "status" not in checked else await self._with_children_stopped(task)

    @bounded
    async def stop(self, task_id: str) -> TaskRecord:
        """Stop a task."""
        stopped = await self._changed(AuditAction.TaskStopped, task_id, Stop(self._organization, task_id))
        return await self._with_children_stopped(stopped)

    async def _changed(self, action: AuditAction, task_id: str, change: Change, **details: Any) -> TaskRecord:
        """Write a change of a task and a line of the audit log about it, and return the task."""
        async with self._audit.of(action, f"task {task_id}", task=task_id, **details):
            await self._core.writer.write(change)
        return await self.get(task_id)

    async def _with_children_stopped(self, task: TaskRecord) -> TaskRecord:
        """Stop the children of a task that is stopped; a task that had already ended leaves them alone."""
        if task.status is AgentExecutionStatus.Stopped:
            await stop_children(self._core, self._organization, task.id)
        return task

    @bounded
    async def retry(self, task_id: str, *, resume: bool | None = None) -> TaskRecord:
        """Queue a finished or paused task again, from its start or from where it was."""
        return await self._changed(AuditAction.TaskRetried, task_id, Retry(self._organization, task_id, resumes=resume))

    @bounded
    async def send(self, task_id: str, message: NewMessage) -> TaskRecord:
        """Send a message to a task's agent."""
        return await self._send(task_id, message)

    async def _send(self, task_id: str, message: NewMessage, key: str | None = None) -> TaskRecord:
        change = input_answers.messaging(self._organization, task_id, message, key)
        return await self._changed(AuditAction.TaskSentMessage, task_id, change)

    @bounded
    async def conversation(self, conversation_id: str, query: ConversationQuery) -> ConversationRecord:
        """Return a conversation."""
        return await conversation_views.conversation(self._core, self._organization, conversation_id, query)

    @bounded
    async def find_conversations(self, query: ConversationQuery) -> list[ConversationItem]:
        """Return the matching conversations, the one with the newest task first."""
        return await conversation_views.listed(self._core, self._organization, query)

    @bounded
    async def skip(self, task_id: str) -> TaskRecord:
        """Let the rest of a task's conversation proceed without it."""
        change = Skip(self._organization, task_id, await self.conversations.place())
        return await self._changed(AuditAction.TaskSkipped, task_id, change)

    @bounded
    async def answer(self, task_id: str, answers: Sequence[InputAnswer]) -> TaskRecord:
        """Answer the requests of a paused task."""
        task = await self.get(task_id)
        await input_answers.check_values(task, answers)
        change = input_answers.answering(self._organization, task, answers)
        return await self._changed(AuditAction.TaskAnswered, task_id, change)

    @bounded
    async def signal(self, task_id: str, signal: NewSignal) -> TaskRecord:
        """Send a signal to a task."""
        change = input_answers.signalling(self._organization, task_id, signal)
        return await self._changed(AuditAction.TaskSignalled, task_id, change, signal=signal.name[:200])

    @bounded
    async def requests(self, query: RequestQuery) -> list[OpenRequest]:
        """Return the open requests."""
        found = await input_answers.inbox(self._core, self._organization, query)
        return [await self._linked(each) for each in found]

    async def store_file(self, name: str, media_type: str, content: bytes) -> str:
        """Store a file by its digest."""
        return await self._files.store(name, media_type, content)

    async def open_file(self, reference: str) -> StoredFile:
        """Read a stored file."""
        return await self._files.open(reference)

    @bounded
    async def kept_files(self, task_id: str) -> list[KeptFile]:
        """Return the stored files of a task."""
        return await self._files.kept(task_id) or await self._none_of(task_id)

    async def _none_of(self, task_id: str) -> list[KeptFile]:
        await self._row(task_id)
        return []

    async def invoke_tool(
        self, agent_id: str, tool: str, payload: Mapping[str, Any], *, key: str | None = None
    ) -> ToolInvocationResult:
        """Call a tool of an agent in a worker, and return its result."""
        under = None if key is None else tool_calls.task_id_of(self._organization, agent_id, tool, payload, key)
        margin = self._core.timings.tool_margin
        return await tool_calls.invoke(self, agent_id, tool, payload, under=under, margin=margin)
