"""The API, to be read and tried."""

from starlette.responses import Response

from worker.dashboard.asking import AdmittedRequest


async def docs(asking: AdmittedRequest) -> Response:
    """Show the API's document by files of our own; it is fetched once the page is there."""
    return await asking.page("docs.html")
