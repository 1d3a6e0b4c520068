"""The secrets that sign cookies, forms and links. Each is valid for a limited period, so a leaked one soon expires.

With ``WORKER_SECRET`` they are derived from it, and not stored. Otherwise they are random rows of the database: someone
who reads a backup could sign links and forms until those rows are deleted, but could not forge a session.
"""

import hashlib
import hmac
import time
from collections.abc import Callable

from worker.contracts.sessions import Sessions

PERIOD_SECONDS = 2 * 86_400  # longer than any signature is valid: 25 hours for a link, 12 for a visit


def period(seconds: float = PERIOD_SECONDS) -> int:
    """Return the number of the current period, counted in periods of this length."""
    return int(time.time() // seconds)


class Secrets:
    """The server's secrets, the same in all processes with the same database and ``WORKER_SECRET``.

    Args:
        sessions: Returns the store of random secrets.
        given: The value of ``WORKER_SECRET``: secrets separated by spaces, newest first; None means random ones.
    """

    def __init__(self, sessions: Callable[[], Sessions], given: str | None) -> None:
        self._sessions = sessions
        self._given = given.split() if given else []
        self._known: dict[str, tuple[int, tuple[bytes, ...]]] = {}

    async def of(self, name: str, seconds: float = PERIOD_SECONDS) -> tuple[bytes, ...]:
        """Return the secrets for a purpose: the first one signs, all are accepted.

        Args:
            name: The purpose.
            seconds: How long a secret signs; it is accepted for as long again. A random secret is deleted after 30
                days.

        Raises:
            Unavailable: The database is unavailable.
        """
        now = period(seconds)
        known = self._known.get(name)
        if known is None or known[0] != now:
            known = self._known[name] = now, await self._current_secrets(name, now)
        return known[1]

    async def _current_secrets(self, name: str, now: int) -> tuple[bytes, ...]:
        names = [f"{name} {each}" for each in (now, now - 1)]
        if self._given:
            return tuple(_derived(secret, each) for secret in self._given for each in names)
        return tuple([await self._sessions().secret(each) for each in names])


def _derived(secret: str, name: str) -> bytes:
    return hmac.new(secret.encode("utf-8", "surrogatepass"), name.encode(), hashlib.sha256).digest()
