"""Checks of JSON bodies before parsing, since a parser can turn a few bytes into many times as much memory.

Ten megabytes of ``[],[],[],…`` become 300 MB of lists, and unlimited nesting exceeds the parser's recursion limit.
Values and nesting levels are therefore counted in the raw bytes; a string may be as long as the body.
"""

import asyncio
import json
from collections.abc import Callable, Coroutine
from itertools import accumulate
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import Response

from worker.wire.bodies import DEPTH

VALUES = 200_000  # some 20 MB of Python's objects
SMALL_BYTES = 64 * 1024  # checked on the event loop; larger bodies are checked in a thread

_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_OTHERS = bytes(set(range(256)) - _STEPS.keys())


class JsonRequest(Request):
    """A request whose JSON is parsed only after its number of values and nesting levels have been checked."""

    _parsed: tuple[Any] | None = None

    async def json(self) -> Any:
        """Return the parsed body.

        Raises:
            HTTPException: The body has too many values (413), is nested too deeply, or names a field twice (422).
            JSONDecodeError: The body is not valid JSON.
        """
        if self._parsed is not None:
            return self._parsed[0]
        body = await self.body()
        if len(body) <= SMALL_BYTES:
            check(body)
        else:
            await asyncio.to_thread(check, body)
        self._parsed = (json.loads(body, object_pairs_hook=_once),)
        return self._parsed[0]


class JsonRoute(APIRoute):
    """A route that checks JSON bodies before parsing."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the route's handler, wrapped so that it receives a ``JsonRequest``."""
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            return await handle(JsonRequest(request.scope, request.receive))

        return handled


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object. Readers of JSON differ in which of two equal names they take, so neither is taken."""
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in made if names.count(name) > 1)
        raise HTTPException(422, f"The request body names the field {twice[:100]!r} twice.")
    return made


def _without_texts(body: bytes) -> bytes:
    """Return the JSON without the contents of its strings; refuse too many strings with 413."""
    plain = body.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in body else body
    if plain.count(b'"') > 4 * VALUES:  # two quotes for each value, and two for its key
        raise _too_many()
    return b"".join(plain.split(b'"')[::2])


def _too_many() -> HTTPException:
    return HTTPException(413, f"The request body contains more than {VALUES:,} values.")


def check(body: bytes) -> None:
    """Check that a body does not have too many values or levels.

    Raises:
        HTTPException: The body has too many values (413) or is nested too deeply (422).
    """
    opened = body.count(b"[") + body.count(b"{")
    if opened <= DEPTH and opened + body.count(b",") < VALUES:
        return
    bare = _without_texts(body)
    values = 1 + bare.count(b",") + bare.count(b"[") + bare.count(b"{")
    if values > VALUES:
        raise _too_many()
    brackets = bare.translate(None, _OTHERS)
    if max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > DEPTH:
        raise HTTPException(422, f"The request body is nested more than {DEPTH} levels deep.")
