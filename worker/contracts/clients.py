"""What clients ask a platform for."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Protocol

from worker.words.activity import AgentActivityThread
from worker.words.agents import AgentRecord
from worker.words.attempts import Attempt
from worker.words.audit import AuditEntry, AuditQuery
from worker.words.conversations import ConversationItem, ConversationQuery, ConversationRecord
from worker.words.events import NewEvent, TaskUpdateEvent
from worker.words.messages import NewMessage
from worker.words.providers import ProviderState
from worker.words.requests import InputAnswer, OpenRequest, RequestQuery
from worker.words.signals import NewSignal
from worker.words.statuses import AgentExecutionStatus
from worker.words.task_lists import TaskItem, TaskQuery
from worker.words.tasks import NewTask, TaskRecord
from worker.words.tools import ToolInvocationResult
from worker.words.work import KeptFile, StoredFile


class Tasks(Protocol):
    """What clients ask for. Every verb sees its own organization alone; another's task is not found."""

    async def create(self, new: NewTask, *, key: str | None = None) -> TaskRecord:
        """Anyone; stores a pending task and ``task_created``; durable on return; a known id runs a finished task again.

        With a ``key`` the same task is made once, and answered to whoever asks for it again.
        Of a conversation an agent takes one task at a time, in order of creation, unless its handler says otherwise.
        Raises: NotFound (``id`` unknown where the platform makes ids), Conflict (that task is not finished, or the
        conversation is busy and its agent rejects others), ValidationError.
        """
        ...

    async def get(self, task_id: str) -> TaskRecord:
        """Anyone; changes nothing. Raises: TaskNotFound."""
        ...

    async def find(self, query: TaskQuery) -> list[TaskItem]:
        """Anyone; newest first, at most ``query.limit``, after ``query.before``; changes nothing."""
        ...

    async def counts(self, query: TaskQuery) -> dict[AgentExecutionStatus, int]:
        """Anyone; how many tasks fit, by status, among the newest 10,000 of each; changes nothing.

        Where the query names agents, a user, a parent or an internal status, it is the newest 10,000 of theirs. The
        query's statuses, ``limit`` and ``before`` play no part: every status is in the answer.
        """
        ...

    async def update(
        self, task_id: str, changes: Mapping[str, Any], *, attempt: int | None = None, origin: str | None = None
    ) -> TaskRecord:
        """Anyone without an attempt, the owner with one; stores the changed fields and ``task_updated``; None clears.

        Without an attempt: ``pending`` is ignored, ``executing`` takes a pending task out of the queue for an outside
        holder, a terminal status ends the task and fences its run; on a terminal task the first terminal status wins
        and only ``internal_status`` changes, and the ``result`` of a completed one that has none yet. A run that ended
        its task by such a save may still say what came of it. ``origin`` is the delivery handler that saves: it gets no
        delivery of it.
        Raises: TaskNotFound, LeaseLost, ValidationError, TooLarge (a result over 50 MiB), Unsupported (clearing).
        """
        ...

    async def stop(self, task_id: str) -> TaskRecord:
        """Anyone; a task that is not terminal ends ``stopped`` and its run is fenced; a terminal one is unchanged.

        Raises: TaskNotFound.
        """
        ...

    async def retry(self, task_id: str, *, resume: bool | None = None) -> TaskRecord:
        """Anyone; a terminal or paused task is pending again. Raises: TaskNotFound, Conflict.

        It resumes where it stood, or its journal is dropped, as ``resume`` says; a paused one always resumes. None: a
        completed one begins anew, any other resumes.
        """
        ...

    async def answer(self, task_id: str, answers: Sequence[InputAnswer]) -> TaskRecord:
        """Anyone; gives a paused task its answers, all or none; once nothing is open the task is pending again.

        The same answer again changes nothing.

        Raises: TaskNotFound, NotFound (it asks for nothing under that id), Conflict (it waits for nothing, or was
        answered otherwise), ValidationError (it is not what was asked for; the field is named), Unsupported.
        """
        ...

    async def signal(self, task_id: str, signal: NewSignal) -> TaskRecord:
        """Anyone; tells a task something by name, kept until it ends; one that waits for it goes on.

        Raises: TaskNotFound, Conflict (it has ended), ValidationError, Unsupported.
        """
        ...

    async def conversation(self, conversation_id: str, query: ConversationQuery) -> ConversationRecord:
        """Anyone; what was asked and answered in a conversation, the first turn first; changes nothing.

        A task that belongs to none and was continued is a conversation under its own id.
        Raises: NotFound (no task of it is there), Unsupported.
        """
        ...

    async def find_conversations(self, query: ConversationQuery) -> list[ConversationItem]:
        """Anyone; conversations, the one with the newest task first; changes nothing. Raises: Unsupported."""
        ...

    async def send(self, task_id: str, message: NewMessage) -> TaskRecord:
        """Anyone; says something to a task's agent, which reads it before its next model call, or in its next attempt.

        Raises: TaskNotFound, Conflict (it has ended), Unsupported.
        """
        ...

    async def skip(self, task_id: str) -> TaskRecord:
        """Anyone; the others of its conversation go on without a task that waits; it goes on when it can, as the last.

        Raises: TaskNotFound, Conflict (it keeps nobody waiting), Unsupported.
        """
        ...

    async def requests(self, query: RequestQuery) -> list[OpenRequest]:
        """Anyone; what waits for a person, the longest waiting first; changes nothing. Raises: Unsupported."""
        ...

    def events(self, task_id: str, *, after: int = 0, follow: bool = True) -> AsyncIterator[TaskUpdateEvent]:
        """Anyone; every event numbered above ``after``, in order, without a gap; changes nothing.

        With ``follow`` it waits for more and ends when the task is terminal and its last event was seen.
        Raises: TaskNotFound.
        """
        ...

    async def push(self, task_id: str, events: Sequence[NewEvent], *, attempt: int | None = None) -> None:
        """Anyone; appends events to a task that is not terminal. Raises: TaskNotFound, Conflict, LeaseLost."""
        ...

    async def activity(self, task_id: str) -> AgentActivityThread:
        """Anyone; the activity log, composed from the events. Raises: TaskNotFound."""
        ...

    async def attempts(self, task_id: str) -> list[Attempt]:
        """Anyone; who ran it when and how that ended, the first attempt first, those before a retry by hand too.

        Raises: TaskNotFound, Unsupported (the platform tells nothing of them).
        """
        ...

    async def store_file(self, name: str, media_type: str, content: bytes) -> str:
        """Anyone; stores a file under its digest, once however often it comes, and answers its reference.

        Raises: TooLarge, ValidationError (empty).
        """
        ...

    async def open_file(self, reference: str) -> StoredFile:
        """Anyone; a stored file. Raises: FileNotStored."""
        ...

    async def kept_files(self, task_id: str) -> list[KeptFile]:
        """Anyone; which of a task's files are stored, and as what. Raises: TaskNotFound."""
        ...

    async def get_agent(self, agent_id: str) -> AgentRecord:
        """Anyone; an agent that was made or that a worker announced. Raises: AgentNotFound."""
        ...

    async def invoke_tool(
        self, agent_id: str, tool: str, payload: Mapping[str, Any], *, key: str | None = None
    ) -> ToolInvocationResult:
        """Anyone; a worker that serves the agent calls its tool, within the tool's own time limit; it is a task.

        What the tool raises, or does not take, is in the result. Again with the same key: the same call, not another.
        Raises: AgentNotFound, ToolNotFound.
        """
        ...

    async def providers(self) -> list[ProviderState]:
        """Operator; the providers whose last call failed, the longest away first; changes nothing."""
        ...

    async def resume_provider(self, provider_id: str) -> ProviderState:
        """Operator; tasks that wait for a provider are tried at once; how it stood. Raises: NotFound."""
        ...

    async def fail_provider(self, provider_id: str) -> ProviderState:
        """Operator; tasks that wait for a provider end as errors; how it stood. Raises: NotFound."""
        ...

    async def audit(self, query: AuditQuery) -> list[AuditEntry]:
        """Operator; the lines of the audit log that fit, the newest first; changes nothing.

        Who did what to which row, when, and from where: keys made and revoked, agents saved and deleted, tasks stopped
        and run again, providers and deliveries, sign-ins, and what was refused. Raises: Unsupported.
        """
        ...

    async def list_agents(self) -> list[AgentRecord]:
        """Anyone; all agents, by name."""
        ...

    async def save_agent(self, agent: AgentRecord) -> AgentRecord:
        """Anyone; makes an agent, or changes it under the next version."""
        ...

    async def delete_agent(self, agent_id: str) -> AgentRecord:
        """Anyone; the agent is listed no more, its tasks stay; a worker that serves it announces it at its next start.

        Answers the agent as it was. Raises: AgentNotFound.
        """
        ...
