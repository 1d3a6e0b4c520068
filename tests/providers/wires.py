"""The wires of the providers that Agno reaches: how each says what `answers` describes, streamed or in one piece."""

# ruff: noqa: ARG002 (one wire needs what another does not)

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from tests.providers.answers import Finish, Says
from worker.testing import Call

REFUSAL = "I cannot help with that."


class Wire(ABC):
    """A provider's wire.

    Attributes:
        name: Of the provider.
        finishes: What it calls the reasons for which a model stops; one that it does not know is missing.
        result: What shows in a request that it holds a tool's result, once for each.
        stream_type: Media type of a stream.
        comment: A sign of life within a stream; empty if the wire has none.
    """

    name: ClassVar[str]
    finishes: ClassVar[dict[Finish, str]]
    result: ClassVar[str]
    stream_type: ClassVar[str] = "text/event-stream"
    comment: ClassVar[bytes] = b": keep-alive\n\n"

    @abstractmethod
    def model(self, url: str, **more: Any) -> Any:
        """Agno's model for a server at an address; its client does not try again."""

    @abstractmethod
    def events(self, says: Says) -> list[bytes]:
        """An answer as a stream."""

    @abstractmethod
    def body(self, says: Says) -> Any:
        """An answer in one piece, as JSON."""

    @abstractmethod
    def error(self, status: int, code: str, message: str) -> Any:
        """The body of an error, as JSON."""

    def error_event(self, status: int, code: str, message: str) -> bytes:
        """An error within a stream."""
        return sse(self.error(status, code, message))

    def error_headers(self, code: str) -> dict[str, str]:
        """What comes with an error, besides its body."""
        return {}

    def is_streamed(self, path: str, request: Any) -> bool:
        """Whether a request wants its answer piece by piece."""
        return bool(request.get("stream"))

    def results(self, request: Any) -> int:
        """How many tool results a request holds."""
        return json.dumps(request).count(self.result)

    def finish(self, reason: Finish | None) -> str | None:
        """What the provider calls a reason."""
        return None if reason is None else self.finishes[reason]

    def __str__(self) -> str:
        return self.name


def sse(data: Any, event: str = "") -> bytes:
    """One event of an event stream."""
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {data if isinstance(data, str) else json.dumps(data)}\n\n".encode()


def call_id(call: Call, index: int) -> str:
    """The id of a tool call."""
    return call.id or f"call_{index}"


def joined(says: Says) -> str:
    """All the text of an answer."""
    return "".join(says.text)


class OpenAIChat(Wire):
    """OpenAI's chat completions, which most other servers speak too."""

    name = "openai-chat"
    finishes: ClassVar[dict[Finish, str]] = {
        "stop": "stop",
        "tool_calls": "tool_calls",
        "length": "length",
        "content_filter": "content_filter",
        "refusal": "stop",  # with its text in a field of its own
    }
    result = '"role": "tool"'

    def model(self, url: str, **more: Any) -> Any:
        from agno.models.openai import OpenAIChat as Model

        options: dict[str, Any] = {"id": "m", "api_key": "k", "base_url": f"{url}/v1", "max_retries": 0, **more}
        return Model(**options)

    def events(self, says: Says) -> list[bytes]:
        finish = self.finish(says.reason)
        chunks = [self._chunk({"role": "assistant", "content": ""})]
        if says.reasoning:
            chunks.append(self._chunk({"reasoning_content": says.reasoning}))
        chunks += [self._chunk({"content": each}) for each in says.text]
        if says.reason == "refusal":
            chunks.append(self._chunk({"refusal": REFUSAL}))
        if says.calls:
            chunks.append(
                self._chunk({"tool_calls": [{"index": n, **each} for n, each in enumerate(self._calls(says))]})
            )
        if finish is not None:
            chunks += [self._chunk({}, finish), *self._usage_chunks(says), "[DONE]"]
        return [sse(each) for each in chunks]

    def body(self, says: Says) -> Any:
        message: dict[str, Any] = {"role": "assistant", "content": joined(says) or None}
        if says.calls:
            message["tool_calls"] = self._calls(says)
        if says.reasoning:
            message["reasoning_content"] = says.reasoning
        if says.reason == "refusal":
            message["refusal"] = REFUSAL
        choice = {"index": 0, "message": message, "finish_reason": self.finish(says.reason)}
        return self._frame("chat.completion", choices=[choice], usage=self._usage(says))

    def error(self, status: int, code: str, message: str) -> Any:
        return {"error": {"message": message, "type": code, "code": code}}

    def _calls(self, says: Says) -> list[dict[str, Any]]:
        return [
            {
                "id": call_id(each, n),
                "type": "function",
                "function": {"name": each.tool, "arguments": json.dumps(each.arguments)},
            }
            for n, each in enumerate(says.calls)
        ]

    def _pieces(self, says: Says) -> list[dict[str, Any]]:
        return [{"index": n, **each} for n, each in enumerate(self._calls(says))]

    def _chunk(self, delta: Any, finish: str | None = None) -> dict[str, Any]:
        return self._frame("chat.completion.chunk", choices=[{"index": 0, "delta": delta, "finish_reason": finish}])

    def _usage_chunks(self, says: Says) -> list[dict[str, Any]]:
        return [self._frame("chat.completion.chunk", choices=[], usage=self._usage(says))]

    def _frame(self, kind: str, **more: Any) -> dict[str, Any]:
        return {"id": "c", "object": kind, "created": 1, "model": "m", **more}

    def _usage(self, says: Says) -> dict[str, Any]:
        usage = says.usage
        prompt = usage.fresh + usage.read + usage.written
        return {
            "prompt_tokens": prompt,
            "completion_tokens": usage.output,
            "total_tokens": prompt + usage.output,
            "prompt_tokens_details": {"cached_tokens": usage.read},
        }


class Groq(OpenAIChat):
    """Groq: OpenAI's, with the usage of a stream in a field of its own."""

    name = "groq"

    def model(self, url: str, **more: Any) -> Any:
        from agno.models.groq import Groq as Model

        options: dict[str, Any] = {"id": "m", "api_key": "k", "base_url": url, "max_retries": 0, **more}
        return Model(**options)

    def _usage_chunks(self, says: Says) -> list[dict[str, Any]]:
        usage = {key: each for key, each in self._usage(says).items() if key != "prompt_tokens_details"}
        frame = self._chunk({}) | {"x_groq": {"id": "r", "usage": usage}}
        return [frame]


class Mistral(OpenAIChat):
    """Mistral: close to OpenAI's; the last chunk has the usage."""

    name = "mistral"
    finishes: ClassVar[dict[Finish, str]] = {
        "stop": "stop",
        "tool_calls": "tool_calls",
        "length": "length",
        "context_length": "model_length",
    }

    def model(self, url: str, **more: Any) -> Any:
        from agno.models.mistral import MistralChat as Model

        options: dict[str, Any] = {"id": "m", "api_key": "k", "endpoint": url, **more}
        return Model(**options)

    def error(self, status: int, code: str, message: str) -> Any:
        return {"object": "error", "message": message, "type": code, "code": str(status)}

    def events(self, says: Says) -> list[bytes]:
        finish = self.finish(says.reason)
        chunks = [self._chunk({"role": "assistant", "content": ""})]
        chunks += [self._chunk({"content": each}) for each in says.text]
        last: dict[str, Any] = {"content": ""}
        if says.calls:
            last["tool_calls"] = self._pieces(says)
        if says.calls or finish is not None:
            chunks.append(self._chunk(last, finish) | {"usage": self._usage(says)})
        return [sse(each) for each in ([*chunks, "[DONE]"] if finish is not None else chunks)]


class LiteLLM(OpenAIChat):
    """LiteLLM in front of a server that speaks OpenAI's: its own exceptions and retries. Its streams drop refusals."""

    name = "litellm"
    finishes: ClassVar[dict[Finish, str]] = {
        reason: word for reason, word in OpenAIChat.finishes.items() if reason != "refusal"
    }

    def model(self, url: str, **more: Any) -> Any:
        os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # or it asks the internet for one
        from agno.models.litellm import LiteLLM as Model

        options: dict[str, Any] = {"id": "openai/m", "api_key": "k", "api_base": f"{url}/v1", **more}
        return Model(**options)


class Responses(Wire):
    """OpenAI's Responses API, which Agno's `openai:…` means."""

    name = "openai-responses"
    finishes: ClassVar[dict[Finish, str]] = {
        "stop": "completed",
        "tool_calls": "completed",
        "length": "max_output_tokens",
        "content_filter": "content_filter",
        "refusal": "completed",
    }
    result = "function_call_output"

    def model(self, url: str, **more: Any) -> Any:
        from agno.models.openai import OpenAIResponses as Model

        options: dict[str, Any] = {"id": "gpt-5", "api_key": "k", "base_url": f"{url}/v1", "max_retries": 0, **more}
        return Model(**options)

    def events(self, says: Says) -> list[bytes]:
        parts: list[tuple[str, dict[str, Any]]] = [
            ("response.created", {"response": self._response(status="in_progress")}),
            ("response.in_progress", {"response": self._response(status="in_progress")}),
        ]
        for index, item in enumerate(self._items(says)):
            parts += self._item_events(index, item, says)
        if says.reason is not None:
            last = self.body(says)
            parts.append((f"response.{last['status']}", {"response": last}))
        return [sse({"type": kind, "sequence_number": n, **data}, kind) for n, (kind, data) in enumerate(parts)]

    def body(self, says: Says) -> Any:
        cut = says.reason in ("length", "content_filter")
        more = {"incomplete_details": {"reason": self.finish(says.reason)}} if cut else {}
        status = "incomplete" if cut else "completed"
        return self._response(status=status, output=self._items(says), usage=self._usage(says), **more)

    def failed(self, code: str, message: str) -> bytes:
        """The event of a response that failed."""
        response = self._response(status="failed", error={"code": code, "message": message})
        return sse({"type": "response.failed", "sequence_number": 9, "response": response}, "response.failed")

    def error(self, status: int, code: str, message: str) -> Any:
        return {"error": {"message": message, "type": code, "code": code, "param": None}}

    def error_event(self, status: int, code: str, message: str) -> bytes:
        return sse({"type": "error", "sequence_number": 9, "code": code, "message": message, "param": None}, "error")

    def _item_events(self, index: int, item: dict[str, Any], says: Says) -> list[tuple[str, dict[str, Any]]]:
        where = {"output_index": index, "item_id": item["id"]}
        bare = item | (
            {"content": []} if item["type"] == "message" else {"arguments": ""} if "arguments" in item else {}
        )
        events: list[tuple[str, dict[str, Any]]]
        events = [("response.output_item.added", {"output_index": index, "item": bare})]
        if item["type"] == "function_call":
            arguments = item["arguments"]
            events.append(("response.function_call_arguments.delta", {**where, "delta": arguments}))
            events.append(("response.function_call_arguments.done", {**where, "arguments": arguments}))
        elif item["type"] == "message":
            where["content_index"] = 0
            if says.reason == "refusal":
                events.append(("response.refusal.delta", {**where, "delta": REFUSAL}))
            events += [("response.output_text.delta", {**where, "delta": each, "logprobs": []}) for each in says.text]
        elif item["type"] == "reasoning":
            part = {**where, "summary_index": 0, "delta": says.reasoning}
            events.append(("response.reasoning_summary_text.delta", part))
        return [*events, ("response.output_item.done", {"output_index": index, "item": item})]

    def _items(self, says: Says) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        if says.reasoning:
            summary = [{"type": "summary_text", "text": says.reasoning}]
            items.append({"id": "rs_1", "type": "reasoning", "summary": summary})
        content: list[dict[str, Any]] = []
        if says.text:
            content.append({"type": "output_text", "text": joined(says), "annotations": [], "logprobs": []})
        if says.reason == "refusal":
            content.append({"type": "refusal", "refusal": REFUSAL})
        if content:
            message = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed"}
            items.append({**message, "content": content})
        for n, each in enumerate(says.calls):
            call = {"id": f"fc_{call_id(each, n)}", "type": "function_call", "status": "completed", "name": each.tool}
            items.append({**call, "call_id": call_id(each, n), "arguments": json.dumps(each.arguments)})
        return items

    def _response(self, **more: Any) -> dict[str, Any]:
        return {
            "id": "resp_1",
            "object": "response",
            "created_at": 1,
            "model": "gpt-5",
            "output": [],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "metadata": {},
            "temperature": 1,
            "top_p": 1,
            **more,
        }

    def _usage(self, says: Says) -> dict[str, Any]:
        usage = says.usage
        prompt = usage.fresh + usage.read + usage.written
        return {
            "input_tokens": prompt,
            "output_tokens": usage.output,
            "total_tokens": prompt + usage.output,
            "input_tokens_details": {"cached_tokens": usage.read},
            "output_tokens_details": {"reasoning_tokens": 0},
        }


class Anthropic(Wire):
    """Anthropic's Messages API."""

    name = "anthropic"
    finishes: ClassVar[dict[Finish, str]] = {
        "stop": "end_turn",
        "tool_calls": "tool_use",
        "length": "max_tokens",
        "refusal": "refusal",
        "context_length": "model_context_window_exceeded",
    }
    result = '"type": "tool_result"'
    comment = sse({"type": "ping"}, "ping")

    def model(self, url: str, **more: Any) -> Any:
        from agno.models.anthropic import Claude as Model

        client = {"base_url": url, "max_retries": 0, **more.pop("client_params", {})}
        options: dict[str, Any] = {"id": "claude-sonnet-5-5", "api_key": "k", "client_params": client, **more}
        return Model(**options)

    def events(self, says: Says) -> list[bytes]:
        start = self._message(content=[], stop_reason=None, usage=self._usage(says) | {"output_tokens": 1})
        parts: list[dict[str, Any]] = [{"type": "message_start", "message": start}]
        for index, block in enumerate(self._blocks(says)):
            parts += self._block_events(index, block, says)
        if says.reason is not None:
            delta = {"stop_reason": self.finish(says.reason), "stop_sequence": None}
            parts.append({"type": "message_delta", "delta": delta, "usage": {"output_tokens": says.usage.output}})
            parts.append({"type": "message_stop"})
        return [sse(each, each["type"]) for each in parts]

    def body(self, says: Says) -> Any:
        return self._message(content=self._blocks(says), stop_reason=self.finish(says.reason), usage=self._usage(says))

    def error(self, status: int, code: str, message: str) -> Any:
        return {"type": "error", "error": {"type": code, "message": message}}

    def error_event(self, status: int, code: str, message: str) -> bytes:
        return sse(self.error(status, code, message), "error")

    def _block_events(self, index: int, block: dict[str, Any], says: Says) -> list[dict[str, Any]]:
        kind = block["type"]
        bare = {"text": {"text": ""}, "tool_use": {"input": {}}, "thinking": {"thinking": "", "signature": ""}}[kind]
        deltas: list[dict[str, Any]] = [{"type": "text_delta", "text": each} for each in says.text]
        if kind == "tool_use":
            deltas = [{"type": "input_json_delta", "partial_json": json.dumps(block["input"])}]
        elif kind == "thinking":
            deltas = [{"type": "thinking_delta", "thinking": says.reasoning}]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        return [
            {"type": "content_block_start", "index": index, "content_block": block | bare},
            *({"type": "content_block_delta", "index": index, "delta": each} for each in deltas),
            {"type": "content_block_stop", "index": index},
        ]

    def _blocks(self, says: Says) -> list[dict[str, Any]]:
        blocks: list[dict[str, Any]] = []
        if says.reasoning:
            blocks.append({"type": "thinking", "thinking": says.reasoning, "signature": "s"})
        if says.text:
            blocks.append({"type": "text", "text": joined(says)})
        for n, each in enumerate(says.calls):
            blocks.append({"type": "tool_use", "id": call_id(each, n), "name": each.tool, "input": each.arguments})
        return blocks

    def _message(self, **more: Any) -> dict[str, Any]:
        head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-5-5"}
        return {**head, "stop_sequence": None, **more}

    def _usage(self, says: Says) -> dict[str, Any]:
        usage = says.usage
        return {
            "input_tokens": usage.fresh,
            "output_tokens": usage.output,
            "cache_read_input_tokens": usage.read,
            "cache_creation_input_tokens": usage.written,
        }


class Gemini(Wire):
    """Google's Gemini API."""

    name = "gemini"
    finishes: ClassVar[dict[Finish, str]] = {
        "stop": "STOP",
        "tool_calls": "STOP",
        "length": "MAX_TOKENS",
        "content_filter": "SAFETY",
        "refusal": "PROHIBITED_CONTENT",
    }
    result = "functionResponse"

    def model(self, url: str, **more: Any) -> Any:
        from agno.models.google import Gemini as Model

        options: dict[str, Any] = {
            "id": "gemini-m",
            "api_key": "k",
            "client_params": {"http_options": {"base_url": url}},
            **more,
        }
        return Model(**options)

    def is_streamed(self, path: str, request: Any) -> bool:
        return "streamGenerateContent" in path

    def events(self, says: Says) -> list[bytes]:
        parts = self._parts(says)
        chunks = [self._chunk([each], says) for each in parts]
        if says.reason is not None:  # the last one says why, and what it cost
            last = chunks[-1] if chunks else self._chunk([], says)
            last["candidates"][0]["finishReason"] = self.finish(says.reason)
            chunks[-1:] = [last]
        return [sse(each) for each in chunks]

    def body(self, says: Says) -> Any:
        answer = self._chunk(self._parts(says), says)
        if says.reason is not None:
            answer["candidates"][0]["finishReason"] = self.finish(says.reason)
        return answer

    def blocked(self, reason: str = "SAFETY") -> Any:
        """The answer to a prompt that is blocked."""
        usage = {"promptTokenCount": 10, "totalTokenCount": 10}
        return {"promptFeedback": {"blockReason": reason}, "usageMetadata": usage, "modelVersion": "m"}

    def error(self, status: int, code: str, message: str) -> Any:
        return {"error": {"code": status, "message": message, "status": code}}

    def _chunk(self, parts: Sequence[dict[str, Any]], says: Says) -> dict[str, Any]:
        candidate = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
        return {"candidates": [candidate], "usageMetadata": self._usage(says), "modelVersion": "m"}

    def _parts(self, says: Says) -> list[dict[str, Any]]:
        parts: list[dict[str, Any]] = [{"text": says.reasoning, "thought": True}] if says.reasoning else []
        parts += [{"text": each} for each in says.text]
        for n, each in enumerate(says.calls):
            parts.append({"functionCall": {"id": call_id(each, n), "name": each.tool, "args": each.arguments}})
        return parts

    def _usage(self, says: Says) -> dict[str, Any]:
        usage = says.usage
        prompt = usage.fresh + usage.read + usage.written
        return {
            "promptTokenCount": prompt,
            "candidatesTokenCount": usage.output,
            "totalTokenCount": prompt + usage.output,
            "cachedContentTokenCount": usage.read,
        }


class Cohere(Wire):
    """Cohere's chat API, version 2."""

    name = "cohere"
    finishes: ClassVar[dict[Finish, str]] = {
        "stop": "COMPLETE",
        "tool_calls": "TOOL_CALL",
        "length": "MAX_TOKENS",
        "content_filter": "ERROR_TOXIC",
    }
    result = '"role": "tool"'

    def model(self, url: str, **more: Any) -> Any:
        from agno.models.cohere import Cohere as Model
        from cohere import AsyncClientV2, ClientV2

        def sync() -> Any:
            return ClientV2(api_key="k", base_url=url)

        class At(Model):
            """Agno gives its own clients no address."""

            def get_client(self) -> Any:
                self.client = self.client or sync()
                return self.client

            def get_async_client(self) -> Any:
                self.async_client = self.async_client or AsyncClientV2(api_key="k", base_url=url)
                return self.async_client

        options: dict[str, Any] = {"id": "m", "api_key": url, **more}  # breakers are kept by key
        return At(**options)

    def events(self, says: Says) -> list[bytes]:
        content = [
            {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}}
        ]
        content += [
            {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": each}}}}
            for each in says.text
        ]
        parts: list[dict[str, Any]] = [
            {"type": "message-start", "id": "m1", "delta": {"message": {"role": "assistant"}}}
        ]
        if says.text:
            parts += [*content, {"type": "content-end", "index": 0}]
        for n, each in enumerate(self._calls(says)):
            arguments = each["function"].pop("arguments")
            bare = each | {"function": each["function"] | {"arguments": ""}}
            parts.append({"type": "tool-call-start", "index": n, "delta": {"message": {"tool_calls": bare}}})
            piece = {"message": {"tool_calls": {"function": {"arguments": arguments}}}}
            parts += [{"type": "tool-call-delta", "index": n, "delta": piece}, {"type": "tool-call-end", "index": n}]
        if says.reason is not None:
            end = {"finish_reason": self.finish(says.reason), "usage": self._usage(says)}
            parts.append({"type": "message-end", "id": "m1", "delta": end})
        return [sse(each, each["type"]) for each in parts]

    def body(self, says: Says) -> Any:
        message: dict[str, Any] = {"role": "assistant", "content": [{"type": "text", "text": joined(says)}]}
        if says.calls:
            message |= {"tool_calls": self._calls(says), "content": []}
        return {"id": "m1", "finish_reason": self.finish(says.reason), "message": message, "usage": self._usage(says)}

    def error(self, status: int, code: str, message: str) -> Any:
        return {"id": "e", "message": message}

    def error_event(self, status: int, code: str, message: str) -> bytes:
        end = {"finish_reason": "ERROR", "error": message}
        return sse({"type": "message-end", "id": "m1", "delta": end}, "message-end")

    def _calls(self, says: Says) -> list[dict[str, Any]]:
        return [
            {
                "id": call_id(each, n),
                "type": "function",
                "function": {"name": each.tool, "arguments": json.dumps(each.arguments)},
            }
            for n, each in enumerate(says.calls)
        ]

    def _usage(self, says: Says) -> dict[str, Any]:
        usage = says.usage
        prompt = usage.fresh + usage.read + usage.written
        tokens = {"input_tokens": prompt, "output_tokens": usage.output}
        return {"billed_units": tokens, "tokens": tokens}


class Ollama(Wire):
    """Ollama: a line of JSON for each piece."""

    name = "ollama"
    finishes: ClassVar[dict[Finish, str]] = {"stop": "stop", "tool_calls": "stop", "length": "length"}
    result = '"role": "tool"'
    stream_type = "application/x-ndjson"
    comment = b""

    def model(self, url: str, **more: Any) -> Any:
        from agno.models.ollama import Ollama as Model

        options: dict[str, Any] = {"id": "m", "host": url, **more}
        return Model(**options)

    def events(self, says: Says) -> list[bytes]:
        frames = [self._frame({"content": "", "thinking": says.reasoning})] if says.reasoning else []
        frames += [self._frame({"content": each}) for each in says.text]
        if says.calls:
            frames.append(self._frame({"content": "", "tool_calls": self._calls(says)}))
        if says.reason is not None:
            frames.append(self._frame({"content": ""}) | self._end(says))
        return [json.dumps(each).encode() + b"\n" for each in frames]

    def body(self, says: Says) -> Any:
        message = {"content": joined(says)} | ({"tool_calls": self._calls(says)} if says.calls else {})
        return self._frame(message) | (self._end(says) if says.reason is not None else {})

    def error(self, status: int, code: str, message: str) -> Any:
        return {"error": message}

    def error_event(self, status: int, code: str, message: str) -> bytes:
        return json.dumps(self.error(status, code, message)).encode() + b"\n"

    def _frame(self, message: dict[str, Any]) -> dict[str, Any]:
        at = "2026-01-01T00:00:00Z"
        return {"model": "m", "created_at": at, "message": {"role": "assistant", **message}, "done": False}

    def _end(self, says: Says) -> dict[str, Any]:
        prompt = says.usage.fresh + says.usage.read + says.usage.written
        reason = self.finish(says.reason)
        return {"done": True, "done_reason": reason, "prompt_eval_count": prompt, "eval_count": says.usage.output}

    def _calls(self, says: Says) -> list[dict[str, Any]]:
        return [{"function": {"name": each.tool, "arguments": each.arguments}} for each in says.calls]
