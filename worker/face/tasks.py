"""The tasks of a platform: create, look up, change, stop, follow."""

from collections.abc import AsyncGenerator, Generator, Sequence
from typing import Any, Unpack

from worker.contracts import Platform
from worker.face import bridge
from worker.face.answers import Said, answers_of, message_of, named, signal_of
from worker.face.changes import checked
from worker.face.configuration import Configuration
from worker.face.options import TaskOptions, in_order, new_task
from worker.face.task import Task
from worker.face.task_lists import (
    TaskFilters,
    TasksListItem,
    UserTaskFilters,
    conversations_query,
    query_of,
    requests_query,
)
from worker.face.task_saving import Verb, writer_of
from worker.face.uploads import FileSource, upload
from worker.words.conversations import ConversationItem, ConversationRecord
from worker.words.events import TaskUpdateEvent
from worker.words.requests import OpenRequest
from worker.words.task_lists import TaskItem
from worker.words.tasks import TaskRecord


class Tasks:
    """The tasks of a platform. Each method ``aX`` has a twin ``X`` that blocks, with or without a running loop.

    Args:
        configuration: Which platform; None means what the environment says.
    """

    def __init__(self, configuration: Configuration | None = None) -> None:
        self.configuration = configuration

    async def acreate(
        self,
        agent_id: str,
        prompt: str | None = "",
        file_urls: Sequence[FileSource] | str | None = None,
        *more: Any,
        **options: Unpack[TaskOptions],
    ) -> Task:
        """Create a task for an agent; once this returns the task is never lost.

        Args:
            agent_id: The agent.
            prompt: What it is asked.
            file_urls: URLs as text; local files as ``pathlib.Path``, which are uploaded.
            more: None, as a rule. By position xpander-sdk has it in another order, which is known by the text in the
                place of the files: ``existing_task_id``, ``prompt``, ``file_urls``, ``user_details``.
            options: See ``TaskOptions``.

        Raises:
            ModuleException: 422: neither prompt nor files, an option that does not fit, a path given as text;
                409: ``existing_task_id`` is not finished.
        """
        creating = _creating(agent_id, *in_order(prompt, file_urls, more, options))
        return Task.of(await bridge.across(creating, self.configuration), self.configuration)

    def create(
        self,
        agent_id: str,
        prompt: str | None = "",
        file_urls: Sequence[FileSource] | str | None = None,
        *more: Any,
        **options: Unpack[TaskOptions],
    ) -> Task:
        """Create a task, as ``acreate`` does."""
        creating = _creating(agent_id, *in_order(prompt, file_urls, more, options))
        return Task.of(bridge.block(creating, self.configuration), self.configuration)

    async def aget(self, task_id: str) -> Task:
        """Load a task. Raises: ModuleException (404: there is none)."""
        return await Task.aload(task_id, self.configuration)

    def get(self, task_id: str) -> Task:
        """Load a task, as ``aget`` does."""
        return Task.load(task_id, self.configuration)

    async def alist(
        self, agent_id: str | None = None, filters: TaskFilters | None = None, **more: Unpack[TaskFilters]
    ) -> "list_[TasksListItem]":
        """List tasks, newest first.

        Args:
            agent_id: Of one agent; None means of all.
            filters: Further filters as a dictionary.
            more: The same by name; see ``TaskFilters``.
        """
        query = query_of({"agent_id": agent_id, **(filters or {}), **more})
        return self._items(await bridge.across(lambda platform: platform.tasks.find(query), self.configuration))

    def list(
        self, agent_id: str | None = None, filters: TaskFilters | None = None, **more: Unpack[TaskFilters]
    ) -> "list_[TasksListItem]":
        """List tasks, as ``alist`` does."""
        query = query_of({"agent_id": agent_id, **(filters or {}), **more})
        return self._items(bridge.block(lambda platform: platform.tasks.find(query), self.configuration))

    async def alist_user_tasks(
        self, user_id: str, filters: UserTaskFilters | None = None, **more: Unpack[UserTaskFilters]
    ) -> "list_[TasksListItem]":
        """List the tasks done for a user, of all agents, newest first; filters as in ``alist``."""
        query = query_of({**(filters or {}), **more, "user_id": user_id})
        return self._items(await bridge.across(lambda platform: platform.tasks.find(query), self.configuration))

    def list_user_tasks(
        self, user_id: str, filters: UserTaskFilters | None = None, **more: Unpack[UserTaskFilters]
    ) -> "list_[TasksListItem]":
        """List the tasks done for a user, as ``alist_user_tasks`` does."""
        query = query_of({**(filters or {}), **more, "user_id": user_id})
        return self._items(bridge.block(lambda platform: platform.tasks.find(query), self.configuration))

    async def aupdate(self, task_id: str, **changes: Any) -> Task:
        """Change fields of a task.

        Args:
            task_id: Which.
            changes: ``status``, ``result``, ``internal_status``, ``title`` and the others of ``Task.MUTABLE``;
                ``tool_call_payload_extension`` is another name of ``payload_extension``. None means: as it is.

        Raises:
            ModuleException: 404: there is no such task; 422: a field that is unknown, fixed, or does not fit.
        """
        return Task.of(await bridge.across(_updating(task_id, changes), self.configuration), self.configuration)

    def update(self, task_id: str, **changes: Any) -> Task:
        """Change fields of a task, as ``aupdate`` does."""
        return Task.of(bridge.block(_updating(task_id, changes), self.configuration), self.configuration)

    async def astop(self, task_id: str) -> Task:
        """Stop a task; a finished one stays as it is. Raises: ModuleException (404: there is none)."""
        record = await bridge.across(lambda platform: platform.tasks.stop(task_id), self.configuration)
        return Task.of(record, self.configuration)

    def stop(self, task_id: str) -> Task:
        """Stop a task, as ``astop`` does."""
        record = bridge.block(lambda platform: platform.tasks.stop(task_id), self.configuration)
        return Task.of(record, self.configuration)

    async def aretry(self, task_id: str, *, resume: bool | None = None) -> Task:
        """Have a finished or paused task done again.

        Args:
            task_id: The task.
            resume: See ``Task.aretry``.

        Raises:
            ModuleException: 404: there is no such task; 409: it is not finished.
        """
        record = await bridge.across(lambda platform: platform.tasks.retry(task_id, resume=resume), self.configuration)
        return Task.of(record, self.configuration)

    def retry(self, task_id: str, *, resume: bool | None = None) -> Task:
        """Have a task done again, as ``aretry`` does."""
        record = bridge.block(lambda platform: platform.tasks.retry(task_id, resume=resume), self.configuration)
        return Task.of(record, self.configuration)

    async def aanswer(self, task_id: str, request_id: str | None = None, /, **said: Unpack[Said]) -> Task:
        """Answer what a paused task asks, as ``Task.aanswer`` does."""
        return Task.of(
            await bridge.across(_answering(task_id, request_id, said), self.configuration), self.configuration
        )

    def answer(self, task_id: str, request_id: str | None = None, /, **said: Unpack[Said]) -> Task:
        """Answer what a paused task asks, as ``aanswer`` does."""
        return Task.of(bridge.block(_answering(task_id, request_id, said), self.configuration), self.configuration)

    async def asignal(self, task_id: str, name: str, data: Any = None) -> Task:
        """Tell a task something by name; a handler waits for it with ``context.wait_for``.

        Args:
            task_id: Which.
            name: The signal's, such as ``invoice.paid``.
            data: What comes with it, as JSON has it.

        Raises:
            ModuleException: 404: there is no such task; 409: it has ended; 422: there is no name, or too much data.
        """
        signal = signal_of(name, data)
        record = await bridge.across(lambda platform: platform.tasks.signal(task_id, signal), self.configuration)
        return Task.of(record, self.configuration)

    def signal(self, task_id: str, name: str, data: Any = None) -> Task:
        """Tell a task something by name, as ``asignal`` does."""
        signal = signal_of(name, data)
        record = bridge.block(lambda platform: platform.tasks.signal(task_id, signal), self.configuration)
        return Task.of(record, self.configuration)

    async def asend(self, task_id: str, text: str) -> Task:
        """Say something to a task's agent, as ``Task.asend`` does."""
        message = message_of(text)
        record = await bridge.across(lambda platform: platform.tasks.send(task_id, message), self.configuration)
        return Task.of(record, self.configuration)

    def send(self, task_id: str, text: str) -> Task:
        """Say something to a task's agent, as ``asend`` does."""
        message = message_of(text)
        record = bridge.block(lambda platform: platform.tasks.send(task_id, message), self.configuration)
        return Task.of(record, self.configuration)

    async def askip(self, task_id: str) -> Task:
        """Have the others of its conversation go on without a task that waits for a retry, a time or a person.

        It goes on when it can: to the end of the queue at once where it waits for a retry, and otherwise once what it
        waits for is there.

        Raises:
            ModuleException: 404: there is no such task; 409: it keeps nobody waiting.
        """
        return Task.of(
            await bridge.across(lambda platform: platform.tasks.skip(task_id), self.configuration), self.configuration
        )

    def skip(self, task_id: str) -> Task:
        """Have the others go on without a task, as ``askip`` does."""
        return Task.of(
            bridge.block(lambda platform: platform.tasks.skip(task_id), self.configuration), self.configuration
        )

    async def aconversation(
        self, conversation_id: str, agent_id: str | None = None, *, limit: int = 100
    ) -> ConversationRecord:
        """Read what was asked and answered in a conversation, the first turn first.

        Args:
            conversation_id: Which; a task that belongs to none and was continued is one under its own id.
            agent_id: Only this agent's tasks; None means every agent's.
            limit: How many tasks at the most, 1 to 1,000: the newest.

        Raises:
            ModuleException: 404: no task of it is there.
        """
        query = conversations_query(agent_id, limit)
        return await bridge.across(
            lambda platform: platform.tasks.conversation(conversation_id, query), self.configuration
        )

    def conversation(
        self, conversation_id: str, agent_id: str | None = None, *, limit: int = 100
    ) -> ConversationRecord:
        """Read a conversation, as ``aconversation`` does."""
        query = conversations_query(agent_id, limit)
        return bridge.block(lambda platform: platform.tasks.conversation(conversation_id, query), self.configuration)

    async def aconversations(self, agent_id: str | None = None, *, limit: int = 100) -> "list_[ConversationItem]":
        """List conversations, the one with the newest task first.

        Args:
            agent_id: Only with tasks of this agent; None means of any.
            limit: How many at the most, 1 to 1,000.
        """
        query = conversations_query(agent_id, limit)
        return await bridge.across(lambda platform: platform.tasks.find_conversations(query), self.configuration)

    def conversations(self, agent_id: str | None = None, *, limit: int = 100) -> "list_[ConversationItem]":
        """List conversations, as ``aconversations`` does."""
        query = conversations_query(agent_id, limit)
        return bridge.block(lambda platform: platform.tasks.find_conversations(query), self.configuration)

    async def arequests(
        self, agent_id: str | None = None, *, limit: int = 100, after: str | None = None
    ) -> "list_[OpenRequest]":
        """List what waits for a person, the longest waiting first.

        Args:
            agent_id: Only this agent's tasks'; None means every agent's.
            limit: How many tasks at the most, 1 to 1,000.
            after: Page on: the id of the last task of the page before.
        """
        query = requests_query(agent_id, limit, after)
        return await bridge.across(lambda platform: platform.tasks.requests(query), self.configuration)

    def requests(
        self, agent_id: str | None = None, *, limit: int = 100, after: str | None = None
    ) -> "list_[OpenRequest]":
        """List what waits for a person, as ``arequests`` does."""
        query = requests_query(agent_id, limit, after)
        return bridge.block(lambda platform: platform.tasks.requests(query), self.configuration)

    async def aevents(self, task_id: str, after: int = 0) -> AsyncGenerator[TaskUpdateEvent, None]:
        """Follow a task's events, from the one after ``after``; see ``Task.aevents``."""
        async for event in (await self.aget(task_id)).aevents(after):
            yield event

    def events(self, task_id: str, after: int = 0) -> Generator[TaskUpdateEvent, None, None]:
        """Follow a task's events, as ``aevents`` does."""
        yield from self.get(task_id).events(after)

    async def aupload(self, source: FileSource | bytes, name: str | None = None) -> str:
        """Upload a file.

        Args:
            source: A local file, or the bytes themselves.
            name: What to call it; default: the name of the local file.

        Returns:
            A reference for ``file_urls``.
        """
        return await bridge.across(lambda platform: upload(platform, source, name), self.configuration)

    def upload(self, source: FileSource | bytes, name: str | None = None) -> str:
        """Upload a file, as ``aupload`` does."""
        return bridge.block(lambda platform: upload(platform, source, name), self.configuration)

    def _items(self, items: Sequence[TaskItem]) -> "list_[TasksListItem]":
        return [TasksListItem.of(item, self.configuration) for item in items]


list_ = list  # within the class above ``list`` is its method


def _creating(
    agent_id: str, prompt: str | None, files: Sequence[FileSource] | None, options: TaskOptions
) -> Verb[TaskRecord]:
    async def create(platform: Platform) -> TaskRecord:
        return await platform.tasks.create(await new_task(platform, agent_id, prompt, files, options))

    return create


def _updating(task_id: str, given: dict[str, Any]) -> Verb[TaskRecord]:
    changes = {name: value for name, value in given.items() if value is not None}
    if "tool_call_payload_extension" in changes:
        changes["payload_extension"] = changes.pop("tool_call_payload_extension")
    sent = checked(changes)
    attempt, origin = writer_of(task_id)
    return lambda platform: platform.tasks.update(task_id, sent, attempt=attempt, origin=origin)


def _answering(task_id: str, request_id: str | None, said: Said) -> Verb[TaskRecord]:
    answers = answers_of(request_id, said)

    async def answer(platform: Platform) -> TaskRecord:
        if all(each.id is not None for each in answers):
            return await platform.tasks.answer(task_id, answers)
        record = await platform.tasks.get(task_id)
        return await platform.tasks.answer(task_id, named(answers, record.hitl_request))

    return answer
