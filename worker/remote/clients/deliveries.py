"""The verbs of failed deliveries over HTTP; a bare platform has none."""

from typing import Any, cast

from worker.remote.http.transport import Transport
from worker.wire.records import decode
from worker.words.deliveries import DeliveryQuery, DeliveryRetry, FailedDelivery


class RemoteDeliveries:
    """The failed deliveries of one organization."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._url = f"{transport.addresses.organization}/deliveries"

    async def find(self, query: DeliveryQuery) -> list[FailedDelivery]:
        """Return failed deliveries, those of the newest tasks first."""
        params = query.model_dump(mode="json", exclude={"agents"}, exclude_none=True)
        rows = await self._request("GET", self._url, "list deliveries", params=params)
        return [FailedDelivery.model_validate(row) for row in cast("list[Any]", rows)]

    async def retry(self, selection: DeliveryRetry) -> int:
        """Retry deliveries that were set aside, and return their number."""
        body = selection.model_dump(mode="json", exclude={"agents"}, exclude_none=True)
        answer = await self._request("POST", f"{self._url}/retry", "retry deliveries", body=body)
        return int(answer["retried"])

    async def _request(self, method: str, url: str, what: str, *, body: Any = None, params: Any = None) -> Any:
        answer = await self._transport.call(method, url, body=body, params=params, needed_to=what)
        return decode(answer.content, "an answer")
