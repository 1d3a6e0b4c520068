"""The secrets behind cookies, forms and signed links: of a period each, so that none is worth much for long.

With ``WORKER_SECRET`` they are derived from it and stored nowhere. Without, they are random rows of the database, and
whoever reads a backup could sign links and forms until those rows are gone; a session nobody can make of one.
"""

import hashlib
import hmac
import time
from collections.abc import Callable

from worker.contracts.sessions import Sessions

PERIOD_SECONDS = 2 * 86_400  # longer than anything that is signed holds: a link 25 hours, a visit 12


def period(seconds: float = PERIOD_SECONDS) -> int:
    """The number of the period that it is, by their length."""
    return int(time.time() // seconds)


class Secrets:
    """The server's own secrets, the same in every process that has the same database and ``WORKER_SECRET``.

    Args:
        sessions: Answers what keeps random ones.
        given: What they are derived from, several with spaces between, the newest first; None means they are random.
    """

    def __init__(self, sessions: Callable[[], Sessions], given: str | None) -> None:
        self._sessions = sessions
        self._given = given.split() if given else []
        self._known: dict[str, tuple[int, tuple[bytes, ...]]] = {}

    async def of(self, name: str, seconds: float = PERIOD_SECONDS) -> tuple[bytes, ...]:
        """The secrets of a purpose: the first signs, each is accepted.

        Args:
            name: The purpose.
            seconds: How long one signs; it is accepted for as long again, and a random one is gone after 30 days.

        Raises:
            Unavailable: The database is away.
        """
        now = period(seconds)
        known = self._known.get(name)
        if known is None or known[0] != now:
            known = self._known[name] = now, await self._made(name, now)
        return known[1]

    async def _made(self, name: str, now: int) -> tuple[bytes, ...]:
        names = [f"{name} {each}" for each in (now, now - 1)]
        if self._given:
            return tuple(_derived(secret, each) for secret in self._given for each in names)
        return tuple([await self._sessions().secret(each) for each in names])


def _derived(secret: str, name: str) -> bytes:
    return hmac.new(secret.encode("utf-8", "surrogatepass"), name.encode(), hashlib.sha256).digest()
