"""The verbs of clients."""

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
    """The verbs of clients and, for providers and the audit log, of operators.

    Every verb sees only its own organization: tasks of others are not found. A verb described by "Return" or "Yield"
    changes nothing.
    """

    async def create(self, new: NewTask, *, key: str | None = None) -> TaskRecord:
        """Create a pending task and its ``task_created`` event, durably. The id of a finished task reruns that task.

        An agent takes one task of a conversation at a time, in order of creation, unless its handler has another rule.

        Args:
            new: The task.
            key: An Idempotency-Key: creating a task with the same key again returns the first one.

        Raises:
            NotFound: ``id`` is unknown, and the platform assigns ids itself.
            Conflict: The existing task is not finished, or the conversation is busy and its agent rejects others.
            ValidationError: The task is invalid.
        """
        ...

    async def get(self, task_id: str) -> TaskRecord:
        """Return a task.

        Raises:
            TaskNotFound: There is no such task.
        """
        ...

    async def find(self, query: TaskQuery) -> list[TaskItem]:
        """Return tasks, newest first, at most ``query.limit``, after ``query.before``."""
        ...

    async def counts(self, query: TaskQuery) -> dict[AgentExecutionStatus, int]:
        """Return the number of tasks that match, by status, among the newest 10,000 of each.

        If the query names agents, a user, a parent or an internal status, these are the newest 10,000 of theirs. The
        query's statuses, ``limit`` and ``before`` are ignored: the answer contains every status.
        """
        ...

    async def update(
        self, task_id: str, changes: Mapping[str, Any], *, attempt: int | None = None, origin: str | None = None
    ) -> TaskRecord:
        """Store changed fields and a ``task_updated`` event. None clears a field.

        Without an attempt, any client may call this: ``pending`` is ignored; ``executing`` takes a pending task out of
        the queue for an outside holder; a terminal status ends the task and fences its run. On a terminal task the
        first terminal status remains: only ``internal_status`` can change, and the ``result`` of a completed task that
        has none yet. A run that ended its own task with such a save may still store its result.

        Args:
            task_id: The task.
            changes: The fields.
            attempt: The attempt of the run that saves, which must own the task.
            origin: The handler of a delivery that saves, which gets no delivery of this event.

        Raises:
            TaskNotFound: There is no such task.
            LeaseLost: The attempt no longer owns the task.
            ValidationError: A field is invalid.
            TooLarge: The result is larger than 50 MiB.
            Unsupported: The platform cannot clear fields.
        """
        ...

    async def stop(self, task_id: str) -> TaskRecord:
        """End an unfinished task as ``stopped`` and fence its run. A terminal task is left unchanged.

        Raises:
            TaskNotFound: There is no such task.
        """
        ...

    async def retry(self, task_id: str, *, resume: bool | None = None) -> TaskRecord:
        """Make a terminal or paused task pending again.

        Args:
            task_id: The task.
            resume: Whether to keep the journal; a paused task always does. None means yes, unless the task was
                completed.

        Raises:
            TaskNotFound: There is no such task.
            Conflict: The task is neither terminal nor paused.
        """
        ...

    async def answer(self, task_id: str, answers: Sequence[InputAnswer]) -> TaskRecord:
        """Answer requests of a paused task, all or none. Once no request is open, the task is pending again.

        The same answer again changes nothing.

        Raises:
            TaskNotFound: There is no such task.
            NotFound: The task has no request with this id.
            Conflict: The task waits for nothing, or the request has a different answer.
            ValidationError: An answer does not fit its request; the field is named.
            Unsupported: The platform has no requests.
        """
        ...

    async def signal(self, task_id: str, signal: NewSignal) -> TaskRecord:
        """Send a named signal to a task, which keeps it until the task ends. A task that waits for it continues.

        Raises:
            TaskNotFound: There is no such task.
            Conflict: The task has ended.
            ValidationError: The signal is invalid.
            Unsupported: The platform has no signals.
        """
        ...

    async def conversation(self, conversation_id: str, query: ConversationQuery) -> ConversationRecord:
        """Return the questions and answers of a conversation, the first turn first.

        A continued task that belongs to no conversation is one under its own id.

        Raises:
            NotFound: The conversation has no tasks.
            Unsupported: The platform has no conversations.
        """
        ...

    async def find_conversations(self, query: ConversationQuery) -> list[ConversationItem]:
        """Return conversations, the one with the newest task first.

        Raises:
            Unsupported: The platform has no conversations.
        """
        ...

    async def send(self, task_id: str, message: NewMessage) -> TaskRecord:
        """Send a message to a task's agent, which reads it before its next model call, or in its next attempt.

        Raises:
            TaskNotFound: There is no such task.
            Conflict: The task has ended.
            Unsupported: The platform has no messages.
        """
        ...

    async def skip(self, task_id: str) -> TaskRecord:
        """Let a conversation continue without a waiting task, which continues when it can, behind the others.

        Raises:
            TaskNotFound: There is no such task.
            Conflict: The task is not waiting, or takes no turns.
            Unsupported: The platform has no conversations.
        """
        ...

    async def requests(self, query: RequestQuery) -> list[OpenRequest]:
        """Return open requests to people, the longest-waiting first.

        Raises:
            Unsupported: The platform has no requests.
        """
        ...

    def events(self, task_id: str, *, after: int = 0, follow: bool = True) -> AsyncIterator[TaskUpdateEvent]:
        """Yield every event numbered above ``after``, in order and without gaps.

        With ``follow``, wait for more, until the task is terminal and its last event was yielded.

        Raises:
            TaskNotFound: There is no such task.
        """
        ...

    async def push(self, task_id: str, events: Sequence[NewEvent], *, attempt: int | None = None) -> None:
        """Append events to a task that is not terminal.

        Raises:
            TaskNotFound: There is no such task.
            Conflict: The task is terminal.
            LeaseLost: The attempt no longer owns the task.
        """
        ...

    async def activity(self, task_id: str) -> AgentActivityThread:
        """Return the activity log, composed from the events.

        Raises:
            TaskNotFound: There is no such task.
        """
        ...

    async def attempts(self, task_id: str) -> list[Attempt]:
        """Return the task's attempts with their outcomes, the first one first, including those before a manual retry.

        Raises:
            TaskNotFound: There is no such task.
            Unsupported: The platform does not record attempts.
        """
        ...

    async def store_file(self, name: str, media_type: str, content: bytes) -> str:
        """Store a file under its digest, identical files only once, and return its reference.

        Raises:
            TooLarge: The file is too large.
            ValidationError: The file is empty.
        """
        ...

    async def open_file(self, reference: str) -> StoredFile:
        """Return a stored file.

        Raises:
            FileNotStored: There is no such file.
        """
        ...

    async def kept_files(self, task_id: str) -> list[KeptFile]:
        """Return the stored copies of files from a task's URLs.

        Raises:
            TaskNotFound: There is no such task.
        """
        ...

    async def get_agent(self, agent_id: str) -> AgentRecord:
        """Return an agent that was created, or announced by a worker.

        Raises:
            AgentNotFound: There is no such agent.
        """
        ...

    async def invoke_tool(
        self, agent_id: str, tool: str, payload: Mapping[str, Any], *, key: str | None = None
    ) -> ToolInvocationResult:
        """Have a worker that serves the agent call its tool, as a task, within the tool's own time limit.

        Args:
            agent_id: The agent.
            tool: The tool's name.
            payload: The arguments.
            key: Identifies the call: repeating it with the same key does not make another call.

        Returns:
            The result, which includes the tool's errors and refusals of the payload.

        Raises:
            AgentNotFound: There is no such agent.
            ToolNotFound: No live worker has the tool.
        """
        ...

    async def providers(self) -> list[ProviderState]:
        """Return the providers whose last call failed, the longest unavailable first."""
        ...

    async def resume_provider(self, provider_id: str) -> ProviderState:
        """Let all tasks that wait for a provider run now, and return the provider's former state.

        Raises:
            NotFound: There is no such provider.
        """
        ...

    async def fail_provider(self, provider_id: str) -> ProviderState:
        """End all tasks that wait for a provider as errors, and return the provider's former state.

        Raises:
            NotFound: There is no such provider.
        """
        ...

    async def audit(self, query: AuditQuery) -> list[AuditEntry]:
        """Return the matching entries of the audit log, newest first.

        An entry records who did what to which row, when and from where: keys created and revoked, agents saved and
        deleted, tasks stopped and rerun, providers and deliveries, sign-ins, and refusals.

        Raises:
            Unsupported: The platform has no audit log.
        """
        ...

    async def list_agents(self) -> list[AgentRecord]:
        """Return all agents, by name."""
        ...

    async def save_agent(self, agent: AgentRecord) -> AgentRecord:
        """Create an agent, or store its next version."""
        ...

    async def delete_agent(self, agent_id: str) -> AgentRecord:
        """Remove an agent from the list, and return its last record. Its tasks remain.

        A worker that serves the agent announces it again when it next starts.

        Raises:
            AgentNotFound: There is no such agent.
        """
        ...
