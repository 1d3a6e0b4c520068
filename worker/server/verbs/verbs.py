"""The base class of the verbs of workers."""

from worker.server.identity.access import Access
from worker.server.identity.claims import Claims
from worker.server.service import Service
from worker.words.digests import digest
from worker.words.errors import ValidationError


class WorkerVerbs:
    """Base class of the verbs of workers.

    Args:
        service: The state of the server.
        access: The permissions of the worker.
        claims: The ownership checks of the request; they name the worker, if it has registered.
        base: The server's base URL, as clients reach it.
    """

    def __init__(self, service: Service, access: Access, claims: Claims, base: str) -> None:
        self._service = service
        self._access = access
        self._organization = access.organization
        self._claims = claims
        self.gone = False
        self._base = base

    async def _worker(self) -> str:
        """Return the worker's id after checking that the worker belongs to this session."""
        if self._claims.worker_id is None:
            raise ValidationError("worker_id is required", field="worker_id")
        await self._claims.worker(self._claims.worker_id)
        return self._claims.worker_id

    def _kept_as(self, provider_id: str) -> str:
        """Return the id under which a provider is stored.

        A key limited to some agents has provider states of its own, so that it cannot pause or resume others' tasks.
        """
        access = self._access
        return provider_id if access.agents is None else f"{provider_id}@{digest([access.key])[:8]}"
