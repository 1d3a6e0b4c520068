"""Sessions of the server's pages, and the server's own secrets."""

import hashlib
import os
import secrets
from collections.abc import Sequence

from worker.engine.commit.hints import KEYS
from worker.engine.core import Core
from worker.engine.database.statements import keys as sql_keys

TOKEN_BYTES = 32  # 256 bits of chance
SECRET_BYTES = 32


class EngineSessions:
    """Who has signed in, for all organizations."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def begin(self, mark: str, seconds: float) -> str:
        """Begin a session; the token by which it is found is stored nowhere, only its digest."""
        token = secrets.token_urlsafe(TOKEN_BYTES)
        await self._core.rows(sql_keys.BEGIN_SESSION, (_digest(token), mark, seconds))
        return token

    async def find(self, token: str) -> str | None:
        """The mark of a session that goes on; None means it has ended, or never began."""
        rows = await self._core.read(sql_keys.FIND_SESSION, (_digest(token),))
        return rows[0]["mark"] if rows else None

    async def going_on(self, tokens: Sequence[str]) -> frozenset[str]:
        """Those of them whose session has not ended."""
        digests = {_digest(token): token for token in tokens}
        rows = await self._core.read(sql_keys.GOING_ON, (list(digests),))
        return frozenset(digests[row["digest"]] for row in rows)

    async def end(self, token: str) -> None:
        """End a session, if it goes on."""
        await self._core.rows(sql_keys.END_SESSION, (_digest(token),))
        self.tell()

    def tell(self) -> None:
        """Have every server process look which sessions go on."""
        self._core.tell(KEYS, [])

    async def secret(self, name: str) -> bytes:
        """A random secret, made when it is first asked for and the same for every process; gone after 30 days."""
        rows = await self._core.read(sql_keys.PASSING_OWN, (name, os.urandom(SECRET_BYTES)))
        return bytes(rows[0]["value"])


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
