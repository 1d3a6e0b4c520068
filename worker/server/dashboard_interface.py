"""The server as the dashboard uses it; ``worker/dashboard/server_interface.py`` declares it as a protocol."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from starlette.responses import Response
from starlette.types import Scope

from worker.contracts import SERVER_KEY, Key
from worker.server.identity.access import Access, Unauthorized
from worker.server.identity.refusals import actor_of
from worker.server.limits.headers import address_of
from worker.server.limits.request_bounds import FORM_BYTES
from worker.server.routes.keys import KeyBody, keys_within, make_key, revoke_key
from worker.server.service import Service
from worker.server.streams.streaming import EventStream
from worker.words.actors import AuditAction, Door, as_actor
from worker.words.errors import ModuleException, Unavailable
from worker.words.limits import FILE_BYTES
from worker.words.requests import InputRequest
from worker.words.roles import Role
from worker.words.tasks import TaskRecord


class DashboardInterface:
    """The server's interface for the dashboard, whose protocol describes the arguments and errors of each method.

    Args:
        service: The state of the server.
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    @property
    def closing(self) -> asyncio.Event:
        """An event that is set when the server closes."""
        return self._service.closing

    @property
    def session_seconds(self) -> int:
        """How long a visitor stays signed in."""
        return self._service.timings.session

    @property
    def comment_seconds(self) -> float:
        """The longest silence on a stream, after which a comment is sent."""
        return self._service.timings.comment

    @property
    def file_bytes(self) -> int:
        """The largest useful upload: the largest file that a worker with these settings reads."""
        return min(self._service.settings.file_bytes, FILE_BYTES)

    @property
    def embedder(self) -> str | None:
        """The default embedder of new knowledge bases; None means that they are searched by words only."""
        return self._service.settings.embedder

    @property
    def task_bytes(self) -> int:
        """The largest useful total size of a task's files."""
        return min(self._service.settings.task_bytes, FORM_BYTES)

    async def sign_in(self, key: str, scope: Scope) -> str:
        """Start a session with a key, and return the session's token."""
        try:
            async with self._service.trying(address_of(scope), key):
                known = await self._service.keyring.mark(key)
            access = await self._service.keyring.readmit(known, scope.get("organization_id"))
        except ModuleException as error:
            self.refused(scope, error, None)
            raise
        session_token = await self._service.host.sessions.begin(known, self.session_seconds)
        await self._write(AuditAction.SignedIn, access, scope)
        return session_token

    async def sign_out(self, session_token: str, scope: Scope) -> None:
        """End a session and its open streams."""
        known = await self._service.host.sessions.find(session_token)
        await self._service.host.sessions.end(session_token)
        if known is not None:
            try:
                access = await self._service.keyring.readmit(known, None)
            except Unauthorized:
                return  # the session had already ended with its key
            await self._write(AuditAction.SignedOut, access, scope)

    async def _write(self, action: AuditAction, access: Access, scope: Scope) -> None:
        actor = actor_of(scope, access, Door.Page)
        subject = access.key if access.key == SERVER_KEY else f"key {access.key}"
        await access.organization.audit.write(action, subject, actor=actor)

    def visiting(self, scope: Scope, access: Access) -> AbstractContextManager[None]:
        """Record actions inside this block in the audit log as made by this visitor on a page."""
        return as_actor(actor_of(scope, access, Door.Page))

    def refused(self, scope: Scope, error: ModuleException, access: Access | None) -> None:
        """Record in the audit log that a visitor was refused."""
        self._service.refusals.note(scope, error, access, Door.Page)

    async def keys(self, access: Access) -> Sequence[Key]:
        """Return the organization's keys whose permissions do not exceed the visitor's."""
        return await keys_within(self._service, access)

    async def make_key(
        self, access: Access, *, name: str, role: Role, agents: Sequence[str], seconds: float | None
    ) -> tuple[str, Key]:
        """Create a key whose permissions do not exceed the visitor's, and return its secret value and its record."""
        body = KeyBody(name=name, role=role, agents=list(agents) or None, expires_in=seconds)
        return await make_key(self._service, access, body)

    async def revoke_key(self, access: Access, key_id: str) -> None:
        """Revoke a key whose permissions do not exceed the visitor's."""
        await revoke_key(self._service, access, key_id)

    async def admit(self, session_token: str | None, organization_id: str | None) -> Access:
        """Return the permissions of a session, or without a session those of requests without a key."""
        if session_token is None:
            return await self._service.keyring.admit(None, organization_id)
        known = await self._service.host.sessions.find(session_token) if self._service.is_open else ""
        if known is None:
            raise Unauthorized(description="Your session has ended. Sign in again.")
        return replace(await self._service.keyring.readmit(known, organization_id), session=session_token)

    async def enter_queue(self, access: Access, agent_id: str) -> None:
        """Count a new task of an agent."""
        await self._service.queues.enter(access.organization, agent_id)

    async def opened(self, token: str) -> tuple[Access, TaskRecord, InputRequest]:
        """Validate an answer link and return its permissions, its task and the request that it answers."""
        self._service.check_open()
        return await self._service.answer_links.opened(token)

    def by_link(self, scope: Scope, access: Access) -> AbstractContextManager[None]:
        """Record actions inside this block in the audit log as made through a signed link."""
        return as_actor(actor_of(scope, access, Door.Link))

    async def secrets(self, name: str) -> Sequence[bytes]:
        """Return the secrets of that name, newest first; they are the same in every process."""
        if not self._service.is_open:
            raise Unavailable("the database cannot be reached", retry_after=2)
        return await self._service.secrets.of(name)

    def stream(self, pieces: AsyncGenerator[bytes], access: Access) -> Response:
        """Return a response of server-sent events, which ends with the chunks, the visitor's session or the server."""
        return EventStream(self._service, pieces, access)
