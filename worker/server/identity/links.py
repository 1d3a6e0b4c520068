"""Uploaded files as URLs that anybody may fetch who was given them, for a while."""

import hashlib
import hmac
import time
from typing import Any
from urllib.parse import quote, urlencode

from pydantic import BaseModel

from worker.contracts.secrets import Secrets
from worker.words.activity import AgentActivityThread, AgentActivityThreadMessage
from worker.words.events import TaskUpdateEvent
from worker.words.references import Reference
from worker.words.tasks import TaskRecord

LINK_SECONDS = 24 * 3600  # a task may wait before its worker fetches; the URL is made anew whenever the task is read
STEP_SECONDS = 3600  # ends of validity are rounded up, so that the same file keeps its URL for an hour
SECRET = "file links"  # noqa: S105 - the name of a secret, not the secret


class Links:
    """Signs and checks URLs of files; the secrets are the same for every server process."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._current: tuple[bytes, ...] = ()

    async def load(self) -> None:
        """Fetch the secrets of now."""
        self._current = await self._secrets.of(SECRET)

    def url(self, reference: str, organization_id: str, base: str) -> str:
        """The URL of an uploaded file; anything else stays as it is."""
        stored = Reference.read(reference)
        if stored is None:
            return reference
        sha256, name = stored
        expires = (int(time.time()) + LINK_SECONDS) // STEP_SECONDS * STEP_SECONDS + STEP_SECONDS
        signature = self._signed(organization_id, sha256, name, expires)[0]
        query = urlencode({"organization": organization_id, "expires": expires, "signature": signature})
        return f"{base}/files/{sha256}/{quote(name, safe='')}?{query}"

    def fits(self, organization_id: str, sha256: str, name: str, expires: int, signature: str) -> bool:
        """Whether a signature is ours and holds."""
        given = signature.encode("utf-8", "replace")
        expected = self._signed(organization_id, sha256, name, expires)
        return expires >= time.time() and any(hmac.compare_digest(each.encode(), given) for each in expected)

    def _signed(self, organization_id: str, sha256: str, name: str, expires: int) -> list[str]:
        """The signatures by each secret, the newest first."""
        if not self._current:
            raise RuntimeError("the secrets were not fetched")
        text = f"{organization_id}\n{sha256}\n{expires}\n{name}".encode("utf-8", "replace")
        return [hmac.new(secret, text, hashlib.sha256).hexdigest() for secret in self._current]

    def in_record(self, record: BaseModel, told: dict[str, Any], organization_id: str, base: str) -> dict[str, Any]:
        """A dumped record, in which the files of a task are URLs.

        Only where a record says which files a task has: what is called ``files`` in a schema, in the arguments of a
        tool or in what somebody pushed is anybody's text, and a URL would open whatever that names.

        Args:
            record: A task, an event, an activity log.
            told: What was dumped of it; it is changed.
            organization_id: Whose files.
            base: The address by which the client reaches us.
        """
        match record:
            case TaskRecord():
                self.in_task(told, organization_id, base)
            case TaskUpdateEvent() if isinstance(record.data, TaskRecord):
                self.in_task(told["data"], organization_id, base)
            case AgentActivityThread():
                for message, each in zip(told["messages"], record.messages, strict=True):
                    if isinstance(each, AgentActivityThreadMessage):
                        self._in_input(message["content"], organization_id, base)
            case _:
                pass
        return told

    def in_task(self, told: dict[str, Any], organization_id: str, base: str) -> dict[str, Any]:
        """A dumped task, in which its files are URLs; it is changed."""
        self._in_input(told["input"], organization_id, base)
        for each in told.get("artifacts") or ():
            each["url"] = self.url(each["url"], organization_id, base)
        return told

    def _in_input(self, told: dict[str, Any], organization_id: str, base: str) -> None:
        """The files of an input, also as the public client has named them."""
        files = told.get("files") or ()
        told["files"] = [self.url(each, organization_id, base) for each in files]
        for each in told.get("attachments") or ():
            if isinstance(each, dict) and each.get("url") in files:
                each["url"] = self.url(each["url"], organization_id, base)
