"""Documents that arrive with status 200 where a stream was requested, as some gateways send them.

A client that reads server-sent events skips such a document, so that it would look like an empty answer. An error
gives the response its status, so that the client raises its own exception with the provider's words. Anything else is
kept with the call, whose answer it may be.
"""

import json
import re
from typing import Any

from worker.agents.answers.reading import current_reading
from worker.words.error_codes import BY_NAME, ErrorCode, plain_name
from worker.words.error_facts import as_status

_ASKS_FOR_A_STREAM = re.compile(rb'"stream"\s*:\s*true')
_TYPES = frozenset({"application/json", "text/html"})
OK, BAD_REQUEST, SERVER_ERROR = 200, 400, 500


def watch(requests: Any) -> None:
    """Examine the responses of a client of httpx or of its fork httpx2; any other client is left as it is."""
    hooks = getattr(requests, "event_hooks", None)
    if not isinstance(hooks, dict) or "response" not in hooks:
        return
    hook: Any = _examine if hasattr(requests, "aclose") else _examine_sync
    if hook not in hooks["response"]:
        requests.event_hooks = {**hooks, "response": [*hooks["response"], hook]}


async def _examine(response: Any) -> None:
    if _is_document(response):
        await response.aread()
        _keep(response)


def _examine_sync(response: Any) -> None:
    if _is_document(response):
        response.read()
        _keep(response)


def _is_document(response: Any) -> bool:
    """Return whether a response is a document although its request asked for a stream.

    Some servers send streams without their media type, but no stream has a length.
    """
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if response.status_code != OK or (media_type not in _TYPES and "content-length" not in response.headers):
        return False
    try:
        return _ASKS_FOR_A_STREAM.search(response.request.content) is not None
    except RuntimeError:  # RequestNotRead: its body was a stream, so it asked for no answer
        return False


def _keep(response: Any) -> None:
    """Give a response the status of the error that it contains, or else keep its text with the call."""
    try:
        body = json.loads(response.content)
    except (ValueError, RecursionError):
        body = None
    error = body.get("error") if isinstance(body, dict) else None
    reading = current_reading.get()
    if error:
        response.status_code = _status_of(error if isinstance(error, dict) else {})
    elif reading is not None:
        reading.document = response.text


def _status_of(error: dict[str, Any]) -> int:
    """Return the status that an error object stands for; a server error unless it says otherwise."""
    given = [error.get(name) for name in ("code", "status", "type")]
    statuses = (status for each in given if (status := as_status(each)) is not None)
    names = [BY_NAME.get(plain_name(str(each))) for each in given]
    return next(statuses, BAD_REQUEST if ErrorCode.InvalidRequest in names else SERVER_ERROR)
