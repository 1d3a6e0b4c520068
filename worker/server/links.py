"""Uploaded files as URLs that anybody may fetch who was given them, for a while."""

import hashlib
import hmac
import json
import re
import time
from typing import Any
from urllib.parse import quote, unquote, urlencode

from worker.contracts.secrets import Secrets

LINK_SECONDS = 24 * 3600  # a task may wait before its worker fetches; the URL is made anew whenever the task is read
STEP_SECONDS = 3600  # ends of validity are rounded up, so that the same file keeps its URL for an hour
SECRET = "file links"  # noqa: S105 - the name of a secret, not the secret
FIELDS = frozenset({"files", "attachments", "artifacts"})
"""Where records name files: a task's input, a message of its activity log, a trigger of another agent."""

_REFERENCE = re.compile(r"worker:([0-9a-f]{64})(?:/(.*))?", re.DOTALL)


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
        match = _REFERENCE.fullmatch(reference)
        if match is None:
            return reference
        name = unquote(match[2] or match[1][:12])
        expires = (int(time.time()) + LINK_SECONDS) // STEP_SECONDS * STEP_SECONDS + STEP_SECONDS
        signature = self._signed(organization_id, match[1], name, expires)[0]
        query = urlencode({"organization": organization_id, "expires": expires, "signature": signature})
        return f"{base}/files/{match[1]}/{quote(name, safe='')}?{query}"

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

    def in_json(self, text: str, organization_id: str, base: str) -> str:
        """A record's JSON, in which uploaded files are URLs."""
        if '"worker:' not in text:
            return text
        return json.dumps(
            self.in_value(json.loads(text), organization_id, base), ensure_ascii=False, separators=(",", ":")
        )

    def in_value(self, value: Any, organization_id: str, base: str, *, named: bool = False) -> Any:
        """A record as JSON has it, in which uploaded files are URLs.

        Args:
            value: The record, or what stands in it.
            organization_id: Whose files.
            base: The address by which the client reaches us.
            named: Whether text in it names a file.
        """
        match value:
            case str() if named:
                return self.url(value, organization_id, base)
            case list():
                return [self.in_value(each, organization_id, base, named=named) for each in value]
            case dict():
                return {
                    name: self.in_value(each, organization_id, base, named=named or name in FIELDS)
                    for name, each in value.items()
                }
            case _:
                return value
