"""Rate limiting of wrong keys by client address, so that keys cannot be guessed and the database is not flooded.

Each wrong key that was checked is also counted in the database, so that many server processes together allow no more
attempts than one.
"""

import ipaddress
import time
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from worker.server.identity.access import Unauthorized
from worker.words.digests import digest_of
from worker.words.errors import ModuleException

ADDRESSES = 10_000  # most addresses that are tracked; the least recent are dropped
RIGHT_KEYS = 4096  # known valid keys, whose holders are not locked out by a guesser at the same address
TRIED_KEYS = 50  # wrong keys remembered per address, so that a fleet with one outdated key is not locked out
MINUTE = 60.0
NETWORK_BITS = 64  # IPv6 addresses are grouped by this prefix, the size of one household's network


Spent = Callable[[str, int], Awaitable[float]]


class TooManyGuesses(ModuleException):
    """Too many wrong keys were sent from this address; try again later."""

    status = 429

    def __init__(self, retry_after: float) -> None:
        super().__init__()
        self.retry_after = retry_after  # in seconds


@dataclass(slots=True)
class _Guesser:
    left: float
    since: float  # when ``left`` was computed
    tried: deque[str]  # digests of recent wrong keys: repeating one reveals nothing, so it is not counted again


class Guesses:
    """A rate limiter that counts the wrong keys of each address.

    Args:
        most: The number of wrong keys allowed per minute, also as a burst; 0 means no limit.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._guessers: OrderedDict[str, _Guesser] = OrderedDict()
        self._right: OrderedDict[str, None] = OrderedDict()

    def check(self, address: str, key: str) -> None:
        """Check that an address may try a key; beyond the limit only keys already known are accepted.

        Raises:
            TooManyGuesses: The address has tried too many wrong keys.
        """
        guesser = self._guessers.get(_network(address))
        if guesser is None or not self._most:
            return
        digest = digest_of(key)
        if digest in guesser.tried or digest in self._right:
            return
        left = self._left(guesser)
        if left < 1:
            raise TooManyGuesses(round((1 - left) * MINUTE / self._most, 1))

    def was_right(self, key: str) -> None:
        """Remember a valid key."""
        digest = digest_of(key)
        self._right[digest] = None
        self._right.move_to_end(digest)
        if len(self._right) > RIGHT_KEYS:
            self._right.popitem(last=False)

    @asynccontextmanager
    async def trying(self, address: str, key: str, elsewhere: Spent) -> AsyncGenerator[None]:
        """Limit and count how often the block rejects a key, which raises Unauthorized if the key is wrong.

        Args:
            address: The client's address.
            key: The key.
            elsewhere: Counts a wrong key for all server processes, and returns their total count.

        Raises:
            TooManyGuesses: The address has tried too many wrong keys.
        """
        self.check(address, key)
        try:
            yield
        except Unauthorized:
            await self._was_wrong(address, key, elsewhere)
            raise
        self.was_right(key)

    async def _was_wrong(self, address: str, key: str, elsewhere: Spent) -> None:
        """Count a wrong key, unless it was counted before."""
        if not self._count(address, key) or not self._most:
            return
        network = _network(address)
        with suppress(ModuleException):  # without the database, the count of this process applies
            spent = await elsewhere(network, self._most)
            guesser = self._guessers.get(network)
            if guesser is not None:
                guesser.left, guesser.since = min(self._left(guesser), self._most - spent), time.monotonic()

    def _count(self, address: str, key: str) -> bool:
        """Count a key in this process and return whether it was new."""
        network, digest = _network(address), digest_of(key)
        guesser = self._guessers.setdefault(network, _Guesser(self._most, time.monotonic(), deque(maxlen=TRIED_KEYS)))
        self._guessers.move_to_end(network)
        if len(self._guessers) > ADDRESSES:
            self._guessers.popitem(last=False)
        if digest in guesser.tried:
            return False
        guesser.left, guesser.since = self._left(guesser) - 1, time.monotonic()
        guesser.tried.append(digest)
        return True

    def _left(self, guesser: _Guesser) -> float:
        regained = (time.monotonic() - guesser.since) * self._most / MINUTE
        return min(float(self._most), guesser.left + regained)


def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    mapped = parsed.ipv4_mapped
    return str(mapped or ipaddress.ip_network((int(parsed) >> NETWORK_BITS << NETWORK_BITS, NETWORK_BITS)))
