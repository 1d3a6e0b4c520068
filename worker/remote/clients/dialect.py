"""Which dialect a platform speaks: the native one, between our own worker and server, or the bare protocol."""

import asyncio
from typing import Any

from worker.contracts import Capabilities
from worker.remote.http.refusals import BUSY, KEY_REFUSED
from worker.remote.http.transport import Transport
from worker.wire.records import decode
from worker.words.errors import ModuleException

BARE = Capabilities(
    fencing=False, resume=False, deliveries="best effort", isolation=False, keeps_files=False, knowledge=False
)
QUESTION = {"worker_id": None, "verbs": [{"verb": "lost", "held": {}}]}


class Dialect:
    """Found out once, when it is first needed."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._native: bool | None = None
        self._asking = asyncio.Lock()

    @property
    def known(self) -> bool | None:
        """Whether it is the native one; None means not found out yet."""
        return self._native

    def assume_bare(self) -> None:
        """Do not ask: it is the bare protocol."""
        self._native = False

    @property
    def capabilities(self) -> Capabilities:
        """What the platform can do; until that is found out, what every platform can."""
        return Capabilities() if self._native else BARE

    async def native(self) -> bool:
        """Find out.

        Raises:
            KeyRefused: The platform does not take the key. Unavailable: it cannot be reached.
        """
        async with self._asking:
            if self._native is None:
                self._native = await self._ask()
        return self._native

    async def _ask(self) -> bool:
        try:
            answer = await self._transport.call("POST", f"{self._transport.addresses.organization}/work", body=QUESTION)
            return _is_native(decode(answer.content, "an answer"))
        except ModuleException as error:
            if error.status_code in KEY_REFUSED:  # gateways say so of a route they do not know too
                await self._transport.call("GET", "/agents/list")
                return False
            if error.status_code in BUSY or 500 <= error.status_code not in (501, 502):  # noqa: PLR2004 - HTTP: its fault
                raise
            return False


def _is_native(answer: Any) -> bool:
    return isinstance(answer, dict) and isinstance(answer.get("results"), list)
