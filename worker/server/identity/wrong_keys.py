"""Wrong keys, counted by the address that they come from: nobody tries many, and no database is asked about each.

Each that is looked at is counted in the database, too, so that many server processes allow no more than one does.
"""

import ipaddress
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from worker.server.identity.keyring import digest_of
from worker.words.errors import ModuleException

ADDRESSES = 10_000  # that are remembered, those heard of last
RIGHT_KEYS = 4096  # keys that were right once: their holders are not kept out by a guesser at the same address
TRIED_KEYS = 50  # of an address; a fleet that has kept an old key is no guesser
MINUTE = 60.0
NETWORK_BITS = 64  # of an IPv6 address: a household has that many of its own


Spent = Callable[[str, int], Awaitable[float]]


class TooManyGuesses(ModuleException):
    """Too many wrong keys came from this address: try again later."""

    status = 429

    def __init__(self, retry_after: float) -> None:
        super().__init__()
        self.retry_after = retry_after  # seconds


@dataclass(slots=True)
class _Guesser:
    left: float
    since: float  # when that many were left
    tried: deque[str]  # digests: who repeats a wrong key learns nothing, and takes nothing


class Guesses:
    """How many wrong keys each address may still try.

    Args:
        most: In a minute, and at once; 0: any number.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._guessers: OrderedDict[str, _Guesser] = OrderedDict()
        self._right: OrderedDict[str, None] = OrderedDict()

    def check(self, address: str, key: str) -> None:
        """Let pass a key that may be tried; without a look at it, if there were too many. Raises: TooManyGuesses."""
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
        """Remember a key that opens something."""
        digest = digest_of(key)
        self._right[digest] = None
        self._right.move_to_end(digest)
        if len(self._right) > RIGHT_KEYS:
            self._right.popitem(last=False)

    async def was_wrong(self, address: str, key: str, elsewhere: Spent) -> None:
        """Count a wrong key, unless it was counted.

        Args:
            address: Where it came from.
            key: The key.
            elsewhere: Counts it for the other processes, too, and answers how many they all have counted.
        """
        if not self._count(address, key) or not self._most:
            return
        network = _network(address)
        with suppress(ModuleException):  # its own count holds meanwhile
            spent = await elsewhere(network, self._most)
            guesser = self._guessers.get(network)
            if guesser is not None:
                guesser.left, guesser.since = min(self._left(guesser), self._most - spent), time.monotonic()

    def _count(self, address: str, key: str) -> bool:
        """Count it here; whether it was new."""
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
