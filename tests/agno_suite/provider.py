"""Providers' server on loopback: OpenAI's chat and Responses protocols, streamed or not, embeddings, and what others
speak (``wires``). Whatever host a client has for a model, it is led here."""

import contextlib
import hashlib
import importlib
import json
import re
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NoReturn

import agno

from tests.agno_suite.answers import JSON, Answer, Question, answer_to, text_in
from tests.agno_suite.wires import chat_question, says, wire_of

LONGEST_DELAY = 0.04  # seconds that a call takes where speeds vary
OWN_ENDS = ("/embeddings", "/chat/completions", "/responses")
"""How addresses end that OpenAI's protocol has."""
ADDRESSES = ("ANTHROPIC_BASE_URL", "GOOGLE_GEMINI_BASE_URL", "OLLAMA_HOST", "CO_API_URL")
"""Where clients read an address that has no version in it."""
KEY = re.compile(r"getenv\(\s*\"(\w+_API_KEY|COMETAPI_KEY)\"")
"""Where Agno reads a provider's key, or a tool's."""
DIMENSIONS = 1536  # of an embedding, as OpenAI's smaller model has them
CHAT_USAGE: JSON = {
    "prompt_tokens": 10,
    "completion_tokens": 5,
    "total_tokens": 15,
    "prompt_tokens_details": {"cached_tokens": 2},
    "completion_tokens_details": {"reasoning_tokens": 3},
}
RESPONSES_USAGE: JSON = {
    "input_tokens": 10,
    "output_tokens": 5,
    "total_tokens": 15,
    "input_tokens_details": {"cached_tokens": 2},
    "output_tokens_details": {"reasoning_tokens": 3},
}


class Provider:
    """The server.

    Args:
        seed: How fast each call is, a function of this and the request; 0 for at once.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        """Its address, without a path."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def environment(self) -> dict[str, str]:
        """What points the providers' clients to it, and all other traffic nowhere."""
        nowhere = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9")
        loopback = dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost")
        return {
            **dict.fromkeys(_names_of_keys(), "key"),
            **dict.fromkeys(ADDRESSES, self.url),
            "COMETAPI_KEY": "key",
            "LANGDB_PROJECT_ID": "project",
            "CLOUDFLARE_API_TOKEN": "key",
            "CLOUDFLARE_ACCOUNT_ID": "account",
            "AZURE_OPENAI_ENDPOINT": self.url,
            **nowhere,
            **loopback,
            "OPENAI_BASE_URL": f"{self.url}/v1",
            "AGNO_TELEMETRY": "false",
        }

    def delay(self, body: JSON) -> None:
        """Take as long as this request takes."""
        if self.seed:
            made = hashlib.sha256(f"{self.seed}{json.dumps(body, sort_keys=True)}".encode()).digest()
            time.sleep(made[0] / 255 * LONGEST_DELAY)


def _names_of_keys() -> set[str]:
    """Names of environment variables from which Agno takes keys; clients read some by themselves."""
    folder = Path(agno.__path__[0])
    sources = [*folder.glob("models/**/*.py"), *folder.glob("tools/**/*.py"), *folder.glob("knowledge/**/*.py")]
    found = {name for each in sources for name in KEY.findall(each.read_text())}
    return {*found, "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GROQ_API_KEY"} - {"GEMINI_API_KEY"}  # Google has another


def lead_here(url: str) -> None:
    """Have requests to providers' own hosts sent to the stand-in. To be called in the process that makes them.

    Args:
        url: The stand-in's address.
    """
    for name in ("httpx", "httpx2"):
        with contextlib.suppress(ImportError):
            module = importlib.import_module(name)
            here = module.URL(url)
            for client in (module.Client, module.AsyncClient):
                client.send = _led(client.send, here)


def _led(send: Any, here: Any) -> Any:
    def sent(self: Any, request: Any, **options: Any) -> Any:
        path = request.url.path
        if request.method == "POST" and (path.endswith(OWN_ENDS) or wire_of(path, "") is not None):
            request.url = request.url.copy_with(scheme=here.scheme, host=here.host, port=here.port)
        return send(self, request, **options)

    return sent


def find_nothing() -> None:
    """A search asks one engine or another, by chance, and would say of each that it cannot be reached."""

    def search(*_: object, **__: object) -> NoReturn:
        raise ConnectionError("nothing can be searched here")

    with contextlib.suppress(ImportError):
        from ddgs.ddgs import DDGS  # type: ignore[import-not-found]

        DDGS.text = DDGS.news = search


@dataclass(frozen=True, slots=True)
class _Spoken:
    """An answer as a protocol has it, in both forms."""

    is_streamed: bool
    whole: JSON
    stream: Iterable[str | bytes]
    stream_type: str = "text/event-stream"


def _spoken(path: str, host: str, body: JSON) -> _Spoken | None:
    """The answer to a request; None if no protocol has its address."""
    found = wire_of(path, host)
    if found is not None:
        wire, question_in = found
        answer = answer_to(question_in(path, body))
        given = says(answer, _pieces(answer.text))
        return _Spoken(wire.is_streamed(path, body), wire.body(given), wire.events(given), wire.stream_type)
    if path.endswith("/chat/completions"):
        answer = answer_to(chat_question(body))
        return _Spoken(bool(body.get("stream")), _chat(body, answer), _chat_stream(body, answer))
    if path.endswith("/responses"):
        answer = answer_to(_responses_question(body))
        return _Spoken(bool(body.get("stream")), _response(body, answer), _response_stream(body, answer))
    return None


def _handler(provider: Provider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as it is called there
            """Nobody reads it."""

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"{}")
            path = self.path.split("?")[0]
            provider.delay(body)
            if path.endswith("/embeddings"):
                self._whole(_embeddings(body))
                return
            spoken = _spoken(path, self.headers.get("host", ""), body)
            if spoken is None:
                self.send_error(404)
            else:
                self._send(spoken)

        def _send(self, spoken: _Spoken) -> None:
            if not spoken.is_streamed:
                self._whole(spoken.whole)
                return
            self.send_response(200)
            self.send_header("content-type", spoken.stream_type)
            self.send_header("connection", "close")
            self.end_headers()
            for each in spoken.stream:
                self.wfile.write(each.encode() if isinstance(each, str) else each)
            self.close_connection = True

        def _whole(self, value: JSON) -> None:
            data = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    return Handler


# the chat protocol


def _chat(body: JSON, answer: Answer) -> JSON:
    message: JSON = {"role": "assistant", "content": answer.text or None}
    if answer.calls:
        message["tool_calls"] = _chat_calls(answer)
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if answer.calls else "stop"}
    return {**_chat_frame(body), "object": "chat.completion", "choices": [choice], "usage": CHAT_USAGE}


def _chat_stream(body: JSON, answer: Answer) -> Iterator[str]:
    def chunk(delta: JSON, reason: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return _data({**_chat_frame(body), "object": "chat.completion.chunk", "choices": [choice]})

    yield chunk({"role": "assistant", "content": ""})
    for piece in _pieces(answer.text):
        yield chunk({"content": piece})
    for index, call in enumerate(_chat_calls(answer)):
        yield chunk({"tool_calls": [{**call, "index": index}]})
    yield chunk({}, "tool_calls" if answer.calls else "stop")
    yield _data({**_chat_frame(body), "object": "chat.completion.chunk", "choices": [], "usage": CHAT_USAGE})
    yield "data: [DONE]\n\n"


def _chat_calls(answer: Answer) -> list[JSON]:
    return [
        {"id": made, "type": "function", "function": {"name": name, "arguments": json.dumps(given)}}
        for made, name, given in answer.calls
    ]


def _chat_frame(body: JSON) -> JSON:
    return {"id": "chat-1", "created": 1, "model": body["model"]}


# the Responses protocol


def _responses_question(body: JSON) -> Question:
    given = body["input"] if isinstance(body["input"], list) else [{"role": "user", "content": body["input"]}]
    last = max((index for index, each in enumerate(given) if each.get("role") == "user"), default=-1)
    form = (body.get("text") or {}).get("format") or {}
    tools = [each for each in body.get("tools") or [] if each.get("type") == "function"]
    said = [each for each in given if each.get("role") in ("system", "developer")]
    return Question(
        " ".join([text_in(body.get("instructions")), *(text_in(each.get("content")) for each in said)]),
        [text_in(each.get("content")) for each in given if each.get("role") == "user"],
        [text_in(each.get("output")) for each in given[last + 1 :] if each.get("type") == "function_call_output"],
        [] if body.get("tool_choice") == "none" else [(each["name"], each.get("parameters") or {}) for each in tools],
        form.get("schema") if form.get("type") == "json_schema" else None,
        body["model"],
    )


def _response(body: JSON, answer: Answer) -> JSON:
    return {
        **_response_frame(body),
        "status": "completed",
        "output": list(_response_items(answer)),
        "usage": RESPONSES_USAGE,
    }


def _response_stream(body: JSON, answer: Answer) -> Iterator[str]:
    numbers = iter(range(10_000))

    def event(kind: str, **more: Any) -> str:
        return f"event: {kind}\n" + _data({"type": kind, "sequence_number": next(numbers), **more})

    yield event("response.created", response={**_response_frame(body), "status": "in_progress", "output": []})
    for index, item in enumerate(_response_items(answer)):
        place = {"output_index": index, "item_id": item["id"]}
        if item["type"] == "message":
            yield event("response.output_item.added", output_index=index, item={**item, "content": []})
            for piece in _pieces(answer.text):
                yield event("response.output_text.delta", content_index=0, delta=piece, logprobs=[], **place)
        else:
            yield event("response.output_item.added", output_index=index, item={**item, "arguments": ""})
            yield event("response.function_call_arguments.delta", delta=item["arguments"], **place)
        yield event("response.output_item.done", output_index=index, item=item)
    yield event("response.completed", response=_response(body, answer))


def _response_items(answer: Answer) -> Iterator[JSON]:
    for made, name, given in answer.calls:
        call = {"type": "function_call", "id": f"fc_{made}", "call_id": made, "name": name}
        yield {**call, "arguments": json.dumps(given), "status": "completed"}
    if not answer.calls:
        content = [{"type": "output_text", "text": answer.text, "annotations": []}]
        yield {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content}


def _response_frame(body: JSON) -> JSON:
    fixed: JSON = {"object": "response", "created_at": 1, "tools": [], "tool_choice": "auto"}
    return {"id": "resp_1", "model": body["model"], "parallel_tool_calls": True, **fixed}


# what both share


def _pieces(text: str) -> list[str]:
    return re.findall(r"\s*\S+\s*$|\s*\S+", text)


def _data(value: JSON) -> str:
    return f"data: {json.dumps(value)}\n\n"


def _embeddings(body: JSON) -> JSON:
    given = body["input"] if isinstance(body["input"], list) else [body["input"]]
    size = body.get("dimensions") or DIMENSIONS
    vectors = [
        {"object": "embedding", "index": index, "embedding": _vector(text, size)} for index, text in enumerate(given)
    ]
    return {"object": "list", "data": vectors, "model": body["model"], "usage": {"prompt_tokens": 1, "total_tokens": 1}}


def _vector(text: Any, size: int) -> list[float]:
    """Texts with the same letters are near to each other."""
    vector = [0.0] * size
    for letter in str(text).lower():
        vector[ord(letter) % min(size, 61)] += 1.0
    return vector
