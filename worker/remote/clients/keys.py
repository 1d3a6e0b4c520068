"""The verbs of keys over HTTP: an admin's key manages the keys of its organization."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast
from urllib.parse import quote

from worker.contracts import Key
from worker.remote.clients.verbs import Verbs
from worker.remote.http.transport import Repeat
from worker.wire.records import decode
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
        return made["key"], _key(made)

    async def list(self, organization_id: str | None = None) -> list[Key]:
        """Return the keys that the caller can see, including expired and revoked ones, without their secret values."""
        if organization_id is not None:
            self._check(organization_id)
        found = await self._ask("GET", "")
        return [_key(each) for each in cast("list[Any]", found if isinstance(found, list) else [])]

    async def revoke(self, key_id: str) -> Key:
        """Revoke a key.

        Raises:
            NotFound: There is no such key.
        """
        return _key(await self._ask("POST", f"/{quote(key_id, safe='')}/revoke"))

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


def _key(data: Any) -> Key:
    """Parse a key's record."""
    try:
        moments = {
            name: None if data.get(name) is None else datetime.fromisoformat(data[name])
            for name in ("created_at", "expires_at", "revoked_at")
        }
        agents = data.get("agents")
        return Key(
            id=str(data["id"]),
            organization_id=str(data["organization_id"]),
            name=str(data["name"]),
            agents=None if agents is None else tuple(str(each) for each in agents),
            role=Role(data["role"]),
            created_at=moments["created_at"] or datetime.fromtimestamp(0).astimezone(),
            expires_at=moments["expires_at"],
            revoked_at=moments["revoked_at"],
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Unavailable(f"the platform returned an invalid key: {error}") from None
