"""The interface of the server that the dashboard uses; it knows nothing else of the server."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from starlette.responses import Response
from starlette.types import Scope as Connection

from worker.contracts import AccessRule, AccessScope, Key, Organization
from worker.words.errors import ModuleException
from worker.words.requests import InputRequest
from worker.words.roles import Role
from worker.words.task_lists import OfAgents
from worker.words.tasks import TaskRecord


class VisitorAccess(Protocol):
    """The permissions of a visitor."""

    @property
    def organization(self) -> Organization:
        """The platform, for the visitor's organization."""
        ...

    @property
    def agents(self) -> frozenset[str] | None:
        """The agents that the visitor can reach; None means all of them."""
        ...

    def permit(self, rule: AccessRule) -> AccessScope:
        """Return the scope in which the visitor may make a request under a rule.

        Raises:
            ModuleException: The visitor's role may not (403).
        """
        ...

    def allows(self, rule: AccessRule) -> bool:
        """Return whether a rule allows the visitor's role."""
        ...

    async def check_task(self, task_id: str) -> None:
        """Check that the visitor can reach a task.

        Raises:
            TaskNotFound: There is no such task, or the visitor cannot reach it.
        """
        ...

    async def check_knowledge_base(self, knowledge_base_id: str) -> None:
        """Check that the visitor can reach a knowledge base.

        Raises:
            KnowledgeBaseNotFound: The visitor cannot reach the knowledge base.
        """
        ...

    async def knowledge_bases(self) -> frozenset[str]:
        """Return the ids of the knowledge bases that a visitor limited to some agents can reach."""
        ...

    def reaches(self, agent_id: str) -> bool:
        """Return whether the visitor can reach an agent."""
        ...

    def check(self, agent_id: str) -> None:
        """Check that the visitor can reach an agent.

        Raises:
            AgentNotFound: The visitor cannot reach the agent.
        """
        ...

    def within(self, query: OfAgents) -> OfAgents:
        """Return a copy of a query, restricted to the agents that the visitor can reach."""
        ...

    async def store_file(self, name: str, media_type: str, content: bytes) -> str:
        """Store a file and return its reference.

        Raises:
            ModuleException: The file is too large (413) or invalid (422).
        """
        ...

    async def task(self, task_id: str) -> TaskRecord:
        """Return a task that the visitor can reach.

        Raises:
            TaskNotFound: There is no such task, or the visitor cannot reach it.
        """
        ...


class ServerInterface(Protocol):
    """The server, as the dashboard uses it."""

    @property
    def closing(self) -> asyncio.Event:
        """An event that is set when the server closes."""
        ...

    @property
    def session_seconds(self) -> int:
        """How long a visitor stays signed in."""
        ...

    @property
    def comment_seconds(self) -> float:
        """The longest silence on a stream, after which a comment is sent."""
        ...

    @property
    def file_bytes(self) -> int:
        """The size of the largest file that a worker reads."""
        ...

    @property
    def embedder(self) -> str | None:
        """The default embedder of new knowledge bases; None means that they are searched by words only."""
        ...

    @property
    def task_bytes(self) -> int:
        """The largest total size of a task's files that a worker reads."""
        ...

    async def sign_in(self, key: str, scope: Connection) -> str:
        """Start a session with a key, and return the session's token.

        Raises:
            ModuleException: The key is wrong (401), belongs to another organization (404), or too many were wrong
                (429).
            Unavailable: The database cannot be reached.
        """
        ...

    async def sign_out(self, session_token: str, scope: Connection) -> None:
        """End a session and its open streams, including for copies of its token.

        Raises:
            Unavailable: The database cannot be reached.
        """
        ...

    def visiting(self, scope: Connection, access: Any) -> AbstractContextManager[None]:
        """Record actions inside this block in the audit log as made by this visitor."""
        ...

    def refused(self, scope: Connection, error: ModuleException, access: Any) -> None:
        """Record in the audit log that a visitor was refused."""
        ...

    async def keys(self, access: Any) -> Sequence[Key]:
        """Return the organization's keys whose permissions do not exceed the visitor's."""
        ...

    async def make_key(
        self, access: Any, *, name: str, role: Role, agents: Sequence[str], seconds: float | None
    ) -> tuple[str, Key]:
        """Create a key whose permissions do not exceed the visitor's, and return its secret value and its record.

        Raises:
            ValidationError: The key would reach more agents than the visitor's key.
        """
        ...

    async def revoke_key(self, access: Any, key_id: str) -> None:
        """Revoke a key whose permissions do not exceed the visitor's.

        Raises:
            NotFound: There is no such key.
        """
        ...

    async def admit(self, session_token: str | None, organization_id: str | None) -> VisitorAccess:
        """Return the permissions of a session, or without a session those of requests without a key.

        Raises:
            ModuleException: The session has ended, or a key is needed (401).
            NotFound: The key belongs to another organization.
        """
        ...

    async def enter_queue(self, access: Any, agent_id: str) -> None:
        """Count a new task of an agent.

        Raises:
            ModuleException: The agent's queue is full (429).
        """
        ...

    async def opened(self, token: str) -> tuple[VisitorAccess, TaskRecord, InputRequest]:
        """Validate an answer link and return its permissions, its task and the request that it answers.

        Raises:
            ModuleException: The link is invalid (404) or no longer usable (410).
            Unavailable: The database cannot be reached.
        """
        ...

    def by_link(self, scope: Connection, access: Any) -> AbstractContextManager[None]:
        """Record actions inside this block in the audit log as made through a signed link."""
        ...

    async def secrets(self, name: str) -> Sequence[bytes]:
        """Return the secrets of that name, newest first; they are the same in every process.

        Raises:
            Unavailable: The database cannot be reached.
        """
        ...

    def stream(self, pieces: AsyncGenerator[bytes], access: Any) -> Response:
        """Return a response of server-sent events, which ends with the chunks, the visitor's key or the server."""
        ...
