"""What clients ask about deliveries that failed."""

from typing import Protocol

from worker.words.deliveries import DeliveryQuery, DeliveryRetry, FailedDelivery


class Deliveries(Protocol):
    """Deliveries that failed, of one organization."""

    async def find(self, query: DeliveryQuery) -> list[FailedDelivery]:
        """Anyone; those that wait for another try and those set aside, of the newest tasks first; changes nothing.

        Raises: ValidationError (``before`` is no id), Unsupported.
        """
        ...

    async def retry(self, wish: DeliveryRetry) -> int:
        """Anyone; the set-aside ones that fit are tried once more; how many that are.

        Each is delivered before what its handler has still to hear of the same task, and after what it has heard:
        whoever asks for it accepts that it comes late. It fails again: it is set aside again. One that is no longer
        set aside is passed over.
        Raises: ValidationError (an id is none), Unsupported.
        """
        ...
