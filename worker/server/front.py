"""What the server lets its pages have. They know it as a protocol of their own (``worker/dashboard/front.py``)."""

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

SESSION_SECONDS = 12 * 3600  # as long as the cookie that holds its token


class ServerFront:
    """The server as its pages see it.

    Args:
        service: The server's own state.
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    @property
    def closing(self) -> asyncio.Event:
        """Set when the server closes."""
        return self._service.closing

    @property
    def file_bytes(self) -> int:
        """The largest file that is worth sending: what a worker with these settings reads."""
        return min(self._service.settings.file_bytes, FILE_BYTES)

    @property
    def embedder(self) -> str | None:
        """What makes vectors of the texts of a new knowledge base; None means words alone count."""
        return self._service.settings.embedder

    @property
    def task_bytes(self) -> int:
        """The same for all files of a task."""
        return min(self._service.settings.task_bytes, FORM_BYTES)

    async def sign_in(self, key: str, scope: Scope) -> str:
        """Begin a session with a key; the token that finds it.

        Raises:
            Unauthorized: The key opens nothing.
            NotFound: It is another organization's.
            TooManyGuesses: Too many wrong ones came from there.
            Unavailable: The database is away.
        """
        guesses, address = self._service.guesses, address_of(scope)
        try:
            guesses.check(address, key)
            try:
                known = await self._service.keyring.mark(key)
            except Unauthorized:
                await guesses.was_wrong(address, key, self._service.host.keys.guessed)
                raise
            access = await self._service.keyring.readmit(known, scope.get("organization_id"))
        except ModuleException as error:
            self.refused(scope, error, None)
            raise
        guesses.was_right(key)
        mark = await self._service.host.sessions.begin(known, SESSION_SECONDS)
        await self._write(AuditAction.SignedIn, access, scope)
        return mark

    async def sign_out(self, mark: str, scope: Scope) -> None:
        """End a session, and what is open in it. Raises: Unavailable."""
        known = await self._service.host.sessions.find(mark)
        await self._service.host.sessions.end(mark)
        if known is not None:
            try:
                access = await self._service.keyring.readmit(known, None)
            except Unauthorized:
                return  # its key had ended it
            await self._write(AuditAction.SignedOut, access, scope)

    async def _write(self, action: AuditAction, access: Access, scope: Scope) -> None:
        actor = actor_of(scope, access, Door.Page)
        subject = access.key if access.key == SERVER_KEY else f"key {access.key}"
        await access.organization.audit.write(action, subject, actor=actor)

    def visiting(self, scope: Scope, access: Access) -> AbstractContextManager[None]:
        """Have what is done within be this visitor's, in the audit log."""
        return as_actor(actor_of(scope, access, Door.Page))

    def refused(self, scope: Scope, error: ModuleException, access: Access | None) -> None:
        """Note in the audit log that a visitor was refused."""
        self._service.refusals.note(scope, error, access, Door.Page)

    async def keys(self, access: Access) -> Sequence[Key]:
        """The keys that open nothing beyond what the visitor's does."""
        return await keys_within(self._service, access)

    async def make_key(
        self, access: Access, *, name: str, role: Role, agents: Sequence[str], seconds: float | None
    ) -> tuple[str, Key]:
        """Make such a key; itself, which is told this once, and what is known of it. Raises: ValidationError."""
        wish = KeyBody(name=name, role=role, agents=list(agents) or None, expires_in=seconds)
        return await make_key(self._service, access, wish)

    async def revoke_key(self, access: Access, key_id: str) -> None:
        """Revoke such a key. Raises: NotFound."""
        await revoke_key(self._service, access, key_id)

    async def admit(self, mark: str | None, organization_id: str | None) -> Access:
        """What a session may reach; without a mark what everybody may. Raises: Unauthorized, NotFound, Unavailable."""
        if mark is None:
            return await self._service.keyring.admit(None, organization_id)
        known = await self._service.host.sessions.find(mark) if self._service.is_open else ""
        if known is None:
            raise Unauthorized(description="This session has ended: sign in again.")
        return replace(await self._service.keyring.readmit(known, organization_id), session=mark)

    async def enter_queue(self, access: Access, agent_id: str) -> None:
        """Count one more task of an agent. Raises: QueueFull."""
        await self._service.queues.enter(access.organization, agent_id)

    async def opened(self, token: str) -> tuple[Access, TaskRecord, InputRequest]:
        """What a link opens: one request of one task. Raises: NotFound, LinkUsedUp, Unavailable."""
        self._service.check_open()
        return await self._service.answer_links.opened(token)

    def by_link(self, scope: Scope, access: Access) -> AbstractContextManager[None]:
        """Have what is done within be done by a link, in the audit log."""
        return as_actor(actor_of(scope, access, Door.Link))

    async def secrets(self, name: str) -> Sequence[bytes]:
        """Secrets of the server's own, the same in every process, the newest first. Raises: Unavailable."""
        if not self._service.is_open:
            raise Unavailable("the database cannot be reached", retry_after=2)
        return await self._service.secrets.of(name)

    def stream(self, pieces: AsyncGenerator[bytes], access: Access) -> Response:
        """Answer with server-sent events, until they end, or the visitor's session, or the server closes."""
        return EventStream(self._service, pieces, access)
