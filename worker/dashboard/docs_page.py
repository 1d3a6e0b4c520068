"""The page of the API documentation, on which requests can be tried."""

from starlette.responses import Response

from worker.dashboard.asking import AdmittedRequest


async def docs(asking: AdmittedRequest) -> Response:
    """Show the API documentation with our own static files; the page fetches the OpenAPI document."""
    return await asking.page("docs.html")
