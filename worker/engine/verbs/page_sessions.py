"""Sessions of the server's pages, and secrets of the server that expire."""

import os
import secrets
from collections.abc import Sequence

from worker.engine.commit.hints import KEYS
from worker.engine.core import Core
from worker.engine.database.statements import keys as sql_keys
from worker.words.digests import digest_of

TOKEN_BYTES = 32  # 256 random bits
SECRET_BYTES = 32


class EngineSessions:
    """The sessions of signed-in users, for all organizations."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def begin(self, mark: str, seconds: float) -> str:
        """Begin a session and return its token, of which only the digest is stored."""
        token = secrets.token_urlsafe(TOKEN_BYTES)
        await self._core.rows(sql_keys.BEGIN_SESSION, (digest_of(token), mark, seconds))
        return token

    async def find(self, token: str) -> str | None:
        """Return the mark of an active session; None if the session has ended or never existed."""
        rows = await self._core.read(sql_keys.FIND_SESSION, (digest_of(token),))
        return rows[0]["mark"] if rows else None

    async def active(self, tokens: Sequence[str]) -> frozenset[str]:
        """Return those of the tokens whose session is active."""
        digests = {digest_of(token): token for token in tokens}
        rows = await self._core.read(sql_keys.ACTIVE_SESSIONS, (list(digests),))
        return frozenset(digests[row["digest"]] for row in rows)

    async def end(self, token: str) -> None:
        """End a session, if it is active."""
        await self._core.rows(sql_keys.END_SESSION, (digest_of(token),))
        self.announce()

    def announce(self) -> None:
        """Make every server process check which sessions are active."""
        self._core.announce(KEYS, [])

    async def secret(self, name: str) -> bytes:
        """Return a random secret, created on first use and shared by all processes; it expires after 30 days."""
        rows = await self._core.read(sql_keys.OF_PERIOD, (name, os.urandom(SECRET_BYTES)))
        return bytes(rows[0]["value"])
