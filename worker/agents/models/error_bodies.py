"""Errors that arrive as JSON with status 200 where a stream was requested, as some gateways send them.

A client that reads server-sent events skips such a body, so that the error would look like an empty answer. The
response gets the status that the error stands for, so that the client raises its own exception with the provider's
words.
"""

import json
import re
from typing import Any

from worker.words.error_codes import BY_NAME, ErrorCode, plain_name
from worker.words.error_facts import as_status

_ASKS_FOR_A_STREAM = re.compile(rb'"stream"\s*:\s*true')
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
    if _is_suspect(response):
        await response.aread()
        _give_status(response)


def _examine_sync(response: Any) -> None:
    if _is_suspect(response):
        response.read()
        _give_status(response)


def _is_suspect(response: Any) -> bool:
    """Return whether a response is JSON although its request asked for a stream."""
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if response.status_code != OK or media_type != "application/json":
        return False
    try:
        return _ASKS_FOR_A_STREAM.search(response.request.content) is not None
    except RuntimeError:  # RequestNotRead: its body was a stream, so it asked for no answer
        return False


def _give_status(response: Any) -> None:
    try:
        body = json.loads(response.content)
    except (ValueError, RecursionError):
        return
    error = body.get("error") if isinstance(body, dict) else None
    if error:
        response.status_code = _status_of(error if isinstance(error, dict) else {})


def _status_of(error: dict[str, Any]) -> int:
    """Return the status that an error object stands for; a server error unless it says otherwise."""
    given = [error.get(name) for name in ("code", "status", "type")]
    statuses = (status for each in given if (status := as_status(each)) is not None)
    names = [BY_NAME.get(plain_name(str(each))) for each in given]
    return next(statuses, BAD_REQUEST if ErrorCode.InvalidRequest in names else SERVER_ERROR)
