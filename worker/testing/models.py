"""A model that follows a script.

The current turn follows from the conversation: it is the number of the model's answers in it. So one model serves any
number of concurrent runs, and a resumed run continues where it was.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from agno.metrics import MessageMetrics
from agno.models.base import Model
from agno.models.message import Message
from agno.models.response import ModelResponse


@dataclass(frozen=True)
class Call:
    """A turn, or part of one, that calls a tool.

    Args:
        tool: The tool's name.
        arguments: The call's arguments.
        id: The call's id; None means a new one each time.
    """

    tool: str
    arguments: dict[str, Any] = field(default_factory=dict[str, Any])
    id: str | None = None


class Pieces(tuple[str, ...]):
    """A turn that streams its text in chunks: ``Pieces(["Hel", "lo"])``."""

    __slots__ = ()


Turn = str | Call | Pieces | BaseException | Sequence[str | Call]
"""One turn of the model: a text, a tool call, a stream, an exception to raise, or several texts and calls together."""

Script = Sequence[Turn] | Callable[[list[Message]], Turn]
"""The turns in order, or a function from the conversation so far to the next turn."""

Hook = Callable[[list[Message]], Awaitable[object]]
"""Awaited with the conversation: it can wait for an event to make the model slow, or never return to make it hang."""


@dataclass(frozen=True)
class Request:
    """A request to the model: the conversation so far, the tools as the provider gets them, the answer's form."""

    messages: list[Message]
    tools: list[dict[str, Any]]
    response_format: Any

    @property
    def system(self) -> str:
        """The system message's text."""
        return next((str(each.content) for each in self.messages if each.role == "system"), "")

    @property
    def user(self) -> str:
        """The last user message's text."""
        return next((str(each.content) for each in reversed(self.messages) if each.role == "user"), "")


class ScriptedModel(Model):
    """A model that follows a script. ``requests`` lists the requests to it, from all runs.

    Args:
        script: Its turns, or a function that returns the next one.
        id: The model's id.
        before: Awaited before each turn.
        between: Awaited before each further chunk of a turn that streams in chunks.
        prompt_tokens: The input tokens that each turn reports.
        completion_tokens: The output tokens that each turn reports.
        cache_read_tokens: The tokens that each turn reports as read from the provider's cache.
    """

    def __init__(
        self,
        script: Script,
        *,
        id: str = "scripted",  # noqa: A002 - Agno's name for it
        before: Hook | None = None,
        between: Hook | None = None,
        prompt_tokens: int = 10,
        completion_tokens: int = 5,
        cache_read_tokens: int = 0,
    ) -> None:
        super().__init__(id=id, name="ScriptedModel", provider="Scripted")
        self.script = script
        self.before = before
        self.between = between
        self.usage = (prompt_tokens, completion_tokens, cache_read_tokens)
        self.requests: list[Request] = []

    async def ainvoke(self, *args: Any, **kwargs: Any) -> ModelResponse:
        """Return the next turn as a whole."""
        return self._response(await self._turn(*args, **kwargs))

    async def ainvoke_stream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ModelResponse]:
        """Yield the next turn, chunk by chunk."""
        turn = await self._turn(*args, **kwargs)
        if not isinstance(turn, Pieces):
            yield self._response(turn)
            return
        for number, piece in enumerate(turn):
            if number and self.between is not None:
                await self.between(_messages(args, kwargs))
            yield ModelResponse(role="assistant", content=piece)
        yield ModelResponse(role="assistant", response_usage=self._usage())

    def invoke(self, *args: Any, **kwargs: Any) -> ModelResponse:
        """Sync version of ``ainvoke``; the hooks are not awaited."""
        return self._response(self._next(*args, **kwargs))

    def invoke_stream(self, *args: Any, **kwargs: Any) -> Iterator[ModelResponse]:
        """Sync version of ``ainvoke_stream``; the turn comes as one chunk, and the hooks are not awaited."""
        yield self.invoke(*args, **kwargs)

    async def _turn(self, *args: Any, **kwargs: Any) -> Turn:
        if self.before is not None:
            await self.before(_messages(args, kwargs))
        return self._next(*args, **kwargs)

    def _next(self, *args: Any, **kwargs: Any) -> Turn:
        messages = _messages(args, kwargs)
        self.requests.append(Request(list(messages), kwargs.get("tools") or [], kwargs.get("response_format")))
        turn = self.script(messages) if callable(self.script) else self._scripted(self.script, messages)
        if isinstance(turn, BaseException):
            raise turn
        return turn

    @staticmethod
    def _scripted(script: Sequence[Turn], messages: list[Message]) -> Turn:
        taken = sum(each.role == "assistant" for each in messages)
        if taken >= len(script):
            raise AssertionError(f"the script has {len(script)} turns, but the model was called once more")
        return script[taken]

    def _response(self, turn: Turn) -> ModelResponse:
        parts: Sequence[Any] = [turn] if isinstance(turn, str | Call) else list(turn)  # type: ignore[arg-type] - no exception here
        text = "".join(part for part in parts if isinstance(part, str))
        calls = [_tool_call(part) for part in parts if isinstance(part, Call)]
        return ModelResponse(role="assistant", content=text or None, tool_calls=calls, response_usage=self._usage())

    def _usage(self) -> MessageMetrics:
        prompt, completion, cached = self.usage
        return MessageMetrics(
            input_tokens=prompt,
            output_tokens=completion,
            total_tokens=prompt + completion,
            cache_read_tokens=cached,
        )

    def _parse_provider_response(self, response: Any, **_: Any) -> ModelResponse:
        return response

    def _parse_provider_response_delta(self, response: Any) -> ModelResponse:
        return response


def _messages(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Message]:
    return kwargs["messages"] if "messages" in kwargs else args[0]


def _tool_call(call: Call) -> dict[str, Any]:
    function = {"name": call.tool, "arguments": json.dumps(call.arguments)}
    return {"id": call.id or f"call_{uuid4().hex[:16]}", "type": "function", "function": function}
