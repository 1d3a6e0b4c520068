"""What the verbs of workers share."""

from worker.server.identity.access import Access
from worker.server.identity.claims import Claims
from worker.server.service import Service
from worker.words.digests import digest
from worker.words.errors import ValidationError


class WorkerVerbs:
    """A base of the verbs of workers.

    Args:
        service: The server.
        access: What the worker may reach.
        claims: What it may call its own; it names the worker, if that has registered.
        base: The address by which clients reach the server.
    """

    def __init__(self, service: Service, access: Access, claims: Claims, base: str) -> None:
        self._service = service
        self._access = access
        self._organization = access.organization
        self._claims = claims
        self.gone = False
        self._base = base

    async def _worker(self) -> str:
        """The worker's id, once it is known to be one of this session. Raises: ValidationError, NotFound."""
        if self._claims.worker_id is None:
            raise ValidationError("worker_id is needed here", field="worker_id")
        await self._claims.worker(self._claims.worker_id)
        return self._claims.worker_id

    def _kept_as(self, provider_id: str) -> str:
        """What a provider is kept under: a key of some agents makes only tasks wait, or go on, that it has claimed."""
        access = self._access
        return provider_id if access.agents is None else f"{provider_id}@{digest([access.key])[:8]}"
