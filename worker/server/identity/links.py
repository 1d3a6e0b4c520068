"""Signed, temporary URLs for uploaded files; anyone with such a URL can download its file."""

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

STEP_SECONDS = 3600  # expiry times are rounded up, so that the URL of a file stays the same for an hour
SECRET = "file links"  # noqa: S105 - the name of a secret, not the secret


class Links:
    """Signs and verifies URLs of files; all server processes share the secrets.

    Args:
        secrets: The secrets.
        seconds: How long a URL is valid at least; each read of a task returns a new one.
    """

    def __init__(self, secrets: Secrets, seconds: int) -> None:
        self._secrets = secrets
        self._seconds = seconds
        self._current: tuple[bytes, ...] = ()

    async def load(self) -> None:
        """Fetch the current secrets."""
        self._current = await self._secrets.of(SECRET)

    def url(self, reference: str, organization_id: str, base: str) -> str:
        """Return the signed URL of an uploaded file; any other string is returned unchanged."""
        stored = Reference.read(reference)
        if stored is None:
            return reference
        sha256, name = stored
        expires = (int(time.time()) + self._seconds) // STEP_SECONDS * STEP_SECONDS + STEP_SECONDS
        signature = self._signed(organization_id, sha256, name, expires)[0]
        query = urlencode({"organization": organization_id, "expires": expires, "signature": signature})
        return f"{base}/files/{sha256}/{quote(name, safe='')}?{query}"

    def fits(self, organization_id: str, sha256: str, name: str, expires: int, signature: str) -> bool:
        """Return whether a signature is valid and has not expired."""
        given = signature.encode("utf-8", "replace")
        expected = self._signed(organization_id, sha256, name, expires)
        return expires >= time.time() and any(hmac.compare_digest(each.encode(), given) for each in expected)

    def _signed(self, organization_id: str, sha256: str, name: str, expires: int) -> list[str]:
        """Return the signature under each accepted secret, newest first."""
        if not self._current:
            raise RuntimeError("the secrets have not been loaded")
        text = f"{organization_id}\n{sha256}\n{expires}\n{name}".encode("utf-8", "replace")
        return [hmac.new(secret, text, hashlib.sha256).hexdigest() for secret in self._current]

    def in_record(self, record: BaseModel, body: dict[str, Any], organization_id: str, base: str) -> dict[str, Any]:
        """Replace file references by signed URLs in a dumped record, in place, and return the dump.

        Only the fields in which a record lists the files of a task are changed. Other ``files`` keys (in a schema, in a
        tool's arguments, in pushed data) hold arbitrary text, and signing them would give access to any file that they
        name.

        Args:
            record: A task, an event, or an activity log.
            body: The dump of ``record``; modified in place.
            organization_id: The organization that owns the files.
            base: The server's base URL, as the client reaches it.
        """
        match record:
            case TaskRecord():
                self.in_task(body, organization_id, base)
            case TaskUpdateEvent() if isinstance(record.data, TaskRecord):
                self.in_task(body["data"], organization_id, base)
            case AgentActivityThread():
                for message, each in zip(body["messages"], record.messages, strict=True):
                    if isinstance(each, AgentActivityThreadMessage):
                        self._in_input(message["content"], organization_id, base)
            case _:
                pass
        return body

    def in_task(self, body: dict[str, Any], organization_id: str, base: str) -> dict[str, Any]:
        """Replace file references by signed URLs in a dumped task, in place, and return the dump."""
        self._in_input(body["input"], organization_id, base)
        for each in body.get("artifacts") or ():
            each["url"] = self.url(each["url"], organization_id, base)
        return body

    def _in_input(self, body: dict[str, Any], organization_id: str, base: str) -> None:
        """Replace file references in the input of a task, including ``attachments``, which the public client sends."""
        files = body.get("files") or ()
        body["files"] = [self.url(each, organization_id, base) for each in files]
        for each in body.get("attachments") or ():
            if isinstance(each, dict) and each.get("url") in files:
                each["url"] = self.url(each["url"], organization_id, base)
