"""Waiting: back-off between tries, an event with a time limit, and repeated requests until there is an answer.

Everything that retries takes its pauses from here, so that a fleet does not reconnect in step after a restart of the
database. Requests of the remote client have their own rules (see remote/http/transport.py), since a server may set a
time.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from worker.words.errors import ModuleException, Unavailable
from worker.words.notices import PlatformTrouble, announce

T = TypeVar("T")

FAULTS = 10  # tries, over half a minute, before a fault of the platform itself (500) is raised
FAULT = frozenset({500, 502})


@dataclass(frozen=True, slots=True)
class Backoff:
    """The length of the pauses between tries.

    Args:
        first: Longest pause before the second try, in seconds.
        longest: Longest pause before any later try, in seconds. Pauses double up to this limit.
    """

    first: float
    longest: float

    def pauses(self) -> "Pauses":
        """Return pauses that start with the first one."""
        return Pauses(self)


class Pauses:
    """The pauses between the tries of one operation.

    Args:
        backoff: Their lengths.
    """

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self._seconds = backoff.first

    def next(self) -> float:
        """Return the seconds to wait now: random, between half of the current pause and all of it."""
        seconds = random.uniform(self._seconds / 2, self._seconds)  # noqa: S311 - jitter, not a secret
        self._seconds = min(self._seconds * 2, self._backoff.longest)
        return seconds

    def after(self, doing: str, error: BaseException) -> float:
        """Announce a failure of the platform, and return the seconds to wait before the next try.

        Args:
            doing: The purpose of the failed request, for the announcement.
            error: The error.
        """
        seconds = self.next()
        announce(PlatformTrouble(doing, error, seconds))
        return seconds

    def reset(self) -> None:
        """Restart with the first pause, after a successful try."""
        self._seconds = self._backoff.first

    def at_least(self, seconds: float) -> None:
        """Make the next pause no shorter than about this many seconds."""
        self._seconds = max(self._seconds, seconds)


PLATFORM = Backoff(0.2, 5.0)
"""For a platform that is unavailable or failing."""

SOON = Backoff(0.5, 1.0)
"""For requests for new work on such a platform: at most a second passes after it is available again."""

STREAMS = Backoff(0.2, 15.0)
"""For the registration and streams of a remote worker, which it maintains as long as it runs."""


async def within(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event for at most this many seconds, and return whether it is set."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


async def until_answered(
    ask: Callable[[], Awaitable[T]], doing: str, *, backoff: Backoff = PLATFORM, closing: asyncio.Event | None = None
) -> T:
    """Repeat a request until the platform answers, for as long as that takes. A fault of its own is not an answer.

    Args:
        ask: Makes the request; it must be safe to repeat.
        doing: The purpose, for notices of failures.
        backoff: The pauses between tries.
        closing: Once this event is set, the request is not repeated.

    Returns:
        The answer.

    Raises:
        ModuleException: The platform answered with a refusal.
        Unavailable: The platform is unavailable, and ``closing`` is set.
    """
    pauses = backoff.pauses()
    faults = 0
    while True:
        try:
            return await ask()
        except ModuleException as trouble:
            faults += trouble.status_code in FAULT
            away = isinstance(trouble, Unavailable) or (trouble.status_code in FAULT and faults < FAULTS)
            if not away or (closing is not None and closing.is_set()):
                raise
            seconds = pauses.after(doing, trouble)
        if closing is None:
            await asyncio.sleep(seconds)
        else:
            await within(closing, seconds)


async def until_done(
    doing: str,
    once: Callable[[Callable[[], None]], Awaitable[None]],
    *,
    backoff: Backoff,
    give_up: tuple[type[ModuleException], ...] = (),
) -> None:
    """Run something repeatedly until it ends without an error. Each failure is announced.

    Args:
        doing: What is done, for the announcement.
        once: Does it; it may call its argument to report progress, which resets the pauses.
        backoff: The pauses between tries.
        give_up: Errors that another try cannot fix; they are raised.
    """
    pauses = backoff.pauses()
    while True:
        try:
            await once(pauses.reset)
        except give_up:
            raise
        except ModuleException as error:
            await asyncio.sleep(pauses.after(doing, error))
        else:
            return
