"""The verbs of clients, over the bare routes."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import quote

from worker.contracts.bounds import bounded
from worker.remote.dialect import Dialect
from worker.remote.following import Following
from worker.remote.refusals import Subject
from worker.remote.transport import FILE_SECONDS, Repeat, Transport, Unanswered
from worker.wire.records import (
    agent_of,
    audit_of,
    conversation_item_of,
    conversation_of,
    decode,
    item_of,
    kept_of,
    provider_of,
    request_of,
    task_of,
    tool_result_of,
)
from worker.words.activity import AgentActivityThread
from worker.words.agents import AgentRecord
from worker.words.attempts import Attempt
from worker.words.audit import AuditEntry, AuditQuery
from worker.words.changes import check_changes
from worker.words.conversations import ConversationItem, ConversationQuery, ConversationRecord
from worker.words.digests import digest
from worker.words.errors import (
    AgentNotFound,
    ModuleException,
    TaskNotFound,
    TooLarge,
    ToolNotFound,
    Unsupported,
    ValidationError,
)
from worker.words.events import NewEvent, TaskUpdateEvent
from worker.words.ids import check_id, new_id
from worker.words.limits import FILE_BYTES
from worker.words.messages import NewMessage
from worker.words.providers import ProviderState
from worker.words.references import Reference
from worker.words.requests import InputAnswer, OpenRequest, RequestQuery
from worker.words.signals import NewSignal
from worker.words.statuses import AgentExecutionStatus
from worker.words.task_lists import TaskItem, TaskQuery
from worker.words.tasks import NewTask, TaskRecord
from worker.words.texts import clean
from worker.words.tools import TOOL_SECONDS, ToolInvocationResult, ToolRecord
from worker.words.watching import Creation, watched
from worker.words.work import KeptFile, StoredFile

EXECUTION = "/agent-execution"
WAIT_MARGIN_SECONDS = 15.0  # beyond a tool's own limit: the server waits until a worker has said its last word
UNKNOWN_ROUTE = frozenset({404, 405})

SaveOfARun = Callable[[str, Mapping[str, Any], int, str | None], Awaitable[TaskRecord | None]]
"""Called with a task's id, what a run changed of it, the attempt, and the handler; None: it is saved as by anybody."""


class RemoteTasks:
    """What clients ask for, over HTTP."""

    def __init__(self, transport: Transport, dialect: Dialect, organization_id: str) -> None:
        self._transport = transport
        self._dialect = dialect
        self._organization = organization_id
        self.save_of_a_run: SaveOfARun

    @bounded
    async def create(self, new: NewTask, *, key: str | None = None) -> TaskRecord:
        """Store a pending task; with a ``key`` once, on a platform that knows such keys.

        The request is repeated where the platform surely did not act on it; where it may have, only on a platform that
        knows the idempotency key that goes with it.
        """
        with watched(Creation(agent_id=new.agent_id, task_id=new.id, traceparent=new.traceparent)) as creation:
            if creation.traceparent != new.traceparent:
                new = new.model_copy(update={"traceparent": creation.traceparent})
            task = await self._create_once(new, key)
            creation.task_id = task.id
            return task

    async def _create_once(self, new: NewTask, key: str | None) -> TaskRecord:
        headers = {"idempotency-key": key or new_id()}
        if new.agent_version is not None and new.agent_version.isascii():  # the body has it, too
            headers["x-agent-version"] = new.agent_version
        try:
            return await self._create(new, headers, Repeat.UNSENT)
        except Unanswered:
            if not await self._dialect.native():
                raise
            return await self._create(new, headers, Repeat.ALWAYS)

    async def _create(self, new: NewTask, headers: Mapping[str, str], repeat: Repeat) -> TaskRecord:
        subject = Subject(task_id=new.id) if new.id is not None else Subject(agent_id=new.agent_id)
        body = new.model_dump(exclude={"agent_id"})
        answer = await self._transport.call(
            "POST", f"{EXECUTION}/{_in_path(new.agent_id)}", body=body, headers=headers, subject=subject, repeat=repeat
        )
        return task_of(decode(answer.content, "a task"))

    @bounded
    async def get(self, task_id: str) -> TaskRecord:
        """Read a task."""
        return await self._task("GET", task_id, "/status")

    @bounded
    async def find(self, query: TaskQuery) -> list[TaskItem]:
        """List tasks, newest first; what the platform does not filter is filtered here."""
        history = f"{EXECUTION}/executions/history"
        if _is_nobodys(query):
            return []
        if query.agent_id is not None:
            items = await self._history(f"{history}/{_in_path(query.agent_id)}", query)
        elif query.user_id is not None:
            items = await self._history(f"{history}/user/{_in_path(query.user_id)}", query)
        elif await self._dialect.native():
            items = await self._history(history, query, agents=query.agents)
        else:
            agents = query.agents if query.agents is not None else [agent.id for agent in await self.list_agents()]
            items = [item for agent in agents for item in await self._history(f"{history}/{_in_path(agent)}", query)]
        return _page(items, query)

    @bounded
    async def counts(self, query: TaskQuery) -> dict[AgentExecutionStatus, int]:
        """Count tasks by status."""
        if not await self._dialect.native():
            raise self._unsupported("count tasks")
        if _is_nobodys(query):
            return dict.fromkeys(AgentExecutionStatus, 0)
        agents = query.agents if query.agent_id is None else [query.agent_id]
        params = _params(query, agents=agents)
        answer = await self._transport.call("GET", f"{EXECUTION}/executions/counts", params=params)
        told = decode(answer.content, "counts")
        return {status: int(told.get(status, 0)) for status in AgentExecutionStatus}

    async def _history(self, path: str, query: TaskQuery, agents: Sequence[str] | None = None) -> list[TaskItem]:
        answer = await self._transport.call("GET", path, params=_params(query, agents=agents))
        rows = decode(answer.content, "a list of tasks")
        return [item_of(row) for row in cast("list[Any]", rows if isinstance(rows, list) else [])]

    @bounded
    async def update(
        self, task_id: str, changes: Mapping[str, Any], *, attempt: int | None = None, origin: str | None = None
    ) -> TaskRecord:
        """Store changed fields; answers the task as it stands then."""
        changes = check_changes(changes)
        if None in changes.values() and not await self._dialect.native():
            raise self._unsupported("clear a field of a task: there null means unchanged")
        if attempt is not None:
            saved = await self.save_of_a_run(task_id, changes, attempt, origin)
            if saved is not None:
                return saved
        headers = {"x-attempt": None if attempt is None else str(attempt), "x-origin": origin}
        return await self._task(
            "PATCH",
            task_id,
            "/update",
            body=changes,
            headers={name: value for name, value in headers.items() if value is not None},
            subject=Subject(task_id=task_id, attempt=attempt),
        )

    @bounded
    async def stop(self, task_id: str) -> TaskRecord:
        """End a task as stopped."""
        return await self._task("DELETE", task_id)

    @bounded
    async def retry(self, task_id: str, *, resume: bool | None = None) -> TaskRecord:
        """Queue a finished or paused task again, from its start or where it stood."""
        try:
            wish = "" if resume is None else f"?resume={str(resume).lower()}"
            return await self._task("POST", task_id, f"/retry{wish}", repeat=Repeat.UNSENT)
        except ModuleException as error:
            if error.status_code not in UNKNOWN_ROUTE or await self._dialect.native():
                raise
        await self.get(task_id)
        raise self._unsupported("retry a task")

    @bounded
    async def answer(self, task_id: str, answers: Sequence[InputAnswer]) -> TaskRecord:
        """Answer what a paused task asks."""
        if not await self._dialect.native():
            raise self._unsupported("answer a paused task")
        body = {"answers": [each.model_dump(mode="json", exclude_none=True) for each in answers]}
        is_safe = all(each.id is not None for each in answers)  # else a repeat may meet another request
        repeat = Repeat.ALWAYS if is_safe else Repeat.UNSENT
        return await self._task("POST", task_id, "/answer", body=body, repeat=repeat)

    @bounded
    async def signal(self, task_id: str, signal: NewSignal) -> TaskRecord:
        """Tell a task something by name."""
        if not await self._dialect.native():
            raise self._unsupported("take signals")
        body = signal.model_dump(mode="json")
        return await self._task("POST", task_id, "/signals", body=body, repeat=Repeat.UNSENT)

    @bounded
    async def conversation(self, conversation_id: str, query: ConversationQuery) -> ConversationRecord:
        """Tell a conversation."""
        content = await self._conversations(f"/{_in_path(conversation_id)}", query)
        return conversation_of(decode(content, "a conversation"))

    @bounded
    async def find_conversations(self, query: ConversationQuery) -> list[ConversationItem]:
        """List conversations, the one with the newest task first."""
        rows = decode(await self._conversations("", query), "a list of conversations")
        return [conversation_item_of(row) for row in cast("list[Any]", rows if isinstance(rows, list) else [])]

    async def _conversations(self, path: str, query: ConversationQuery) -> bytes:
        if not await self._dialect.native():
            raise self._unsupported("tell conversations")
        asked = query.model_dump(mode="json", exclude_none=True, exclude={"agents"})
        return (await self._transport.call("GET", f"/conversations{path}", params=asked)).content

    @bounded
    async def send(self, task_id: str, message: NewMessage) -> TaskRecord:
        """Say something to a task's agent."""
        if not await self._dialect.native():
            raise self._unsupported("take messages to tasks")
        body = message.model_dump(mode="json")
        return await self._task("POST", task_id, "/messages", body=body, repeat=Repeat.UNSENT)

    @bounded
    async def skip(self, task_id: str) -> TaskRecord:
        """Have the others of a task's conversation go on without it."""
        if not await self._dialect.native():
            raise self._unsupported("keep conversations in order")
        return await self._task("POST", task_id, "/skip", repeat=Repeat.UNSENT)

    @bounded
    async def requests(self, query: RequestQuery) -> list[OpenRequest]:
        """List what waits for a person."""
        if not await self._dialect.native():
            raise self._unsupported("list what waits for a person")
        asked = query.model_dump(mode="json", exclude_none=True, exclude={"agents"})
        rows = decode((await self._transport.call("GET", "/requests", params=asked)).content, "a list of requests")
        return [request_of(row) for row in cast("list[Any]", rows if isinstance(rows, list) else [])]

    @bounded
    async def push(self, task_id: str, events: Sequence[NewEvent], *, attempt: int | None = None) -> None:
        """Append events."""
        if not events:
            return
        time = datetime.now(UTC)
        body = [
            {
                "type": each.type,
                "task_id": task_id,
                "organization_id": self._organization,
                "time": time,
                "data": each.data,
            }
            for each in events
        ]
        await self._transport.call(
            "POST",
            f"{_task_path(task_id)}/events/push",
            body=body,
            headers={} if attempt is None else {"x-attempt": str(attempt)},
            subject=Subject(task_id=task_id, attempt=attempt),
            repeat=Repeat.UNSENT,  # twice would be two events
        )

    async def events(self, task_id: str, *, after: int = 0, follow: bool = True) -> AsyncGenerator[TaskUpdateEvent]:
        """Read a task's events from a number on, and wait for more."""
        if not after and not follow:
            await self.get(task_id)  # an unknown task is not found, also where a stream would just be empty
        following = Following(self._transport, self._dialect, _task_path(task_id), task_id, get=self.get, after=after)
        events = following.follow() if follow else following.so_far()
        try:
            async for event in events:
                yield event
        finally:
            await events.aclose()

    @bounded
    async def activity(self, task_id: str) -> AgentActivityThread:
        """Read the activity log."""
        task = await self.get(task_id)
        path = f"/activity/{_in_path(task.agent_id)}/{_in_path(task_id)}"
        answer = await self._transport.call("GET", path, subject=Subject(task_id=task_id))
        return AgentActivityThread.model_validate(decode(answer.content, "an activity log"))

    @bounded
    async def attempts(self, task_id: str) -> list[Attempt]:
        """Read the attempts."""
        path = f"{_task_path(task_id)}/attempts"
        try:
            answer = await self._transport.call("GET", path, subject=Subject(task_id=task_id))
        except ModuleException as error:
            if error.status_code not in UNKNOWN_ROUTE or await self._dialect.native():
                raise
            raise self._unsupported("tell of a task's attempts") from None
        return [Attempt.model_validate(each) for each in cast("list[Any]", decode(answer.content, "attempts"))]

    async def store_file(self, name: str, media_type: str, content: bytes) -> str:
        """Upload a file."""
        if not content:
            raise ValidationError(f"{name} is empty", field="file")
        if len(content) > FILE_BYTES:
            raise TooLarge(f"{name} has {len(content)} bytes; at most {FILE_BYTES} are taken")
        try:
            answer = await self._transport.call(
                "POST",
                "/files",
                params={"name": name},
                headers={"content-type": media_type},
                content=content,
                seconds=FILE_SECONDS,
            )
        except ModuleException as error:
            if error.status_code in UNKNOWN_ROUTE:
                raise self._unsupported("store files; give a URL instead") from None
            raise
        return str(decode(answer.content, "a reference")["reference"])

    async def open_file(self, reference: str) -> StoredFile:
        """Download a stored file."""
        digest, name = Reference.stored(reference)
        answer = await self._transport.call(
            "GET", f"/files/{digest}/{quote(name, safe='')}", subject=Subject(reference=reference), seconds=FILE_SECONDS
        )
        media_type = answer.headers.get("content-type", "application/octet-stream")
        return StoredFile(reference, name, media_type, answer.content)

    @bounded
    async def kept_files(self, task_id: str) -> list[KeptFile]:
        """Which of a task's files are stored; none on a platform that keeps none."""
        if not await self._dialect.native():
            return []
        answer = await self._transport.call("GET", f"{_task_path(task_id)}/files", subject=Subject(task_id=task_id))
        return kept_of(decode(answer.content, "a list of files"))

    @bounded
    async def get_agent(self, agent_id: str) -> AgentRecord:
        """Read an agent."""
        if not agent_id:
            raise AgentNotFound(agent_id)
        answer = await self._transport.call("GET", f"/agents/{_in_path(agent_id)}", subject=Subject(agent_id=agent_id))
        return agent_of(decode(answer.content, "an agent"))

    async def invoke_tool(
        self, agent_id: str, tool: str, payload: Mapping[str, Any], *, key: str | None = None
    ) -> ToolInvocationResult:
        """Have a worker call a tool of an agent."""
        native = await self._dialect.native()
        seconds = TOOL_SECONDS if not native else (await self._tool(agent_id, tool)).timeout
        answer = await self._transport.call(
            "POST",
            f"/agents/{_in_path(agent_id)}/operations/{_in_path(tool)}",
            body=dict(payload),
            headers={"idempotency-key": new_id() if key is None else digest(key)},
            subject=Subject(agent_id=agent_id),
            seconds=seconds + WAIT_MARGIN_SECONDS,
            repeat=Repeat.ALWAYS if native else Repeat.UNSENT,
        )
        said = decode(answer.content, "the result of a tool") if answer.content else None
        if native:
            return tool_result_of(said)
        return ToolInvocationResult(tool_id=tool, payload=dict(payload), result=said, is_success=True)

    async def _tool(self, agent_id: str, name: str) -> ToolRecord:
        """A tool of an agent. Raises: AgentNotFound, ToolNotFound."""
        agent = await self.get_agent(agent_id)
        found = next((each for each in agent.announced_tools if each.name == name), None)
        if found is None:
            raise ToolNotFound(agent_id, name)
        return found

    @bounded
    async def providers(self) -> list[ProviderState]:
        """List the providers whose last call failed."""
        rows = await self._of_providers("GET", "")
        return [provider_of(row) for row in cast("list[Any]", rows if isinstance(rows, list) else [])]

    @bounded
    async def resume_provider(self, provider_id: str) -> ProviderState:
        """Have the tasks that wait for a provider tried at once."""
        return provider_of(await self._of_providers("POST", f"/{_in_path(provider_id)}/resume"))

    @bounded
    async def fail_provider(self, provider_id: str) -> ProviderState:
        """End the tasks that wait for a provider."""
        return provider_of(await self._of_providers("POST", f"/{_in_path(provider_id)}/fail"))

    async def _of_providers(self, method: str, path: str) -> Any:
        if not await self._dialect.native():
            raise self._unsupported("look after providers of models")
        return decode((await self._transport.call(method, f"/providers{path}")).content, "a provider")

    @bounded
    async def audit(self, query: AuditQuery) -> list[AuditEntry]:
        """List the lines of the audit log that fit, the newest first."""
        if not await self._dialect.native():
            raise self._unsupported("tell what is in an audit log")
        asked = query.model_dump(mode="json", exclude_none=True, exclude={"agents"})
        rows = decode((await self._transport.call("GET", "/audit", params=asked)).content, "an audit log")
        return [audit_of(row) for row in cast("list[Any]", rows if isinstance(rows, list) else [])]

    @bounded
    async def list_agents(self) -> list[AgentRecord]:
        """Read all agents."""
        rows = decode((await self._transport.call("GET", "/agents/list")).content, "a list of agents")
        return [agent_of(row) for row in cast("list[Any]", rows if isinstance(rows, list) else [])]

    @bounded
    async def save_agent(self, agent: AgentRecord) -> AgentRecord:
        """Store an agent under its next version."""
        check_id(agent.id, "id")
        try:
            answer = await self._transport.call("PUT", f"/agents/{_in_path(agent.id)}", body=agent)
        except ModuleException as error:
            if error.status_code in UNKNOWN_ROUTE:
                raise self._unsupported("save agents") from None
            raise
        return agent_of(decode(answer.content, "an agent"))

    @bounded
    async def delete_agent(self, agent_id: str) -> AgentRecord:
        """Take an agent off the list."""
        if not agent_id:
            raise AgentNotFound(agent_id)
        subject = Subject(agent_id=agent_id)
        try:
            answer = await self._transport.call(
                "DELETE", f"/agents/{_in_path(agent_id)}", subject=subject, repeat=Repeat.UNSENT
            )
        except ModuleException as error:
            if error.status_code not in UNKNOWN_ROUTE or await self._dialect.native():
                raise
            await self.get_agent(agent_id)
            raise self._unsupported("delete agents") from None
        return agent_of(decode(answer.content, "an agent"))

    async def _task(
        self,
        method: str,
        task_id: str,
        path: str = "",
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        subject: Subject | None = None,
        repeat: Repeat = Repeat.ALWAYS,
    ) -> TaskRecord:
        answer = await self._transport.call(
            method,
            _task_path(task_id) + path,
            body=body,
            headers=headers,
            subject=subject or Subject(task_id=task_id),
            repeat=repeat,
        )
        return task_of(decode(answer.content, "a task"))

    def _unsupported(self, what: str) -> Unsupported:
        return Unsupported(what, self._transport.addresses.shown)


def _is_nobodys(query: TaskQuery) -> bool:
    """Whether no agent's task can fit."""
    return (query.agents is not None and query.agent_id not in (None, *query.agents)) or query.agents == ()


def _params(query: TaskQuery, *, agents: Sequence[str] | None) -> dict[str, Any]:
    """A query as the address carries it."""
    params = query.model_dump(mode="json", exclude={"agent_id", "agents", "status", "statuses"})
    statuses = [query.status] if query.status is not None else query.statuses
    return params | {"status": ",".join(statuses) or None, "agent_id": ",".join(agents or ()) or None}


def _page(items: list[TaskItem], query: TaskQuery) -> list[TaskItem]:
    """Do what a platform that knows neither limit nor order nor some filter has left undone."""
    items = sorted(items, key=lambda item: (item.created_at, item.id), reverse=True)
    place = next((place for place, item in enumerate(items) if item.id == query.before), None)
    if place is not None:
        items = items[place + 1 :]
    return [item for item in items if _fits(item, query)][: query.limit]


def _fits(item: TaskItem, query: TaskQuery) -> bool:
    """Whether an item is wanted; what it does not tell is taken to be as the platform was asked for it."""
    told = {"agent_id": item.agent_id, "status": item.status, "user_id": item.user_id or query.user_id}
    told["finish_reason"] = item.finish_reason
    return (
        all(getattr(query, name) in (None, value) for name, value in told.items())
        and (query.agents is None or item.agent_id in query.agents)
        and (not query.statuses or item.status in query.statuses)
        and query.error_code in (None, item.error_code)
        and (query.created_after is None or item.created_at >= query.created_after)
        and (query.created_before is None or item.created_at < query.created_before)
        and _has_text(item, query.text or "")
    )


def _has_text(item: TaskItem, text: str) -> bool:
    """Whether an item has a text; one that shows its input comes from a server of ours, which has looked itself."""
    told = (item.id, item.internal_status, item.title, item.text, item.result)
    return item.text is not None or any(text.lower() in each.lower() for each in told if each)


def _task_path(task_id: str) -> str:
    if not task_id:
        raise TaskNotFound(task_id)
    return f"{EXECUTION}/{_in_path(task_id)}"


def _in_path(text: str) -> str:
    """One segment of a path; dots alone would be taken for a way up."""
    quoted = quote(clean(text), safe="")
    return quoted.replace(".", "%2E") if quoted.strip(".") == "" else quoted
