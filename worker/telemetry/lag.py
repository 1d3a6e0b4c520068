"""How late an event loop runs what is due: what code that blocks it costs everybody else."""

import asyncio
from collections.abc import Callable

EVERY_SECONDS = 0.25


class LoopLag:
    """Measures the loop it is made on, until ``stop``.

    Args:
        observe: Told each time by how many seconds the loop was late.
    """

    def __init__(self, observe: Callable[[float], None]) -> None:
        self._observe = observe
        self._loop = asyncio.get_running_loop()
        self._next = self._loop.call_later(EVERY_SECONDS, self._look, self._loop.time() + EVERY_SECONDS)

    def _look(self, due: float) -> None:
        now = self._loop.time()
        self._observe(max(0.0, now - due))
        self._next = self._loop.call_later(EVERY_SECONDS, self._look, now + EVERY_SECONDS)

    def stop(self) -> None:
        """Measure no more."""
        self._next.cancel()
