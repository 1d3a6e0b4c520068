"""The verbs of clients about failed deliveries."""

from typing import Protocol

from worker.words.deliveries import DeliveryQuery, DeliveryRetry, FailedDelivery


class Deliveries(Protocol):
    """Failed deliveries of one organization. Any client may call these verbs."""

    async def find(self, query: DeliveryQuery) -> list[FailedDelivery]:
        """Return deliveries that wait for another try or were set aside, those of the newest tasks first.

        Raises:
            ValidationError: ``before`` is not an id.
            Unsupported: The platform does not list deliveries.
        """
        ...

    async def retry(self, selection: DeliveryRetry) -> int:
        """Make the selected dead letters due for one more try, and return their number. Others are ignored.

        Each is delivered before events of the same task that its handler has not seen yet, but after those that it has
        seen: it may therefore be out of order. If it fails again, it is set aside again.

        Raises:
            ValidationError: An id is invalid.
            Unsupported: The platform does not list deliveries.
        """
        ...
