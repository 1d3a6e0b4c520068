"""Waiting: pauses that grow between tries, an event within a bound, and asking until there is an answer.

Everything that tries again takes its pauses from here, so that a fleet whose database restarts does not come back in
step. A request of the remote client has its own rules (see remote/http/transport.py), since the server may name a time.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from worker.words.errors import ModuleException, Unavailable
from worker.words.notices import PlatformTrouble, announce

T = TypeVar("T")

FAULTS = 10  # tries where the platform has a fault of its own (500): half a minute, then it is taken for its answer
FAULT = frozenset({500, 502})


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait between tries.

    Args:
        first: Seconds before the second try at the most.
        longest: Seconds before any later try at the most; each pause is twice as long as the one before, up to this.
    """

    first: float
    longest: float

    def pauses(self) -> "Pauses":
        """Begin with the first pause."""
        return Pauses(self)


class Pauses:
    """The pauses of one thing that is tried again.

    Args:
        backoff: How long they are.
    """

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self._seconds = backoff.first

    def next(self) -> float:
        """Return the seconds to wait now: a random time between half of the pause and all of it."""
        seconds = random.uniform(self._seconds / 2, self._seconds)  # noqa: S311 - jitter, not a secret
        self._seconds = min(self._seconds * 2, self._backoff.longest)
        return seconds

    def after(self, doing: str, error: BaseException) -> float:
        """Announce trouble with the platform, and return the seconds to wait before the next try.

        Args:
            doing: What failed, as the log names it.
            error: How it failed.
        """
        seconds = self.next()
        announce(PlatformTrouble(doing, error, seconds))
        return seconds

    def reset(self) -> None:
        """Begin with the first pause again: the last try went well."""
        self._seconds = self._backoff.first

    def at_least(self, seconds: float) -> None:
        """Make the next pause no shorter than about so many seconds."""
        self._seconds = max(self._seconds, seconds)


PLATFORM = Backoff(0.2, 5.0)
"""For a platform that is away, or in trouble."""

SOON = Backoff(0.5, 1.0)
"""The same where it is asked for whatever comes next: once it is back, nobody waits longer than a second."""

STREAMS = Backoff(0.2, 15.0)
"""For what a remote worker keeps up as long as it lives: its registration, and its streams."""


async def within(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event, but no longer than so many seconds; return whether it is set."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


async def until_answered(
    ask: Callable[[], Awaitable[T]], doing: str, *, backoff: Backoff = PLATFORM, closing: asyncio.Event | None = None
) -> T:
    """Ask something of the platform until it answers, however long that takes; a fault of its own is no answer yet.

    Args:
        ask: What is asked; repeating it must do no harm.
        doing: What for, as notices of trouble say it.
        backoff: The pauses between tries.
        closing: Once it is set, nothing is asked again.

    Returns:
        The answer.

    Raises:
        ModuleException: The platform answered, and refused. Unavailable: it is away, and ``closing`` is set.
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
    """Do something until it ends well; whatever trouble there is, is announced and passed over.

    Args:
        doing: What it is, for the announcement.
        once: Does it; it may call its argument to say that it went well so far: pauses begin anew.
        backoff: The pauses between tries.
        give_up: Errors that no further try mends; they are raised.
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
