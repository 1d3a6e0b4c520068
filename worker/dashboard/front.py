"""What the pages want of the server that serves them; they know nothing else of it."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from starlette.responses import Response
from starlette.types import Scope as Connection

from worker.contracts import AccessRule, AccessScope, Key, Organization
from worker.words.errors import ModuleException
from worker.words.requests import InputRequest, OfAgents
from worker.words.roles import Role
from worker.words.tasks import TaskRecord


class Reach(Protocol):
    """What a visitor may reach."""

    @property
    def organization(self) -> Organization:
        """The platform as the visitor's organization sees it."""
        ...

    @property
    def agents(self) -> frozenset[str] | None:
        """The agents within reach; None means every one."""
        ...

    def permit(self, rule: AccessRule) -> AccessScope:
        """What a request by this rule has to be about. Raises: ModuleException (403)."""
        ...

    def allows(self, rule: AccessRule) -> bool:
        """Whether the visitor's role may do that."""
        ...

    async def check_task(self, task_id: str) -> None:
        """Let pass only tasks of agents within reach. Raises: TaskNotFound."""
        ...

    async def check_knowledge_base(self, knowledge_base_id: str) -> None:
        """Let pass only knowledge bases within reach. Raises: KnowledgeBaseNotFound."""
        ...

    async def knowledge_bases(self) -> frozenset[str]:
        """The ids of those within reach, where that is not all."""
        ...

    def reaches(self, agent_id: str) -> bool:
        """Whether an agent is within reach."""
        ...

    def check(self, agent_id: str) -> None:
        """Let pass only what is within reach. Raises: AgentNotFound."""
        ...

    def within(self, query: OfAgents) -> OfAgents:
        """A query for what is within reach alone."""
        ...

    async def store_file(self, name: str, media_type: str, content: bytes) -> str:
        """Store a file; its reference. Raises: ModuleException (413, 422)."""
        ...

    async def task(self, task_id: str) -> TaskRecord:
        """A task within reach. Raises: TaskNotFound."""
        ...


class Front(Protocol):
    """The server."""

    @property
    def closing(self) -> asyncio.Event:
        """Set when the server closes."""
        ...

    @property
    def file_bytes(self) -> int:
        """The largest file that a worker reads."""
        ...

    @property
    def embedder(self) -> str | None:
        """What makes vectors of the texts of a new knowledge base; None means words alone count."""
        ...

    @property
    def task_bytes(self) -> int:
        """The most that a worker reads of a task's files together."""
        ...

    async def sign_in(self, key: str, scope: Connection) -> str:
        """Begin a session with a key; the token that finds it. Raises: ModuleException (401, 404, 429), Unavailable."""
        ...

    async def sign_out(self, mark: str, scope: Connection) -> None:
        """End a session, wherever its token has got to, and what is open in it. Raises: Unavailable."""
        ...

    def visiting(self, scope: Connection, access: Any) -> AbstractContextManager[None]:
        """Have what is done within be this visitor's, in the audit log."""
        ...

    def refused(self, scope: Connection, error: ModuleException, access: Any) -> None:
        """Note in the audit log that a visitor was refused."""
        ...

    async def keys(self, access: Any) -> Sequence[Key]:
        """The keys that open nothing beyond what the visitor's does."""
        ...

    async def make_key(
        self, access: Any, *, name: str, role: Role, agents: Sequence[str], seconds: float | None
    ) -> tuple[str, Key]:
        """Make such a key; itself, which is told this once, and what is known of it. Raises: ValidationError."""
        ...

    async def revoke_key(self, access: Any, key_id: str) -> None:
        """Revoke such a key. Raises: NotFound."""
        ...

    async def admit(self, mark: str | None, organization_id: str | None) -> Reach:
        """What a session may reach; without a mark what everybody may. Raises: ModuleException (401), NotFound."""
        ...

    async def enter_queue(self, access: Any, agent_id: str) -> None:
        """Count one more task of an agent. Raises: ModuleException (429)."""
        ...

    async def opened(self, token: str) -> tuple[Reach, TaskRecord, InputRequest]:
        """What a link opens: one request of one task. Raises: ModuleException (404, 410), Unavailable."""
        ...

    def by_link(self, scope: Connection, access: Any) -> AbstractContextManager[None]:
        """Have what is done within be done by a link, in the audit log."""
        ...

    async def secrets(self, name: str) -> Sequence[bytes]:
        """Secrets of the server's own, the same in every process, the newest first. Raises: Unavailable."""
        ...

    def stream(self, pieces: AsyncGenerator[bytes], access: Any) -> Response:
        """Answer with server-sent events, until they end, the visitor's key is gone, or the server closes."""
        ...
