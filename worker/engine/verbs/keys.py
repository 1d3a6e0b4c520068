"""Keys of the HTTP server, its own secrets, and idempotency keys of creates."""

import os
import secrets
from collections.abc import Sequence
from typing import Any

from worker.contracts import Key, check_organization
from worker.contracts.bounds import bounded
from worker.engine.commit.hints import KEYS
from worker.engine.core import Core
from worker.engine.database.statements import keys as sql_keys
from worker.engine.database.statements import presence as sql_presence
from worker.engine.verbs.audit import EngineAudit
from worker.words.actors import AuditAction
from worker.words.digests import digest_of
from worker.words.errors import Conflict, NotFound
from worker.words.ids import check_id, new_id
from worker.words.invisible_characters import name_of
from worker.words.roles import Role
from worker.words.texts import clean

KEY_BYTES = 32  # 256 random bits cannot be guessed, so one round of SHA-256 suffices, and a slow hash adds nothing
SECRET_BYTES = 32
NOTED = "had a key"  # the name of a row among the secrets which shows that a server had a key of its own


class EngineKeys:
    """Keys of the HTTP server, its secrets and its idempotency keys, for all organizations."""

    def __init__(self, core: Core) -> None:
        self._core = core

    @bounded
    async def create(
        self,
        organization_id: str,
        *,
        role: Role = Role.Client,
        name: str = "",
        agents: Sequence[str] = (),
        seconds: float | None = None,
    ) -> tuple[str, Key]:
        """Create a key, and return its text, which can never be read again, and its record."""
        check_organization(organization_id)
        for agent in agents:
            check_id(agent, "agents")
        text = f"wk_{secrets.token_urlsafe(KEY_BYTES)}"
        asked = {
            "id": new_id(),
            "organization": organization_id,
            "digest": digest_of(text),
            "name": name_of(clean(name)),
            "agents": list(agents) or None,
            "role": str(role),
            "seconds": seconds,
        }
        values: dict[str, Any] = {each: asked[each] for each in ("name", "agents", "role", "seconds")}
        audit = EngineAudit(self._core, organization_id)
        async with audit.of(AuditAction.KeyCreated, f"key {asked['id']}", agent=_alone(agents), **values):
            rows = await self._core.rows(sql_keys.CREATE_KEY, asked)
        self._core.announce(KEYS, [])
        return text, _key(rows[0])

    @bounded
    async def assumed(self) -> list[Key]:
        """Return the keys created before roles existed; each is returned only once."""
        return [_key(row) for row in await self._core.rows(sql_keys.ASSUMED_KEYS)]

    @bounded
    async def list(self, organization_id: str | None = None) -> list[Key]:
        """Return the records of all keys, including expired and revoked ones, without their texts."""
        return [_key(row) for row in await self._core.read(sql_keys.LIST_KEYS, {"organization": organization_id})]

    @bounded
    async def revoke(self, key_id: str) -> Key:
        """Revoke a key.

        Raises:
            NotFound: There is no such key.
        """
        known = await self._core.read(sql_keys.ANY_KEY, (clean(key_id),))
        if not known:
            raise NotFound(f"There is no key {key_id!r}.")
        key = _key(known[0])
        audit = EngineAudit(self._core, key.organization_id)
        agent = _alone(key.agents or ())
        async with audit.of(AuditAction.KeyRevoked, f"key {key.id}", agent=agent, name=key.name):
            rows = await self._core.rows(sql_keys.REVOKE_KEY, (key.id,))
        self._core.announce(KEYS, [])
        return _key(rows[0])

    @bounded
    async def find(self, text: str) -> Key | None:
        """Return the key with this text, if it is valid now."""
        digest = digest_of(text)
        rows = await self._core.read(sql_keys.FIND_KEY, (digest,))
        return next((_key(row) for row in rows if secrets.compare_digest(row["digest"], digest)), None)

    @bounded
    async def get(self, key_id: str) -> Key | None:
        """Return the key with this id, if it is valid now."""
        rows = await self._core.read(sql_keys.GET_KEY, (clean(key_id),))
        return _key(rows[0]) if rows else None

    @bounded
    async def valid(self, key_ids: Sequence[str]) -> frozenset[str]:
        """Return those of the keys that are valid now."""
        return frozenset(row["id"] for row in await self._core.read(sql_keys.VALID_KEYS, (list(key_ids),)))

    def changes(self) -> int:
        """Return a mark of the changes seen so far, for ``changed``."""
        return self._core.wakeups.seen(KEYS)

    async def changed(self, mark: int, seconds: float) -> bool:
        """Wait for a change after a mark, and return whether there was one."""
        return await self._core.wakeups.flagged(KEYS, seconds, mark)

    @bounded
    async def note(self) -> None:
        """Record that there was a key."""
        await self.secret(NOTED)

    @bounded
    async def ever(self) -> bool:
        """Return whether there has ever been a key."""
        return (await self._core.read(sql_keys.HAD_KEYS, (NOTED,)))[0]["any"]

    @bounded
    async def exist(self) -> bool:
        """Return whether there is a valid key."""
        return (await self._core.read(sql_keys.HAS_KEYS))[0]["any"]

    @bounded
    async def guessed(self, network: str, per_minute: int) -> float:
        """Count a wrong key, and return how many guesses its network has spent, less those refunded over time."""
        asked = {"network": clean(network), "rate": per_minute / 60}
        return float((await self._core.rows(sql_presence.COUNT_GUESS, asked))[0]["spent"])

    @bounded
    async def secret(self, name: str) -> bytes:
        """Return a secret of the server, which is created on first use and is the same for every process."""
        return bytes((await self._core.read(sql_keys.GET_OR_CREATE, (name, os.urandom(SECRET_BYTES))))[0]["value"])

    @bounded
    async def reserve(self, organization_id: str, key: str, digest: str, task_id: str) -> tuple[str, bool]:
        """Reserve an idempotency key for a create.

        Returns:
            The id of the key's task, and whether this is the first request with the key.

        Raises:
            Conflict: The key was used for another request before.
        """
        asked = {"organization": organization_id, "key": key, "digest": digest, "task": task_id}
        row = (await self._core.rows(sql_keys.RESERVE, asked))[0]
        if row["digest"] != digest:
            raise Conflict("This Idempotency-Key has already been used for a different request.")
        return row["task_id"], row["fresh"]

    @bounded
    async def release(self, organization_id: str, key: str, task_id: str) -> None:
        """Release the idempotency key of a create that failed."""
        await self._core.rows(sql_keys.RELEASE, (organization_id, key, task_id))


def _alone(agents: Sequence[str]) -> str | None:
    """Return the agent of a key that is limited to a single one."""
    return agents[0] if len(agents) == 1 else None


def _key(row: dict[str, Any]) -> Key:
    return Key.model_validate({**row, "agents": row["agents"] or None})
