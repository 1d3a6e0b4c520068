"""Routes for calling the tools of agents from outside: by the public client, our clients, or anyone with a key."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from starlette.responses import Response

from worker.agents.translation.tool_events import request_event, result_event
from worker.contracts import AccessScope
from worker.contracts.access import SAVE
from worker.server.identity.access import Access
from worker.server.limits.failures import documented
from worker.server.limits.json_bodies import JsonRoute
from worker.server.routes.common import Admitted, answers, is_native, service_of
from worker.server.routes.tasks import Key
from worker.server.service import Service
from worker.words.errors import ModuleException, Unavailable, ValidationError
from worker.words.events import NewEvent
from worker.words.ids import new_id
from worker.words.tools import ToolInvocationResult

router = APIRouter(tags=["tools"], route_class=JsonRoute)

CLOSING_SECONDS = 2

RAISED = 424
"""The status for a tool that raised: the call must not be repeated, and the server itself is healthy."""


class ToolFailed(ModuleException):
    """The tool did not answer."""


@router.post("/agents/{agent_id}/operations/{tool_id}", responses=documented(404, 424, 429, 504))
async def invoke(
    *,
    request: Request,
    access: Admitted,
    agent_id: str,
    tool_id: str,
    x_preflight_check: Annotated[
        str | None, Header(description="If true, only check whether the caller may make the call.")
    ] = None,
    x_execution_id: Annotated[str | None, Header(description="The task whose event log records the call.")] = None,
    idempotency_key: Key = None,
) -> Response:
    """Call a tool on a worker; the body is an object with its arguments. The call is a task with its own log.

    The response is the tool's result. A tool is called at most once per idempotency key. If it raises or rejects the
    arguments, the response is an error. ``x-preflight-check: true`` asks whether the caller may make the call itself,
    which is always allowed.
    """
    access.check(agent_id)
    if x_preflight_check == "true":
        return answers(dict[str, Any], {})
    payload = await _arguments(request)
    await service_of(request).queues.enter(access.organization, agent_id)
    call = _LoggedCall(access, x_execution_id, tool_id, payload)
    await call.begin()
    result = await _unless_closing(
        service_of(request), access.organization.tasks.invoke_tool(agent_id, tool_id, payload, key=idempotency_key)
    )
    await call.ended(result)
    if is_native(request):
        return answers(ToolInvocationResult, result)
    if not result.is_success:
        raise ToolFailed(RAISED if result.status_code == 500 else result.status_code, result.error)  # noqa: PLR2004
    return answers(Any, result.result)


@router.patch("/agents/{agent_id}/sync_local_tools", responses=documented(404))
async def sync_local_tools(access: Admitted, agent_id: str) -> dict[str, list[Any]]:
    """Accept the list of tools that the public client's worker has, and discard it: they stay with the worker."""
    access.check(agent_id)
    return {"graph": []}


async def _unless_closing(service: Service, call: Coroutine[Any, Any, ToolInvocationResult]) -> ToolInvocationResult:
    """Wait for a call until the server closes. The call itself continues, and can be found by the same key."""
    calling, closing = asyncio.create_task(call), asyncio.create_task(service.closing.wait())
    try:
        await asyncio.wait([calling, closing], return_when=asyncio.FIRST_COMPLETED)
        if calling.done():
            return calling.result()
    finally:
        calling.cancel()
        closing.cancel()
    raise Unavailable(
        "the server is shutting down; send the request again with the same idempotency-key", retry_after=CLOSING_SECONDS
    )


async def _arguments(request: Request) -> dict[str, Any]:
    try:
        given = await request.json() if await request.body() else {}
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise ValidationError("the body must be an object with the tool's arguments", field="body")
    return given


class _LoggedCall:
    """Records a tool call in the log of the caller's task, if it names one that has not ended."""

    def __init__(self, access: Access, task_id: str | None, tool: str, payload: dict[str, Any]) -> None:
        self._access = access
        self._task_id = task_id
        self._tool = tool
        self._payload = payload
        self._id = f"call_{new_id()}"

    async def begin(self) -> None:
        """Record the request."""
        if self._task_id is not None:
            await self._access.check_task(self._task_id)
            if self._access.permit(SAVE) is not AccessScope.Task:  # a worker's key writes only to its claims, by /work
                self._task_id = None
            await self._push(request_event(self._id, self._tool, self._payload))

    async def ended(self, result: ToolInvocationResult) -> None:
        """Record the result."""
        failed = not result.is_success
        await self._push(result_event(self._id, self._tool, self._payload, result.result, is_error=failed))

    async def _push(self, event: NewEvent) -> None:
        if self._task_id is not None:
            with suppress(ModuleException):
                await self._access.organization.tasks.push(self._task_id, [event])
