"""A provider's server on loopback that speaks OpenAI's streaming chat protocol, with answers told beforehand."""

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

Answer = str | tuple[str, dict[str, Any]]
"""A text, or a tool's name and its arguments."""


class Provider:
    """What was asked, and what is answered next; once no answer is left, that the key is not valid."""

    def __init__(self, answers: Sequence[Answer]) -> None:
        self._answers = list(answers)
        self.requests: list[dict[str, Any]] = []
        self.base_url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length:")[1].split("\r\n")[0])
        self.requests.append(json.loads(await reader.readexactly(length)))
        if self._answers:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
            for chunk in _chunks(self._answers.pop(0)):
                writer.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
            writer.write(b"data: [DONE]\n\n")
        else:
            body = b'{"error": {"message": "Incorrect API key provided"}}'
            head = f"HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
            writer.write(head.encode() + b"connection: close\r\n\r\n" + body)
        await writer.drain()
        writer.close()
        await writer.wait_closed()


def _chunks(answer: Answer) -> list[dict[str, Any]]:
    if isinstance(answer, str):
        deltas: list[dict[str, Any]] = [
            {"role": "assistant", "content": ""},
            *({"content": c} for c in answer.split("|")),
        ]
        reason = "stop"
    else:
        function = {"name": answer[0], "arguments": json.dumps(answer[1])}
        call = {"index": 0, "id": "call_1", "type": "function", "function": function}
        deltas, reason = [{"role": "assistant", "tool_calls": [call]}], "tool_calls"
    frame: dict[str, Any] = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    chunks = [{**frame, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    chunks.append({**frame, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    return [*chunks, {**frame, "choices": [], "usage": usage}]


@asynccontextmanager
async def answering(*answers: Answer) -> AsyncGenerator[Provider]:
    """A server that gives these answers, one a request."""
    provider = Provider(answers)
    async with await asyncio.start_server(provider.serve, "127.0.0.1", 0) as server:
        provider.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        yield provider
