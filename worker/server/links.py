"""Uploaded files as URLs that anybody may fetch who was given them, for a while."""

import hashlib
import hmac
import re
import time
from urllib.parse import quote, unquote, urlencode

from worker.contracts import Host
from worker.words.tasks import TaskRecord

LINK_SECONDS = 24 * 3600  # a task may wait before its worker fetches; the URL is made anew whenever the task is read
STEP_SECONDS = 3600  # ends of validity are rounded up, so that the same file keeps its URL for an hour
SECRET = "file links"  # noqa: S105 - the name of a secret, not the secret
_REFERENCE = re.compile(r"worker:([0-9a-f]{64})(?:/(.*))?", re.DOTALL)


class Links:
    """Signs and checks URLs of files; the secret is the database's, the same for every server process."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._secret: bytes | None = None

    async def load(self) -> None:
        """Fetch the secret once."""
        if self._secret is None:
            self._secret = await self._host.keys.secret(SECRET)

    def url(self, reference: str, organization_id: str, base: str) -> str:
        """The URL of an uploaded file; anything else stays as it is."""
        match = _REFERENCE.fullmatch(reference)
        if match is None:
            return reference
        name = unquote(match[2] or match[1][:12])
        expires = (int(time.time()) + LINK_SECONDS) // STEP_SECONDS * STEP_SECONDS + STEP_SECONDS
        signature = self._sign(organization_id, match[1], name, expires)
        query = urlencode({"organization": organization_id, "expires": expires, "signature": signature})
        return f"{base}/files/{match[1]}/{quote(name, safe='')}?{query}"

    def fits(self, organization_id: str, sha256: str, name: str, expires: int, signature: str) -> bool:
        """Whether a signature is ours and holds."""
        expected = self._sign(organization_id, sha256, name, expires)
        return hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace")) and expires >= time.time()

    def _sign(self, organization_id: str, sha256: str, name: str, expires: int) -> str:
        if self._secret is None:
            raise RuntimeError("the secret was not fetched")
        text = f"{organization_id}\n{sha256}\n{expires}\n{name}".encode("utf-8", "replace")
        return hmac.new(self._secret, text, hashlib.sha256).hexdigest()

    def in_task(self, task: TaskRecord, base: str) -> TaskRecord:
        """A task whose uploaded files are URLs."""
        files = task.input.files
        if not files or not any(each.startswith("worker:") for each in files):
            return task
        signed = [self.url(each, task.organization_id, base) for each in files]
        return task.model_copy(update={"input": task.input.model_copy(update={"files": signed})})
