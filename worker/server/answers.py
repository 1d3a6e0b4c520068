"""Answers kept for a while: a batch that is sent again, since its answer was lost, is not carried out twice."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

KEPT_SECONDS = 60.0  # a client tries again within seconds
KEPT = 20_000  # at 300 batches a second this is the minute; most answers are a handful of nulls

Results = list[dict[str, Any]]
Asked = tuple[str, str, str | None]
"""Organization, worker and Idempotency-Key."""


class Answers:
    """The newest answers of this process, by who asked under which key."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Asked, tuple[float, asyncio.Task[Results]]] = OrderedDict()

    async def once(self, asked: Asked, carry_out: Callable[[], Awaitable[Results]]) -> Results:
        """Carry a batch out, or answer what it came to before; one that is under way is waited for."""
        if asked[2] is None:
            return await carry_out()
        known = self._kept.get(asked)
        if known is None:
            self._forget()
            known = self._kept[asked] = time.monotonic(), asyncio.ensure_future(_running(carry_out))
        return await asyncio.shield(known[1])

    def _forget(self) -> None:
        oldest = time.monotonic() - KEPT_SECONDS
        while self._kept and (len(self._kept) >= KEPT or next(iter(self._kept.values()))[0] < oldest):
            self._kept.popitem(last=False)


async def _running(carry_out: Callable[[], Awaitable[Results]]) -> Results:
    return await carry_out()
