"""The tasks of a platform: create, look up, change, stop and follow them."""

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
    """The tasks of a platform. Each method ``aX`` has a sync counterpart ``X``, which also works in a running loop.

    Methods that take a ``task_id`` raise ``ModuleException`` with the status code 404 if there is no such task.

    Args:
        configuration: The platform; None means the one that the environment names.
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
        """Create a task for an agent. Once this returns, the task is stored durably.

        Args:
            agent_id: The agent.
            prompt: The prompt.
            file_urls: URLs as text; local files as ``pathlib.Path``, which are uploaded.
            more: Not used in new code. The positional order of xpander-sdk (``existing_task_id``, ``prompt``,
                ``file_urls``, ``user_details``) is accepted, too: it is recognized by a text in place of the files.
            options: See ``TaskOptions``.

        Returns:
            The task, pending.

        Raises:
            ModuleException: 422 if there is neither a prompt nor a file, an option is invalid, or a path is given as
                text; 409 if ``existing_task_id`` is not finished, or its conversation is busy and the agent rejects
                others.
        """
        creating = _creating(agent_id, *in_order(prompt, file_urls, more, options))
        return await self._changed(creating)

    create = bridge.blocking(acreate)

    async def aget(self, task_id: str) -> Task:
        """Load a task."""
        return await Task.aload(task_id, self.configuration)

    get = bridge.blocking(aget)

    async def alist(
        self, agent_id: str | None = None, filters: TaskFilters | None = None, **more: Unpack[TaskFilters]
    ) -> "list_[TasksListItem]":
        """List tasks, newest first.

        Args:
            agent_id: The agent whose tasks are listed; None means all agents.
            filters: Further filters as a dictionary.
            more: Further filters by name; see ``TaskFilters``.

        Raises:
            ModuleException: 422 if a filter is unknown or its value is invalid.
        """
        query = query_of({"agent_id": agent_id, **(filters or {}), **more})
        return self._items(await bridge.across(lambda platform: platform.tasks.find(query), self.configuration))

    list = bridge.blocking(alist)

    async def alist_user_tasks(
        self, user_id: str, filters: UserTaskFilters | None = None, **more: Unpack[UserTaskFilters]
    ) -> "list_[TasksListItem]":
        """List the tasks of a user, for all agents, newest first; see ``alist`` for the filters."""
        query = query_of({**(filters or {}), **more, "user_id": user_id})
        return self._items(await bridge.across(lambda platform: platform.tasks.find(query), self.configuration))

    list_user_tasks = bridge.blocking(alist_user_tasks)

    async def aupdate(self, task_id: str, **changes: Any) -> Task:
        """Change fields of a task, and return the task.

        Args:
            task_id: The task's id.
            changes: ``status``, ``result``, ``internal_status``, ``title`` and the other fields in ``Task.MUTABLE``;
                ``tool_call_payload_extension`` is an alias of ``payload_extension``. None leaves a field unchanged.

        Raises:
            ModuleException: 422 if a field is unknown, fixed at creation, or invalid.
        """
        return await self._changed(_updating(task_id, changes))

    update = bridge.blocking(aupdate)

    async def astop(self, task_id: str) -> Task:
        """Stop a task. A finished task is left unchanged."""
        return await self._changed(lambda platform: platform.tasks.stop(task_id))

    stop = bridge.blocking(astop)

    async def aretry(self, task_id: str, *, resume: bool | None = None) -> Task:
        """Run a finished or paused task again; see ``Task.aretry``."""
        return await self._changed(lambda platform: platform.tasks.retry(task_id, resume=resume))

    retry = bridge.blocking(aretry)

    async def aanswer(self, task_id: str, request_id: str | None = None, /, **said: Unpack[Said]) -> Task:
        """Answer an open request of a paused task; see ``Task.aanswer``."""
        return await self._changed(_answering(task_id, request_id, said))

    answer = bridge.blocking(aanswer)

    async def asignal(self, task_id: str, name: str, data: Any = None) -> Task:
        """Send a named signal to a task, whose handler waits for it with ``context.wait_for``.

        Args:
            task_id: The task's id.
            name: The signal's name, such as ``invoice.paid``.
            data: Data of the signal; any value that can be converted to JSON.

        Raises:
            ModuleException: 409 if the task has ended; 422 if the name is empty, or the data is too large.
        """
        signal = signal_of(name, data)
        return await self._changed(lambda platform: platform.tasks.signal(task_id, signal))

    signal = bridge.blocking(asignal)

    async def asend(self, task_id: str, text: str) -> Task:
        """Send a message to a task's agent; see ``Task.asend``."""
        message = message_of(text)
        return await self._changed(lambda platform: platform.tasks.send(task_id, message))

    send = bridge.blocking(asend)

    async def askip(self, task_id: str) -> Task:
        """Let a conversation continue without a task that waits for a retry, a time, a signal or a person.

        A task that waits for a retry moves to the end of the queue immediately. Any other continues once its wait ends.

        Raises:
            ModuleException: 409 if the task is not waiting, or takes no turns in a conversation.
        """
        return await self._changed(lambda platform: platform.tasks.skip(task_id))

    skip = bridge.blocking(askip)

    async def aconversation(
        self, conversation_id: str, agent_id: str | None = None, *, limit: int = 100
    ) -> ConversationRecord:
        """Return the questions and answers of a conversation, the first turn first.

        Args:
            conversation_id: The conversation's id. A continued task without a conversation is one under its own id.
            agent_id: The agent whose tasks are included; None means all agents.
            limit: Maximum number of tasks, 1 to 1,000; the newest are returned.

        Raises:
            ModuleException: 404 if the conversation has no tasks.
        """
        query = conversations_query(agent_id, limit)
        return await bridge.across(
            lambda platform: platform.tasks.conversation(conversation_id, query), self.configuration
        )

    conversation = bridge.blocking(aconversation)

    async def aconversations(self, agent_id: str | None = None, *, limit: int = 100) -> "list_[ConversationItem]":
        """List conversations, the one with the newest task first.

        Args:
            agent_id: The agent whose conversations are listed; None means all agents.
            limit: Maximum number of conversations, 1 to 1,000.
        """
        query = conversations_query(agent_id, limit)
        return await bridge.across(lambda platform: platform.tasks.find_conversations(query), self.configuration)

    conversations = bridge.blocking(aconversations)

    async def arequests(
        self, agent_id: str | None = None, *, limit: int = 100, after: str | None = None
    ) -> "list_[OpenRequest]":
        """List open requests to people, the longest-waiting first.

        Args:
            agent_id: The agent whose tasks are included; None means all agents.
            limit: Maximum number of tasks, 1 to 1,000.
            after: For the next page: the id of the last task of the previous page.
        """
        query = requests_query(agent_id, limit, after)
        return await bridge.across(lambda platform: platform.tasks.requests(query), self.configuration)

    requests = bridge.blocking(arequests)

    async def aevents(self, task_id: str, after: int = 0) -> AsyncGenerator[TaskUpdateEvent, None]:
        """Follow a task's events after the event numbered ``after``; see ``Task.aevents``."""
        async for event in (await self.aget(task_id)).aevents(after):
            yield event

    def events(self, task_id: str, after: int = 0) -> Generator[TaskUpdateEvent, None, None]:
        """Sync version of ``aevents``."""
        yield from self.get(task_id).events(after)

    async def aupload(self, source: FileSource | bytes, name: str | None = None) -> str:
        """Upload a file.

        Args:
            source: A local file, or its content.
            name: The file's name; default: the name of the local file.

        Returns:
            A reference for ``file_urls``.

        Raises:
            ModuleException: 422 if the file is empty or missing; 413 if it is larger than ``WORKER_FILE_BYTES``.
        """
        return await bridge.across(lambda platform: upload(platform, source, name), self.configuration)

    upload = bridge.blocking(aupload)

    async def _changed(self, verb: Verb[TaskRecord]) -> Task:
        return Task.of(await bridge.across(verb, self.configuration), self.configuration)

    def _items(self, items: Sequence[TaskItem]) -> "list_[TasksListItem]":
        return [TasksListItem.of(item, self.configuration) for item in items]


list_ = list  # within the class above, ``list`` is the method


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
