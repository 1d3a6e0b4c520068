"""The front of the remote platform."""

from worker.contracts import Capabilities
from worker.remote.clients.deliveries import RemoteDeliveries
from worker.remote.clients.dialect import Dialect
from worker.remote.clients.keys import RemoteKeys
from worker.remote.clients.knowledge import RemoteKnowledge
from worker.remote.clients.tasks import RemoteTasks
from worker.remote.http.addresses import Addresses
from worker.remote.http.transport import Transport
from worker.remote.timings import DEFAULT, RemoteTimings
from worker.remote.working import RemoteWork


class Remote:
    """A platform on a server that speaks xpander's protocol: xpander's cloud, ``worker serve``, or any other.

    Args:
        base_url: The base URL of the platform; None means xpander's cloud.
        api_key: The key for the platform.
        organization_id: The organization that owns the tasks.
        timings: Timeouts and intervals that are not user settings.

    Raises:
        ConfigurationError: The base URL is invalid.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        organization_id: str = "default",
        timings: RemoteTimings = DEFAULT,
    ) -> None:
        self._given = base_url, api_key, organization_id, timings
        self._transport = Transport(Addresses.of(base_url, organization_id), api_key, timings)
        self._dialect = Dialect(self._transport)
        self.tasks = RemoteTasks(self._transport, self._dialect, organization_id)
        self.deliveries = RemoteDeliveries(self._transport)
        self.knowledge = RemoteKnowledge(self._transport, self._dialect)
        self.keys = RemoteKeys(self._transport, self._dialect, organization_id)
        self.work = RemoteWork(self._transport, self._dialect, self.tasks, timings)

    def another(self) -> "Remote":
        """Return another, independent connection to the same platform."""
        base_url, api_key, organization_id, timings = self._given
        return Remote(base_url, api_key, organization_id=organization_id, timings=timings)

    async def open(self) -> None:
        """Prepare the HTTP client. Nothing is sent yet, so a worker can start while the platform is unavailable."""
        await self._transport.open()

    async def close(self) -> None:
        """Close all connections; idempotent."""
        await self.work.close()
        await self._transport.close()

    def use_bare_protocol(self) -> None:
        """Use only the bare protocol, whatever the platform supports. Call this before ``open``."""
        self._dialect.assume_bare()

    async def survey(self) -> Capabilities:
        """Find out what the platform supports, and return its capabilities.

        Raises:
            KeyRefused: The platform rejected the key.
            Unavailable: The platform cannot be reached.
        """
        await self._dialect.native()
        return self._dialect.capabilities

    @property
    def capabilities(self) -> Capabilities:
        """The platform's capabilities; those of the bare protocol until ``survey`` or the first verb of a worker."""
        return self._dialect.capabilities

    @property
    def description(self) -> str:
        """The address of the platform, without secrets."""
        spoken = " (bare protocol: no fencing, no resume)" if self._dialect.known is False else ""
        return f"the platform at {self._transport.addresses.shown}{spoken}"
