"""The secrets behind cookies, forms and signed links: of a period each, so that none is worth much for long.

With ``WORKER_SECRET`` they are derived from it and stored nowhere. Without, they are random rows of the database, and
whoever reads a backup could sign links and forms until those rows are gone; a session nobody can make of one.
"""

import hashlib
import hmac
import time

from worker.contracts import Host
from worker.settings import Settings

PERIOD_SECONDS = 2 * 86_400  # longer than anything that is signed holds: a link 25 hours, a visit 12


def period() -> int:
    """The number of the period that it is."""
    return int(time.time() // PERIOD_SECONDS)


class Secrets:
    """The server's own secrets, the same in every process of it.

    Args:
        host: Keeps random ones.
        settings: May say what they are derived from.
    """

    def __init__(self, host: Host, settings: Settings) -> None:
        self._host = host
        self._given = settings.secret.get_secret_value().split() if settings.secret else []
        self._known: dict[str, tuple[int, tuple[bytes, ...]]] = {}

    async def of(self, name: str) -> tuple[bytes, ...]:
        """The secrets of a purpose: the first signs, each is accepted. Raises: Unavailable."""
        now = period()
        known = self._known.get(name)
        if known is None or known[0] != now:
            known = self._known[name] = now, await self._made(name, now)
        return known[1]

    async def _made(self, name: str, now: int) -> tuple[bytes, ...]:
        names = [f"{name} {each}" for each in (now, now - 1)]
        if self._given:
            return tuple(_derived(secret, each) for secret in self._given for each in names)
        return tuple([await self._host.sessions.secret(each) for each in names])


def _derived(secret: str, name: str) -> bytes:
    return hmac.new(secret.encode("utf-8", "surrogatepass"), name.encode(), hashlib.sha256).digest()
