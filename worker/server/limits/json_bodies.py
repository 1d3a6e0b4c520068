"""Bodies of JSON, looked over before they are parsed: a parser makes of a few bytes many times as much memory.

Ten megabytes of ``[],[],[],…`` become 300 MB of lists, and what is nested without end goes beyond the parser's depth.
So values are counted, and levels, in the bytes themselves; a text may be as long as the body.
"""

import asyncio
from collections.abc import Callable, Coroutine
from itertools import accumulate
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import Response

from worker.wire.bodies import DEPTH

VALUES = 200_000  # some 20 MB of Python's objects
SMALL_BYTES = 64 * 1024  # looked over at once; a larger body beside the event loop

_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_OTHERS = bytes(set(range(256)) - _STEPS.keys())


class JsonRequest(Request):
    """A request whose JSON is parsed only once it is known to be of no more values and levels than are taken."""

    async def json(self) -> Any:
        """The body. Raises: HTTPException (413: too many values, 422: nested too deep), JSONDecodeError."""
        body = await self.body()
        if len(body) <= SMALL_BYTES:
            check(body)
        else:
            await asyncio.to_thread(check, body)
        return await super().json()


class JsonRoute(APIRoute):
    """A route whose bodies are looked over."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's own handling, of such a request."""
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            return await handle(JsonRequest(request.scope, request.receive))

        return handled


def _without_texts(body: bytes) -> bytes:
    """The JSON without what stands in its texts. Raises: HTTPException (413: there are too many of them)."""
    plain = body.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in body else body
    if plain.count(b'"') > 4 * VALUES:  # two of a value, and two of its name
        raise _too_many()
    return b"".join(plain.split(b'"')[::2])


def _too_many() -> HTTPException:
    return HTTPException(413, f"The body holds more than {VALUES:,} values.")


def check(body: bytes) -> None:
    """Refuse what a parser would make too much of. Raises: HTTPException (413, 422)."""
    opened = body.count(b"[") + body.count(b"{")
    if opened <= DEPTH and opened + body.count(b",") < VALUES:
        return
    bare = _without_texts(body)
    values = 1 + bare.count(b",") + bare.count(b"[") + bare.count(b"{")
    if values > VALUES:
        raise _too_many()
    brackets = bare.translate(None, _OTHERS)
    if max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > DEPTH:
        raise HTTPException(422, f"The body is nested deeper than {DEPTH} levels.")
