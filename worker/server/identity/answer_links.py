"""Signed links through which a person answers a request without a key, and their validation.

A link is valid no longer than the key of the request that returned it: revoking that key, or its expiry, disables it.
"""

import time

from worker.contracts.access import ROUTES
from worker.contracts.secrets import Secrets
from worker.server.identity.access import Access, Unauthorized
from worker.server.identity.keyring import Keyring
from worker.words.answer_links import (
    SECRET,
    SECRET_PERIOD_SECONDS,
    AnswerLink,
    LinkedRecord,
    LinkUsedUp,
    Sign,
    linked,
    needs_links,
)
from worker.words.errors import NotFound
from worker.words.requests import InputRequest
from worker.words.tasks import TaskRecord

ANSWER = ROUTES["POST /agent-execution/{task_id}/answer"]


class SignedAnswerLinks:
    """Creates and validates answer links; all processes on the same database share the secrets."""

    def __init__(self, secrets: Secrets, keyring: Keyring) -> None:
        self._secrets = secrets
        self._keyring = keyring
        self._current: tuple[bytes, ...] = ()
        self._own = ""

    async def load(self) -> None:
        """Fetch the current secrets.

        Raises:
            Unavailable: The database cannot be reached.
        """
        self._current = await self._secrets.of(SECRET, SECRET_PERIOD_SECONDS)
        self._own = self._own or await self._keyring.own_mark()

    def with_links(self, record: LinkedRecord, access: Access, base: str, *, to_handler: bool = False) -> LinkedRecord:
        """Return a record with answer links added to its open requests, if the recipient may answer them.

        Args:
            record: A task, an event, or an open request.
            access: The permissions of the recipient.
            base: The server's base URL, as clients reach it.
            to_handler: Whether the recipient is a bound handler, the operator's own code, which may pass links on.
        """
        if not needs_links(record) or not (to_handler or access.allows(ANSWER)):
            return record
        return linked(record, self._sign(access, base))

    def _sign(self, access: Access, base: str) -> Sign:
        organization_id, by, now = (
            access.organization.organization_id,
            self._keyring.name_of(access, self._own),
            time.time(),
        )

        def sign(task_id: str, request: InputRequest) -> str:
            return AnswerLink.of(organization_id, task_id, request, now, by).url(base, self._current[0])

        return sign

    async def opened(self, token: str) -> tuple[Access, TaskRecord, InputRequest]:
        """Validate a link and return its permissions, its task and the request that it answers.

        Raises:
            NotFound: The link was not signed by this server.
            LinkUsedUp: The link has expired, its request was already answered, or its key was revoked.
            Unavailable: The database cannot be reached.
        """
        await self.load()
        link = AnswerLink.read(token, self._current, time.time())
        try:
            access = await self._keyring.behind_link(link.by, link.organization_id)
            task = await access.task(link.task_id)
        except Unauthorized:
            raise LinkUsedUp(
                description="This link is no longer valid: the key that created it has been revoked or has expired."
            ) from None
        except NotFound:
            raise LinkUsedUp(description="The task of this link no longer exists.") from None
        return access, task, link.fits(task)
