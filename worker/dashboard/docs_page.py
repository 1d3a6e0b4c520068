"""The page of the API documentation, on which requests can be tried."""

from starlette.responses import Response

from worker.dashboard.request_context import RequestContext


async def docs(context: RequestContext) -> Response:
    """Show the API documentation with our own static files; the page fetches the OpenAPI document."""
    return await context.page("docs.html")
