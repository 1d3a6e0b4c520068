"""A server on loopback that speaks OpenAI's streaming Responses protocol, for pages that name one of its models.

It is no model: it calls the first tool it is given, once; answers a JSON Schema with a value that fits; and else says
a sentence.
"""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from typing import Any

SENTENCE = "The West grew most, by 1009.7 percent."
NAMED: dict[str, Any] = {"name": "Ada Lovelace", "born": 1815, "first": 7082086, "last": 78588572, "article": "A-1"}
BY_TYPE: dict[str, Any] = {"string": "text", "integer": 1, "number": 1.5, "boolean": True, "array": [], "null": None}
DELEGATION = "delegate_task_to_member"


def value_for(schema: dict[str, Any], name: str = "") -> Any:
    """A value that fits a plain schema."""
    if schema.get("type") == "object" or "properties" in schema:
        return {each: value_for(inside, each) for each, inside in schema.get("properties", {}).items()}
    return NAMED.get(name, BY_TYPE.get(str(schema.get("type")), "text"))


def events(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The events of an answer."""
    yield {"type": "response.created", "response": _response()}
    tools = [each for each in request.get("tools") or [] if each.get("type") == "function"]
    form = (request.get("text") or {}).get("format") or {}
    if tools and not any(each.get("type") == "function_call_output" for each in request["input"]):
        yield from _call(tools)
    else:
        yield from _text(json.dumps(value_for(form["schema"])) if "schema" in form else SENTENCE)
    details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
    usage = {"input_tokens": 100, "output_tokens": 10, "total_tokens": 110, **details}
    yield {"type": "response.completed", "response": {**_response(), "status": "completed", "usage": usage}}


def whole(request: dict[str, Any]) -> dict[str, Any]:
    """An answer in one piece."""
    told = list(events(request))
    text = "".join(each["delta"] for each in told if each["type"] == "response.output_text.delta")
    calls = [each["item"] for each in told if each["type"] == "response.output_item.done"]
    content = [{"type": "output_text", "text": text, "annotations": []}]
    message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content}
    return {**told[-1]["response"], "output": calls or [message]}


def _call(tools: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    tool = tools[0]
    arguments = value_for(tool["parameters"])
    if tool["name"] == DELEGATION:
        arguments |= {"member_id": "researcher"}
    text = json.dumps(arguments)
    item = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": tool["name"], "arguments": ""}
    yield {"type": "response.output_item.added", "output_index": 0, "item": item}
    yield {"type": "response.function_call_arguments.delta", "item_id": "fc_1", "output_index": 0, "delta": text}
    yield {"type": "response.output_item.done", "output_index": 0, "item": {**item, "arguments": text}}


def _text(text: str) -> Iterator[dict[str, Any]]:
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    for delta in re.findall(r"\s*\S+", text):
        yield {"type": "response.output_text.delta", "delta": delta, "logprobs": [], **place}


def _response() -> dict[str, Any]:
    fixed: dict[str, Any] = {"object": "response", "created_at": 1, "model": "m", "output": [], "tools": []}
    return {"id": "resp_1", "status": "in_progress", "parallel_tool_calls": True, "tool_choice": "auto", **fixed}


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.split("content-length:")[1].split("\r\n")[0])
    request = json.loads(await reader.readexactly(length))
    kind = "text/event-stream" if request.get("stream") else "application/json"
    writer.write(f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\nconnection: close\r\n\r\n".encode())
    if request.get("stream"):
        for number, event in enumerate(events(request)):
            body = json.dumps({**event, "sequence_number": number})
            writer.write(f"event: {event['type']}\ndata: {body}\n\n".encode())
    else:
        writer.write(json.dumps(whole(request)).encode())
    await writer.drain()
    writer.close()
    await writer.wait_closed()


@asynccontextmanager
async def answering() -> AsyncGenerator[str]:
    """Serve; the base URL for ``OPENAI_BASE_URL``."""
    async with await asyncio.start_server(_serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
