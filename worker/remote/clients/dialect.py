"""Detection of a platform's protocol: the native one of our own server, or the bare protocol."""

import asyncio

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
    """The protocol of a platform. It is detected once, when first needed."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._native: bool | None = None
        self._detecting = asyncio.Lock()

    @property
    def known(self) -> bool | None:
        """Whether the platform speaks the native protocol; None until that was detected."""
        return self._native

    def assume_bare(self) -> None:
        """Use the bare protocol without detection."""
        self._native = False

    @property
    def capabilities(self) -> Capabilities:
        """The platform's capabilities; those of the bare protocol until the protocol was detected."""
        return Capabilities() if self._native else BARE

    async def native(self) -> bool:
        """Return whether the platform speaks the native protocol.

        Raises:
            KeyRefused: The platform rejected the key.
            Unavailable: The platform cannot be reached.
        """
        async with self._detecting:
            if self._native is None:
                self._native = await self._ask()
        return self._native

    async def _ask(self) -> bool:
        try:
            answer = await self._transport.call("POST", f"{self._transport.addresses.organization}/work", body=QUESTION)
            said = decode(answer.content, "an answer")
            return isinstance(said, dict) and isinstance(said.get("results"), list)
        except ModuleException as error:
            if error.status_code in KEY_REFUSED:  # gateways also return this for unknown routes
                await self._transport.call("GET", "/agents/list")
                return False
            if error.status_code in BUSY or 500 <= error.status_code not in (501, 502):  # noqa: PLR2004 - HTTP: a server error
                raise
            return False
