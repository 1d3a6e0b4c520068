"""Doing something until it succeeds, with pauses that grow and begin anew after a success."""

import asyncio
import random
from collections.abc import Awaitable, Callable

from worker.words.errors import ModuleException
from worker.words.notices import PlatformTrouble, announce

FIRST_WAIT, LONGEST_WAIT = 0.2, 15.0  # seconds between tries, doubling


class Pause:
    """How long to wait before the next try."""

    def __init__(self) -> None:
        self._seconds = FIRST_WAIT

    def begin_anew(self) -> None:
        """It went well: the next pause is the first again."""
        self._seconds = FIRST_WAIT

    def next(self) -> float:
        """Seconds to wait now, with jitter so that many workers do not march in step."""
        seconds = random.uniform(self._seconds / 2, self._seconds)  # noqa: S311 - jitter, not a secret
        self._seconds = min(self._seconds * 2, LONGEST_WAIT)
        return seconds


async def forever(
    doing: str, once: Callable[[Callable[[], None]], Awaitable[None]], give_up: tuple[type[ModuleException], ...] = ()
) -> None:
    """Do something until it ends well; trouble is announced and passed over.

    Args:
        doing: What it is, for the announcement.
        once: Does it; it may call its argument to say that it went well so far: pauses begin anew.
        give_up: Errors that no further try mends; they are raised.
    """
    pause = Pause()
    while True:
        try:
            await once(pause.begin_anew)
        except give_up:
            raise
        except ModuleException as error:
            seconds = pause.next()
            announce(PlatformTrouble(doing=doing, error=error, again_in=seconds))
            await asyncio.sleep(seconds)
        else:
            return
