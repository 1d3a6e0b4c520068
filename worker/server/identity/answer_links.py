"""Links by which a request is answered without a key: told to whoever may answer, and held against the key behind them.

A link holds no longer than the key through which it was told: once that is revoked, or has expired, so have its links.
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
    LinkUsedUp,
    Sign,
    Told,
    linked,
    needs_links,
)
from worker.words.errors import NotFound
from worker.words.requests import InputRequest
from worker.words.tasks import TaskRecord

ANSWER = ROUTES["POST /agent-execution/{task_id}/answer"]


class SignedAnswerLinks:
    """Makes and checks links; the secrets are the same for every process on the same database."""

    def __init__(self, secrets: Secrets, keyring: Keyring) -> None:
        self._secrets = secrets
        self._keyring = keyring
        self._current: tuple[bytes, ...] = ()
        self._own = ""

    async def load(self) -> None:
        """Fetch the secrets of now. Raises: Unavailable."""
        self._current = await self._secrets.of(SECRET, SECRET_PERIOD_SECONDS)
        self._own = self._own or await self._keyring.own_mark()

    def told(self, record: Told, access: Access, base: str, *, to_handler: bool = False) -> Told:
        """A record with the links of what is asked in it, where it goes to somebody who may answer.

        Args:
            record: A task, an event, or a request.
            access: Whose request it is.
            base: The address by which clients reach the server.
            to_handler: Whether it is delivered to a handler, the operator's own code, which passes links on.
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
        """What a link opens: the one request of the one task, for whoever has it.

        Raises:
            NotFound: It is no link of this server.
            LinkUsedUp: It has expired, its request was answered, or the key behind it was revoked.
            Unavailable: The database is away.
        """
        await self.load()
        link = AnswerLink.read(token, self._current, time.time())
        try:
            access = await self._keyring.behind_link(link.by, link.organization_id)
            task = await access.task(link.task_id)
        except Unauthorized:
            raise LinkUsedUp(description="This link was revoked, with the key that it came from.") from None
        except NotFound:
            raise LinkUsedUp(description="The task of this link is gone.") from None
        return access, task, link.fits(task)
