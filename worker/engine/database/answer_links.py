"""Links to input requests, for processes that use the database directly: programs, commands, workers."""

import time

from worker.contracts.secrets import Secrets
from worker.words.answer_links import SECRET, SECRET_PERIOD_SECONDS, AnswerLink, LinkedRecord, linked, needs_links
from worker.words.requests import InputRequest


class AnswerLinks:
    """Creates links that lead to the HTTP server.

    Args:
        secrets: The server's secrets.
        base: The server's address; None means that no links are created.
    """

    def __init__(self, secrets: Secrets, base: str | None) -> None:
        self._secrets = secrets
        self._base = base

    async def with_links(self, record: LinkedRecord, organization_id: str) -> LinkedRecord:
        """Return a record with a link added to each of its input requests."""
        base = self._base
        if base is None or not needs_links(record):
            return record
        secret = (await self._secrets.of(SECRET, SECRET_PERIOD_SECONDS))[0]
        now = time.time()

        def sign(task_id: str, request: InputRequest) -> str:
            return AnswerLink.of(organization_id, task_id, request, now).url(base, secret)

        return linked(record, sign)
