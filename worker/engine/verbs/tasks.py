"""The verbs of clients, on PostgreSQL."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from worker.contracts.bounds import bounded
from worker.contracts.waiting import within
from worker.engine.commit.batch import NewRow, settings_columns
from worker.engine.core import Asked, Core
from worker.engine.database.answer_links import AnswerLinks
from worker.engine.database.payloads import encode
from worker.engine.database.statements import agents as sql_agents
from worker.engine.database.statements import log as sql_log
from worker.engine.database.statements import tasks as sql_tasks
from worker.engine.state.activity import compose
from worker.engine.state.attempts import attempts_of
from worker.engine.state.client_changes import Renewal, Retry, Skip, Stop
from worker.engine.state.families import PARENT
from worker.engine.state.records import SECRETS, History, is_renewal, split, task_item, task_record
from worker.engine.state.references import uploads
from worker.engine.state.rows import RENEWED, TAKES_TURNS, text_size
from worker.engine.state.run_changes import Append, Save
from worker.engine.verbs import conversation_views, input_answers, queries, tool_calls
from worker.engine.verbs.audit import EngineAudit
from worker.engine.verbs.children import stop_children
from worker.engine.verbs.conversations import Conversations
from worker.engine.verbs.files import FileStore
from worker.engine.verbs.providers import Providers
from worker.words.activity import AgentActivityThread
from worker.words.actors import AuditAction
from worker.words.agents import AgentRecord
from worker.words.answer_links import Told
from worker.words.attempts import Attempt
from worker.words.audit import AuditEntry, AuditQuery
from worker.words.changes import check_changes
from worker.words.conversations import (
    PARALLEL,
    STEER,
    WAITS_FOR_TURN,
    ConversationItem,
    ConversationQuery,
    ConversationRecord,
)
from worker.words.errors import AgentNotFound, Conflict, TaskNotFound, ValidationError
from worker.words.events import NewEvent, TaskUpdateEvent
from worker.words.ids import check_id, new_id
from worker.words.messages import NewMessage
from worker.words.providers import ProviderState
from worker.words.requests import InputAnswer, OpenRequest, RequestQuery
from worker.words.signals import NewSignal
from worker.words.statuses import TERMINAL, WHOLE_TASK, AgentExecutionStatus
from worker.words.task_lists import TaskItem, TaskQuery
from worker.words.tasks import NewTask, TaskRecord, with_agents_model
from worker.words.texts import clean
from worker.words.tools import ToolInvocationResult
from worker.words.unseen import name_of
from worker.words.watching import Creation, watched
from worker.words.work import KeptFile, StoredFile

EVENTS_A_READ = 500
NOT_STORED = frozenset({"id", "organization_id", "version", "created_at", "announced", "announced_tools"})
"""What of an agent's record the platform itself knows."""


class EngineTasks:
    """What clients ask for, for one organization.

    Args:
        core: This process's hold on the database.
        organization_id: Whose tasks.
        links: Makes the links of requests for whoever asks; None means the server does, which knows who that is.
    """

    def __init__(self, core: Core, organization_id: str, links: AnswerLinks | None = None) -> None:
        self._core = core
        self._links = links
        self._organization = organization_id
        self._files = FileStore(core, organization_id)
        self.conversations = Conversations(core, organization_id)
        self._audit = EngineAudit(core, organization_id)

    @bounded
    async def create(self, new: NewTask, *, under: str | None = None, key: str | None = None) -> TaskRecord:
        """Store a pending task; a known id runs a finished task again with the new input.

        Args:
            new: The wish.
            under: The id of a task that does not exist yet, where the caller had to know it beforehand.
            key: What its id is made of instead: a second wish with it is answered with the task of the first.
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
            except Conflict:  # another wish with the same key may have made it at the same moment
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
        if has_secrets or self._core.vault.everything:
            await self._core.check_key()
        new = await self._in_conversation(new)
        mode = None
        if new.conversation_id is not None and not (new.run_locally and new.worker_id):
            mode = await self.conversations.enter(new)
        if mode == STEER and (told := await self._steered(new)) is not None:
            return told
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

    async def _steered(self, new: NewTask) -> TaskRecord | None:
        """Say it to the task whose turn it is; None means there is none."""
        while (task_id := await self.conversations.steer(new)) is not None:
            with suppress(Conflict, TaskNotFound):  # it has just ended
                return await self.send(task_id, NewMessage(text=new.input.text or ""))
        return None

    async def _in_conversation(self, new: NewTask) -> NewTask:
        """A wish that continues a task continues its conversation. Raises: ValidationError (it names another)."""
        if new.id is None:
            return new
        known = (await self._row(new.id))["settings"].get("conversation_id")
        if new.conversation_id not in (None, known or new.id):
            what = "belongs to no conversation" if known is None else f"belongs to conversation {known!r}"
            raise ValidationError(f"Task {new.id!r} {what}.", field="conversation_id")
        return new if known is None else new.model_copy(update={"conversation_id": known})

    async def _renew(self, task_id: str, new: NewTask, settings: dict[str, Any], state: dict[str, Any]) -> TaskRecord:
        place = await self.conversations.place() if TAKES_TURNS in state else None
        renewal = Renewal(new.agent_id, settings_columns(settings), state, uploads(settings), place)
        async with self._audit.of(AuditAction.TaskRetried, f"task {task_id}", task=task_id, with_new_input=True):
            await self._core.writer.write(Retry(self._organization, task_id, renewal, text_size(settings)))
        return await self.get(task_id)

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
        if new.run_locally and new.worker_id:  # the caller runs it itself: it is not dispatched
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
    async def get(self, task_id: str) -> TaskRecord:
        """Read a task."""
        return await self._with_model(task_record(await self._row(task_id)))

    async def _with_model(self, task: TaskRecord) -> TaskRecord:
        said = await self._core.models.of(self._organization, [task.agent_id])
        return await self._linked(with_agents_model(task, said[task.agent_id]))

    async def _linked(self, record: Told) -> Told:
        return record if self._links is None else await self._links.told(record, self._organization)

    async def _row(self, task_id: str, *, patient: bool = False) -> dict[str, Any]:
        rows = await self._core.read(sql_tasks.GET_TASK, (clean(task_id), self._organization), patient=patient)
        if not rows:
            raise TaskNotFound(task_id)
        return rows[0]

    @bounded
    async def find(self, query: TaskQuery) -> list[TaskItem]:
        """List tasks, newest first."""
        return [task_item(row) for row in await queries.find(self._core, self._organization, query)]

    @bounded
    async def counts(self, query: TaskQuery) -> dict[AgentExecutionStatus, int]:
        """Count tasks by status."""
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
        """Store changed fields; answers the task as it stands then."""
        checked = check_changes(changes)
        if checked or attempt is not None:
            save = Save(self._organization, task_id, attempt, checked, origin, sequence)
            if attempt is None and checked.get("status") == AgentExecutionStatus.Stopped:
                async with self._audit.of(AuditAction.TaskStopped, f"task {task_id}", task=task_id):
                    await self._core.writer.write(save)
            else:
                await self._core.writer.write(save)
            if attempt is None and checked.get("status") == AgentExecutionStatus.Executing:
                self._core.tell("", [task_id])  # no event says that it was begun; who assigns to its holder must hear
        task = await self._with_model(task_record(await self._row(task_id, patient=attempt is not None)))
        return task if attempt is not None or "status" not in checked else await self._with_children_stopped(task)

    @bounded
    async def stop(self, task_id: str) -> TaskRecord:
        """End a task as stopped."""
        async with self._audit.of(AuditAction.TaskStopped, f"task {task_id}", task=task_id):
            await self._core.writer.write(Stop(self._organization, task_id))
        return await self._with_children_stopped(await self.get(task_id))

    async def _with_children_stopped(self, task: TaskRecord) -> TaskRecord:
        """Have the children of a task stopped that was stopped itself; one that had ended before leaves them alone."""
        if task.status is AgentExecutionStatus.Stopped:
            await stop_children(self._core, self._organization, task.id)
        return task

    @bounded
    async def retry(self, task_id: str, *, resume: bool | None = None) -> TaskRecord:
        """Queue a finished or paused task again, from its start or where it stood."""
        async with self._audit.of(AuditAction.TaskRetried, f"task {task_id}", task=task_id):
            await self._core.writer.write(Retry(self._organization, task_id, resumes=resume))
        return await self.get(task_id)

    @bounded
    async def send(self, task_id: str, message: NewMessage) -> TaskRecord:
        """Say something to a task's agent."""
        change = input_answers.messaging(self._organization, task_id, message)
        async with self._audit.of(AuditAction.TaskSentMessage, f"task {task_id}", task=task_id):
            await self._core.writer.write(change)
        return await self.get(task_id)

    @bounded
    async def conversation(self, conversation_id: str, query: ConversationQuery) -> ConversationRecord:
        """Tell a conversation."""
        return await conversation_views.told(self._core, self._organization, conversation_id, query)

    @bounded
    async def find_conversations(self, query: ConversationQuery) -> list[ConversationItem]:
        """List conversations, the one with the newest task first."""
        return await conversation_views.listed(self._core, self._organization, query)

    @bounded
    async def skip(self, task_id: str) -> TaskRecord:
        """Have the others of a task's conversation go on without it."""
        change = Skip(self._organization, task_id, await self.conversations.place())
        async with self._audit.of(AuditAction.TaskSkipped, f"task {task_id}", task=task_id):
            await self._core.writer.write(change)
        return await self.get(task_id)

    @bounded
    async def answer(self, task_id: str, answers: Sequence[InputAnswer]) -> TaskRecord:
        """Answer what a paused task asks."""
        task = await self.get(task_id)
        await input_answers.check_values(task, answers)
        async with self._audit.of(AuditAction.TaskAnswered, f"task {task_id}", task=task_id):
            await self._core.writer.write(input_answers.answering(self._organization, task, answers))
        return await self.get(task_id)

    @bounded
    async def signal(self, task_id: str, signal: NewSignal) -> TaskRecord:
        """Tell a task something by name."""
        change = input_answers.signalling(self._organization, task_id, signal)
        async with self._audit.of(AuditAction.TaskSignalled, f"task {task_id}", task=task_id, signal=signal.name[:200]):
            await self._core.writer.write(change)
        return await self.get(task_id)

    @bounded
    async def requests(self, query: RequestQuery) -> list[OpenRequest]:
        """List what waits for a person."""
        found = await input_answers.inbox(self._core, self._organization, query)
        return [await self._linked(each) for each in found]

    @bounded
    async def push(self, task_id: str, events: Sequence[NewEvent], *, attempt: int | None = None) -> None:
        """Append events."""
        if events:
            await self._core.writer.write(Append(self._organization, task_id, attempt, events))

    async def events(self, task_id: str, *, after: int = 0, follow: bool = True) -> AsyncGenerator[TaskUpdateEvent]:
        """Read a task's log from a number on, and wait for more."""

        def log() -> Asked:
            return sql_log.READ_LOG, (after, EVENTS_A_READ, clean(task_id))

        if follow:
            self._core.listen()
        with self._core.wakeups.watch(task_id) as changed:
            found, changes, rows = await self._core.read_each(*self._asked(task_id, after), log())
            history = await self._composed(task_id, found, changes)
            while True:
                for row in rows:
                    if row["number"] is None:
                        continue
                    if is_renewal(row):  # the task's row holds what it was given anew
                        history = await self._history(task_id, after)
                    yield await self._linked(history.event(row))
                    after = row["number"]
                if len(rows) < EVENTS_A_READ:
                    if not follow or not rows or _is_over(rows[0], after):
                        return
                    await within(changed, self._core.poll)
                changed.clear()
                rows = await self._core.read(*log())

    @bounded
    async def event(self, task_id: str, number: int) -> TaskUpdateEvent:
        """Read one event."""
        (row,) = await self._core.read(sql_log.READ_EVENT, (task_id, number))
        history = await self._history(task_id, number - 1 if row["type"] in WHOLE_TASK else 0)
        return await self._linked(history.event(row))

    async def _history(self, task_id: str, upto: int) -> History:
        """The task as it stood at an event, ready to be told on from there."""
        found, changes = await self._core.read_each(*self._asked(task_id, upto))
        return await self._composed(task_id, found, changes)

    def _asked(self, task_id: str, upto: int) -> tuple[Asked, Asked]:
        """What a history is composed of: the task, and its changes up to an event."""
        known = clean(task_id)
        return (sql_tasks.GET_TASK, (known, self._organization)), (sql_log.READ_CHANGES, (known, upto))

    async def _composed(
        self, task_id: str, found: Sequence[dict[str, Any]], changes: Sequence[dict[str, Any]]
    ) -> History:
        if not found:
            raise TaskNotFound(task_id)
        renewals: dict[int, dict[str, Any]] = {}
        if found[0]["state"].get(RENEWED):
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

    async def store_file(self, name: str, media_type: str, content: bytes) -> str:
        """Store a file by its digest."""
        return await self._files.store(name, media_type, content)

    async def open_file(self, reference: str) -> StoredFile:
        """Read a stored file."""
        return await self._files.open(reference)

    @bounded
    async def kept_files(self, task_id: str) -> list[KeptFile]:
        """What is stored of a task's files."""
        return await self._files.kept(task_id) or await self._none_of(task_id)

    async def _none_of(self, task_id: str) -> list[KeptFile]:
        await self._row(task_id)
        return []

    @bounded
    async def get_agent(self, agent_id: str) -> AgentRecord:
        """Read an agent."""
        rows = await self._core.read(sql_agents.GET_AGENT, (self._organization, clean(agent_id)))
        if not rows:
            raise AgentNotFound(agent_id)
        return self._agent(rows[0])

    async def invoke_tool(
        self, agent_id: str, tool: str, payload: Mapping[str, Any], *, key: str | None = None
    ) -> ToolInvocationResult:
        """Have a worker call a tool of an agent."""
        under = None if key is None else tool_calls.task_id_of(self._organization, agent_id, tool, payload, key)
        return await tool_calls.invoke(self, agent_id, tool, payload, under=under)

    @bounded
    async def providers(self) -> list[ProviderState]:
        """List the providers whose last call failed."""
        return await Providers(self._core, self._organization).listed()

    @bounded
    async def resume_provider(self, provider_id: str) -> ProviderState:
        """Have the tasks that wait for a provider tried at once."""
        async with self._audit.of(AuditAction.ProviderResumed, f"provider {provider_id}"):
            return await Providers(self._core, self._organization).resume(provider_id)

    @bounded
    async def fail_provider(self, provider_id: str) -> ProviderState:
        """End the tasks that wait for a provider."""
        async with self._audit.of(AuditAction.ProviderFailed, f"provider {provider_id}"):
            return await Providers(self._core, self._organization).fail(provider_id)

    @bounded
    async def audit(self, query: AuditQuery) -> list[AuditEntry]:
        """List the lines of the audit log that fit, the newest first."""
        return await self._audit.find(query)

    @bounded
    async def list_agents(self) -> list[AgentRecord]:
        """Read all agents."""
        return [self._agent(row) for row in await self._core.read(sql_agents.LIST_AGENTS, (self._organization,))]

    @bounded
    async def save_agent(self, agent: AgentRecord) -> AgentRecord:
        """Store an agent under its next version."""
        check_id(agent.id, "id")
        record = agent.model_dump(exclude=set(NOT_STORED))
        record["name"] = name_of(clean(agent.name))
        async with self._audit.of(AuditAction.AgentSaved, f"agent {agent.id}", agent=agent.id):
            await self._core.rows(
                sql_agents.SAVE_AGENT, (self._organization, agent.id, encode(self._core.vault.marked(record)))
            )
        self._core.models.forget(self._organization, agent.id)
        return await self.get_agent(agent.id)

    @bounded
    async def delete_agent(self, agent_id: str) -> AgentRecord:
        """Take an agent off the list."""
        async with self._audit.of(AuditAction.AgentDeleted, f"agent {agent_id}", agent=clean(agent_id)):
            rows = await self._core.rows(sql_agents.DELETE_AGENT, (self._organization, clean(agent_id)))
            if not rows:
                raise AgentNotFound(agent_id)
        return self._agent(rows[0])

    def _agent(self, row: Mapping[str, Any]) -> AgentRecord:
        return AgentRecord.model_validate(
            {
                **row["record"],
                "id": row["id"],
                "organization_id": self._organization,
                "announced": row["announced"],
                "version": row["version"],
                "created_at": row["created_at"],
                "announced_tools": tool_calls.tools_of(row["id"], row.get("tools") or []),
            }
        )


def _is_over(row: Mapping[str, Any], seen: int) -> bool:
    return row["status"] in TERMINAL and row["last_event"] <= seen
