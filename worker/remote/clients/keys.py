"""The verbs of keys over HTTP: an admin's key manages the keys of its organization."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from worker.contracts import Key
from worker.remote.clients.verbs import Verbs
from worker.remote.http.transport import Repeat
from worker.wire.records import decode, record_of, records_of
from worker.words.errors import Unavailable, Unsupported, ValidationError
from worker.words.roles import Role


class RemoteKeys(Verbs):
    """Creates, lists and revokes keys."""

    async def create(
        self,
        organization_id: str,
        *,
        role: Role = Role.Client,
        name: str = "",
        agents: Sequence[str] = (),
        seconds: float | None = None,
    ) -> tuple[str, Key]:
        """Create a key, and return its secret value, which is available only now, and its record."""
        self._check(organization_id)
        body = {"role": str(role), "name": name, "agents": list(agents) or None, "expires_in": seconds}
        made = await self._ask("POST", "", body=body, repeat=Repeat.UNSENT)
        if not isinstance(made, dict) or not isinstance(made.get("key"), str):
            raise Unavailable("the platform did not return a key")
        return made["key"], record_of(Key, made)

    async def list(self, organization_id: str | None = None) -> list[Key]:
        """Return the keys that the caller can see, including expired and revoked ones, without their secret values."""
        if organization_id is not None:
            self._check(organization_id)
        return records_of(Key, await self._ask("GET", ""))

    async def revoke(self, key_id: str) -> Key:
        """Revoke a key.

        Raises:
            NotFound: There is no such key.
        """
        return record_of(Key, await self._ask("POST", f"/{quote(key_id, safe='')}/revoke"))

    def _check(self, organization_id: str) -> None:
        if organization_id != self._organization:
            raise ValidationError(
                f"over HTTP, only keys of the organization {self._organization!r} can be managed"
                " (XPANDER_ORGANIZATION_ID)",
                field="organization",
            )

    async def _ask(self, method: str, path: str, **options: Any) -> Any:
        if not await self._dialect.native():
            raise Unsupported("manage keys", f"the platform at {self._transport.addresses.shown}")
        return decode((await self._transport.call(method, f"/keys{path}", **options)).content, "a key")
