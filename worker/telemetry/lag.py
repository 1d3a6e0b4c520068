"""Measurement of how late an event loop runs due callbacks, which shows what blocking code costs all others."""

import asyncio
from collections.abc import Callable

EVERY_SECONDS = 0.25


class LoopLag:
    """Measures the running event loop, until ``stop`` is called.

    Args:
        observe: Called each time with the number of seconds by which the loop was late.
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
        """Stop measuring."""
        self._next.cancel()
